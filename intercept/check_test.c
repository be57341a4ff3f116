#include "base/net/test_namespace.h"
#include "intercept/apply.h"
#include "intercept/check.h"
#include "intercept/source_route.h"
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka requires the four headers above */
#include <cmocka.h>

static void put(const struct rules *rules)
{
	_cleanup_(buf_done) struct buf table = BUF_INIT(RULES_TEXT_MAX), commands = BUF_INIT(2 * RULES_TEXT_MAX);
	assert_int_equal(rules_render_table(rules, &table), ERR_NONE);
	assert_int_equal(rules_render_replace(buf_span(&table), &commands), ERR_NONE);
	assert_int_equal(apply_commands(buf_cstr(&commands), NULL), ERR_NONE);
}

static enum finding_state state_of(const struct report *report, const char *point)
{
	for (unsigned i = 0; i < report->num; i++) {
		if (strcmp(report->findings[i].point, point) == 0)
			return report->findings[i].state;
	}
	fail_msg("no finding about %s", point);
	return FINDING_FAILED;
}

static bool passes(const struct rules *rules, struct report *report)
{
	*report = (struct report){0};
	check_run(rules, report);
	return !report_has(report, FINDING_FAILED) && !report_has(report, FINDING_UNPROVEN);
}

static void does_not_pass_when_no_connection_can_be_tried(_unused_ void **state)
{
	struct rules rules = {0};
	struct report report;
	put(&rules);
	assert_false(passes(&rules, &report));
	assert_int_equal(state_of(&report, "outbound"), FINDING_UNPROVEN);
	test_namespace_add_way_out();
}

static void passes_with_the_rules(_unused_ void **state)
{
	struct rules rules = {0};
	struct report report;
	assert_true(passes(&rules, &report));
	assert_int_equal(state_of(&report, "outbound_ipv4"), FINDING_OK);
	assert_int_equal(state_of(&report, "outbound_ipv6"), FINDING_OK);
	assert_int_equal(state_of(&report, "exempt_ipv4"), FINDING_OK);
	assert_int_equal(state_of(&report, "inbound"), FINDING_OK);
}

static int listen_at(uint16_t port)
{
	const int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0); /* of both families */
	const struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	assert_int_equal(
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)), 0); /* the probes' TIME_WAIT */
	assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static void reports_rules_that_lead_to_no_sidecar(_unused_ void **state)
{
	struct rules pod = {0}, host = {.exempt_ssh = true};
	struct report report;
	assert_true(passes(&pod, &report)); /* a pod's sidecar is still to start */
	assert_int_equal(state_of(&report, "sidecar"), FINDING_NOTE);
	assert_false(passes(&host, &report));
	assert_int_equal(state_of(&report, "sidecar"), FINDING_FAILED);
	const int outbound = listen_at(RULES_OUTBOUND_PORT);
	assert_false(passes(&host, &report));
	const int inbound = listen_at(RULES_INBOUND_PORT);
	assert_true(passes(&host, &report));
	assert_int_equal(state_of(&report, "sidecar"), FINDING_OK);
	close(outbound);
	close(inbound);
}

static void mode_tproxy_is_proven_by_a_connection(_unused_ void **state)
{
	struct rules rules = {.keeps_source = true};
	struct report report;
	put(&rules); /* without the routing rule the answer is dropped */
	assert_false(passes(&rules, &report));
	assert_int_equal(state_of(&report, "source_ipv4"), FINDING_FAILED);
	assert_int_equal(source_route_add(AF_INET, NULL), ERR_NONE);
	assert_int_equal(source_route_add(AF_INET6, NULL), ERR_NONE);
	assert_int_equal(source_route_add(AF_INET, NULL), ERR_NONE);          /* idempotent */
	assert_true(passes(&(struct rules){.keeps_source = false}, &report)); /* the rules show the mode */
	assert_int_equal(state_of(&report, "source_ipv4"), FINDING_OK);
	assert_int_equal(state_of(&report, "source_ipv6"), FINDING_OK);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(source_route_remove(AF_INET, NULL), ERR_NONE);
		assert_int_equal(source_route_remove(AF_INET6, NULL), ERR_NONE);
	}
	put(&(struct rules){.keeps_source = false});
}

static void notes_rules_that_were_written_with_other_flags(_unused_ void **state)
{
	struct rules rules = {0};
	struct report report;
	assert_int_equal(port_list_add(&rules.exclude_inbound, 8443), ERR_NONE);
	assert_true(passes(&rules, &report));
	assert_int_equal(state_of(&report, "rules"), FINDING_NOTE);
}

static void dials_an_address_that_is_not_excluded(_unused_ void **state)
{
	struct rules rules = {0};
	struct network network;
	struct report report;
	assert_int_equal(port_list_add(&rules.exclude_outbound, 9), ERR_NONE);
	assert_int_equal(network_parse(SPAN_LITERAL("203.0.113.0/24"), &network), ERR_NONE);
	assert_int_equal(rules_add_network(&rules, &network), ERR_NONE);
	put(&rules);
	assert_true(passes(&rules, &report));
	assert_int_equal(state_of(&report, "outbound_ipv4"), FINDING_OK);
}

static void fails_when_one_family_is_not_redirected(_unused_ void **state)
{
	struct rules rules = {0};
	struct report report;
	put(&rules);
	assert_int_equal(
		apply_commands("insert rule inet handfast outbound meta nfproto ipv6 return\n", NULL), ERR_NONE);
	assert_false(passes(&rules, &report));
	assert_int_equal(state_of(&report, "outbound_ipv4"), FINDING_OK);
	assert_int_equal(state_of(&report, "outbound_ipv6"), FINDING_FAILED);
}

static void fails_when_the_sidecar_is_not_exempt(_unused_ void **state)
{
	struct rules rules = {0};
	struct report report;
	put(&rules);
	assert_int_equal(apply_commands("insert rule inet handfast outbound meta l4proto 6 redirect to :15001\n", NULL),
		ERR_NONE);
	assert_false(passes(&rules, &report));
	assert_int_equal(state_of(&report, "exempt_ipv4"), FINDING_FAILED);
	assert_int_equal(state_of(&report, "exempt_ipv6"), FINDING_FAILED);
}

static void fails_with_rules_that_exempt_the_group_alone(_unused_ void **state)
{
	struct rules rules = {0};
	struct report report;
	put(&rules);
	assert_true(passes(&rules, &report));
	assert_int_equal(state_of(&report, "gid_alone_ipv4"), FINDING_OK);
	assert_int_equal(apply_commands("insert rule inet handfast outbound meta skgid 1337 return\n"
					"insert rule inet handfast outbound_guard meta skgid 1337 accept\n",
				 NULL),
		ERR_NONE);
	assert_false(passes(&rules, &report));
	assert_int_equal(state_of(&report, "exempt_ipv4"), FINDING_OK);
	assert_int_equal(state_of(&report, "gid_alone_ipv4"), FINDING_FAILED);
	assert_int_equal(state_of(&report, "gid_alone_ipv6"), FINDING_FAILED);
}

static void fails_when_the_inbound_half_is_missing(_unused_ void **state)
{
	struct rules rules = {0};
	struct report report;
	put(&rules);
	assert_int_equal(apply_commands("flush chain inet handfast inbound\n", NULL), ERR_NONE);
	assert_false(passes(&rules, &report));
	assert_int_equal(state_of(&report, "inbound"), FINDING_FAILED);
}

static void finding_p1_fails_when_a_guard_is_missing_or_empty(_unused_ void **state)
{
	struct rules rules = {0};
	struct report report;
	for (const char *const *chain =
			(const char *const[]){"outbound_guard", "inbound_guard", "loopback_guard", NULL};
		*chain; chain++) {
		char command[64];
		put(&rules);
		assert_true(passes(&rules, &report));
		assert_int_equal(state_of(&report, "guards"), FINDING_OK);
		assert_int_equal(state_of(&report, "guard_ipv4"), FINDING_OK);
		assert_int_equal(state_of(&report, "guard_ipv6"), FINDING_OK);
		snprintf(command, sizeof(command), "flush chain inet handfast %s\n", *chain);
		assert_int_equal(apply_commands(command, NULL), ERR_NONE);
		assert_false(passes(&rules, &report));
		assert_int_equal(state_of(&report, "guards"), FINDING_FAILED);
	}
}

/* The guard's rules are present, but an earlier rule accepts everything: only a real segment detects that. */
static void finding_p1_fails_when_a_segment_passes_the_guard(_unused_ void **state)
{
	struct rules rules = {0};
	struct report report;
	put(&rules);
	assert_int_equal(
		apply_commands("insert rule inet handfast outbound_guard meta nfproto ipv4 accept\n", NULL), ERR_NONE);
	assert_false(passes(&rules, &report));
	assert_int_equal(state_of(&report, "guards"), FINDING_OK);
	assert_int_equal(state_of(&report, "guard_ipv4"), FINDING_FAILED);
	assert_int_equal(state_of(&report, "guard_ipv6"), FINDING_OK);
}

static void fails_when_there_are_no_rules(_unused_ void **state)
{
	struct rules rules = {0};
	struct report report;
	assert_int_equal(apply_commands("delete table inet handfast\n", NULL), ERR_NONE);
	assert_false(passes(&rules, &report));
	assert_int_equal(state_of(&report, "outbound_ipv4"), FINDING_FAILED);
	assert_int_equal(state_of(&report, "outbound_ipv6"), FINDING_FAILED);
	assert_int_equal(state_of(&report, "inbound"), FINDING_FAILED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(does_not_pass_when_no_connection_can_be_tried), /* makes a way out at its end: first */
		cmocka_unit_test(passes_with_the_rules),
		cmocka_unit_test(reports_rules_that_lead_to_no_sidecar),
		cmocka_unit_test(mode_tproxy_is_proven_by_a_connection),
		cmocka_unit_test(notes_rules_that_were_written_with_other_flags),
		cmocka_unit_test(dials_an_address_that_is_not_excluded),
		cmocka_unit_test(fails_when_one_family_is_not_redirected),
		cmocka_unit_test(fails_when_the_sidecar_is_not_exempt),
		cmocka_unit_test(fails_with_rules_that_exempt_the_group_alone),
		cmocka_unit_test(fails_when_the_inbound_half_is_missing),
		cmocka_unit_test(finding_p1_fails_when_a_guard_is_missing_or_empty),
		cmocka_unit_test(finding_p1_fails_when_a_segment_passes_the_guard),
		cmocka_unit_test(fails_when_there_are_no_rules),
	};
	return cmocka_run_group_tests(tests, test_namespace_enter, NULL);
}
