#include "intercept/rules.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the four headers above */
#include <cmocka.h>

static void add_ports(struct port_list *list, unsigned num, const uint16_t *ports)
{
	for (unsigned i = 0; i < num; i++)
		assert_int_equal(port_list_add(list, ports[i]), ERR_NONE);
}

static void add_network(struct rules *rules, const char *text)
{
	struct network network;
	assert_int_equal(network_parse(span_of_str(text), &network), ERR_NONE);
	assert_int_equal(rules_add_network(rules, &network), ERR_NONE);
}

static void assert_table(const struct rules *rules, const char *expected)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT(RULES_TEXT_MAX);
	assert_int_equal(rules_render_table(rules, &out), ERR_NONE);
	assert_string_equal(buf_cstr(&out), expected);
}

static void redirects_all_but_the_exempt_without_exclusions(_unused_ void **state)
{
	struct rules rules = {0};
	assert_table(&rules, "table inet handfast {\n"
			     "\tchain inbound {\n"
			     "\t\ttype nat hook prerouting priority dstnat; policy accept;\n"
			     "\t\tfib daddr type != local return\n"
			     "\t\tiifname \"lo\" return\n"
			     "\t\ttcp dport { 15008, 15020 } return\n"
			     "\t\ttcp sport 15008 tcp flags != syn / syn,ack return\n"
			     "\t\tmeta l4proto 6 redirect to :15006\n"
			     "\t}\n"
			     "\n"
			     "\tchain outbound {\n"
			     "\t\ttype nat hook output priority -100; policy accept;\n"
			     "\t\tip daddr 169.254.15.6 udp dport 15009 drop\n"
			     "\t\ttcp sport { 15001, 15006 } tcp flags != syn / syn,ack drop\n"
			     "\t\ttcp sport { 15008, 15020 } tcp flags != syn / syn,ack return\n"
			     "\t\tmeta skuid 1337 meta skgid 1337 return\n"
			     "\t\toifname \"lo\" return\n"
			     "\t\tip6 daddr fe80::/10 meta l4proto 6 counter reject with tcp reset\n"
			     "\t\tmeta l4proto 6 redirect to :15001\n"
			     "\t}\n"
			     "\n"
			     "\tchain inbound_guard {\n"
			     "\t\ttype nat hook input priority 100; policy accept;\n"
			     "\t\tiif \"lo\" accept\n"
			     "\t\tmeta l4proto != 6 accept\n"
			     "\t\ttcp dport { 15006, 15008, 15020 } accept\n"
			     "\t\ttcp sport 15008 tcp flags != syn / syn,ack accept\n"
			     "\t\tmeta skuid 1337 meta skgid 1337 accept\n"
			     "\t\tcounter drop\n"
			     "\t}\n"
			     "\n"
			     "\tchain outbound_guard {\n"
			     "\t\ttype filter hook output priority filter; policy accept;\n"
			     "\t\toif \"lo\" accept\n"
			     "\t\tip daddr 127.0.0.1 accept\n"
			     "\t\tmeta skuid 1337 meta skgid 1337 accept\n"
			     "\t\tip6 daddr ::1 accept\n"
			     "\t\tmeta l4proto != 6 accept\n"
			     "\t\ttcp sport { 15008, 15020 } tcp flags != syn / syn,ack accept\n"
			     "\t\tmeta skuid != 1337 ct state invalid counter drop\n"
			     "\t\tmeta l4proto 6 meta skuid != 1337 counter reject with tcp reset\n"
			     "\t\tct state established,related accept\n"
			     "\t\tcounter drop\n"
			     "\t}\n"
			     "\n"
			     "\tchain loopback_guard {\n"
			     "\t\ttype filter hook postrouting priority filter; policy accept;\n"
			     "\t\toif \"lo\" accept\n"
			     "\t\tip daddr 127.0.0.0/8 counter drop\n"
			     "\t\tip6 daddr ::1 counter drop\n"
			     "\t}\n"
			     "}\n");
}

static const char WITH_EXCLUSIONS[] = "table inet handfast {\n"
				      "\tchain inbound {\n"
				      "\t\ttype nat hook prerouting priority dstnat; policy accept;\n"
				      "\t\tfib daddr type != local return\n"
				      "\t\tiifname \"lo\" return\n"
				      "\t\ttcp dport { 8081, 9100, 15008, 15020 } return\n"
				      "\t\ttcp sport { 25, 15008 } tcp flags != syn / syn,ack return\n"
				      "\t\tmeta l4proto 6 redirect to :15006\n"
				      "\t}\n"
				      "\n"
				      "\tchain outbound {\n"
				      "\t\ttype nat hook output priority -100; policy accept;\n"
				      "\t\tip daddr 169.254.15.6 udp dport 15009 drop\n"
				      "\t\ttcp sport { 15001, 15006 } tcp flags != syn / syn,ack drop\n"
				      "\t\ttcp dport 25 return\n"
				      "\t\ttcp sport { 8081, 9100, 15008, 15020 } tcp flags != syn / syn,ack return\n"
				      "\t\tmeta skuid 1337 meta skgid 1337 return\n"
				      "\t\toifname \"lo\" return\n"
				      "\t\tip daddr 10.0.0.0/8 return\n"
				      "\t\tip daddr 192.0.2.7 return\n"
				      "\t\tip6 daddr 2001:db8::/32 return\n"
				      "\t\tip6 daddr 2001:db8::9 return\n"
				      "\t\tip6 daddr fe80::/10 meta l4proto 6 counter reject with tcp reset\n"
				      "\t\tmeta l4proto 6 redirect to :15001\n"
				      "\t}\n"
				      "\n"
				      "\tchain inbound_guard {\n"
				      "\t\ttype nat hook input priority 100; policy accept;\n"
				      "\t\tiif \"lo\" accept\n"
				      "\t\tmeta l4proto != 6 accept\n"
				      "\t\ttcp dport { 8081, 9100, 15006, 15008, 15020 } accept\n"
				      "\t\ttcp sport { 25, 15008 } tcp flags != syn / syn,ack accept\n"
				      "\t\tip saddr 10.0.0.0/8 tcp flags != syn / syn,ack accept\n"
				      "\t\tip saddr 192.0.2.7 tcp flags != syn / syn,ack accept\n"
				      "\t\tip6 saddr 2001:db8::/32 tcp flags != syn / syn,ack accept\n"
				      "\t\tip6 saddr 2001:db8::9 tcp flags != syn / syn,ack accept\n"
				      "\t\tmeta skuid 1337 meta skgid 1337 accept\n"
				      "\t\tcounter drop\n"
				      "\t}\n"
				      "\n"
				      "\tchain outbound_guard {\n"
				      "\t\ttype filter hook output priority filter; policy accept;\n"
				      "\t\toif \"lo\" accept\n"
				      "\t\tip daddr 127.0.0.1 accept\n"
				      "\t\tmeta skuid 1337 meta skgid 1337 accept\n"
				      "\t\tip6 daddr ::1 accept\n"
				      "\t\tmeta l4proto != 6 accept\n"
				      "\t\ttcp dport 25 accept\n"
				      "\t\tip daddr 10.0.0.0/8 accept\n"
				      "\t\tip daddr 192.0.2.7 accept\n"
				      "\t\tip6 daddr 2001:db8::/32 accept\n"
				      "\t\tip6 daddr 2001:db8::9 accept\n"
				      "\t\ttcp sport { 8081, 9100, 15008, 15020 } tcp flags != syn / syn,ack accept\n"
				      "\t\tmeta skuid != 1337 ct state invalid counter drop\n"
				      "\t\tmeta l4proto 6 meta skuid != 1337 counter reject with tcp reset\n"
				      "\t\tct state established,related accept\n"
				      "\t\tcounter drop\n"
				      "\t}\n"
				      "\n"
				      "\tchain loopback_guard {\n"
				      "\t\ttype filter hook postrouting priority filter; policy accept;\n"
				      "\t\toif \"lo\" accept\n"
				      "\t\tip daddr 127.0.0.0/8 counter drop\n"
				      "\t\tip6 daddr ::1 counter drop\n"
				      "\t}\n"
				      "}\n";

static void writes_exclusions_into_all_chains(_unused_ void **state)
{
	struct rules rules = {0};
	add_ports(&rules.exclude_inbound, 2, (const uint16_t[]){9100, 8081});
	add_ports(&rules.exclude_outbound, 1, (const uint16_t[]){25});
	add_network(&rules, "10.0.0.0/8");
	add_network(&rules, "192.0.2.7");
	add_network(&rules, "2001:db8::/32");
	add_network(&rules, "2001:db8::9/128");
	assert_table(&rules, WITH_EXCLUSIONS);
}

static void exempts_ssh_in_both_directions_on_request(_unused_ void **state)
{
	struct rules rules = {.exempt_ssh = true};
	_cleanup_(buf_done) struct buf out = BUF_INIT(RULES_TEXT_MAX);
	assert_int_equal(rules_render_table(&rules, &out), ERR_NONE);
	assert_non_null(strstr(buf_cstr(&out), "\t\ttcp dport { 22, 15008, 15020 } return\n"));
	assert_non_null(
		strstr(buf_cstr(&out), "\t\ttcp dport 22 return\n"
				       "\t\ttcp sport { 22, 15008, 15020 } tcp flags != syn / syn,ack return\n"));
	assert_non_null(strstr(buf_cstr(&out), "\t\ttcp dport 22 accept\n"));
}

static void does_not_exempt_ssh_by_default(_unused_ void **state)
{
	struct rules rules = {0};
	_cleanup_(buf_done) struct buf out = BUF_INIT(RULES_TEXT_MAX);
	assert_int_equal(rules_render_table(&rules, &out), ERR_NONE);
	assert_null(strstr(buf_cstr(&out), "22"));
}

static void keeps_ports_sorted_and_unique(_unused_ void **state)
{
	struct port_list list = {0};
	add_ports(&list, 6, (const uint16_t[]){443, 80, 65535, 80, 1, 443});
	assert_int_equal(list.num, 4);
	const uint16_t expected[] = {1, 80, 443, 65535};
	assert_memory_equal(list.ports, expected, sizeof(expected));
}

static void refuses_one_port_or_network_too_many(_unused_ void **state)
{
	struct rules rules = {0};
	struct network network = {0};
	for (unsigned i = 0; i < RULES_MAX_PORTS; i++)
		assert_int_equal(port_list_add(&rules.exclude_inbound, (uint16_t)(i + 1)), ERR_NONE);
	assert_int_equal(port_list_add(&rules.exclude_inbound, 60000), ERR_LIMIT);
	assert_int_equal(port_list_add(&rules.exclude_inbound, 1), ERR_NONE);
	assert_int_equal(network_parse(SPAN_LITERAL("10.0.0.0/8"), &network), ERR_NONE);
	for (unsigned i = 0; i < RULES_MAX_NETWORKS; i++)
		assert_int_equal(rules_add_network(&rules, &network), ERR_NONE);
	assert_int_equal(rules_add_network(&rules, &network), ERR_LIMIT);
}

static void fits_its_buffer_when_everything_is_full(_unused_ void **state)
{
	struct rules rules = {.exempt_ssh = true};
	_cleanup_(buf_done) struct buf out = BUF_INIT(RULES_TEXT_MAX);
	for (uint16_t i = 0; i < RULES_MAX_GIVEN; i++) {
		assert_int_equal(port_list_add(&rules.exclude_inbound, (uint16_t)(60000 + i)), ERR_NONE);
		assert_int_equal(port_list_add(&rules.exclude_outbound, (uint16_t)(60000 + i)), ERR_NONE);
	}
	for (unsigned i = 0; i < RULES_MAX_NETWORKS; i++)
		add_network(&rules, "2001:db8:1111:2222:3333:4444:5555:6666/127");
	assert_int_equal(rules_render_table(&rules, &out), ERR_NONE);
}

static void replaces_the_table_in_one_transaction(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT(RULES_TEXT_MAX);
	assert_int_equal(rules_render_replace(SPAN_LITERAL("table inet handfast {\n}\n"), &out), ERR_NONE);
	assert_string_equal(buf_cstr(&out), "add table inet handfast\ndelete table inet handfast\n"
					    "table inet handfast {\n}\n");
}

static void finding_p1_rewrites_existing_chains_without_removing_them_from_their_hooks(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT(RULES_TEXT_MAX);
	assert_int_equal(rules_render_rewrite(SPAN_LITERAL("table inet handfast {\n}\n"), &out), ERR_NONE);
	assert_string_equal(buf_cstr(&out), "add table inet handfast\nflush table inet handfast\n"
					    "table inet handfast {\n}\n");
}

static bool has_outbound_guard(const char *table)
{
	return rules_guard_is_present(span_of_str(table), &RULES_GUARDS[1]);
}

static void finding_p1_recognizes_a_guard_by_its_hook_and_last_rules(_unused_ void **state)
{
	struct rules rules = {.exempt_ssh = true};
	_cleanup_(buf_done) struct buf out = BUF_INIT(RULES_TEXT_MAX);
	assert_int_equal(rules_render_table(&rules, &out), ERR_NONE);
	for (size_t i = 0; i < RULES_NUM_GUARDS; i++)
		assert_true(rules_guard_is_present(buf_span(&out), &RULES_GUARDS[i]));
	struct rules_guard other = RULES_GUARDS[0];
	other.hook = RULES_GUARDS[1].hook;
	assert_false(rules_guard_is_present(buf_span(&out), &other));
	other = RULES_GUARDS[0];
	other.end = RULES_GUARDS[1].end;
	assert_false(rules_guard_is_present(buf_span(&out), &other));
	assert_false(has_outbound_guard(""));
	assert_false(has_outbound_guard("table inet handfast {\n\tchain outbound_guard {\n\t\ttype filter hook output "
					"priority filter; policy accept;\n\t}\n}\n"));
	assert_false(has_outbound_guard("table inet handfast {\n\tchain outbound_guard {\n"));
	assert_false(has_outbound_guard("table inet handfast {\n\tchain outbound_guard {\n" RULES_OUTBOUND_GUARD_END));
}

static void finding_p1_sums_the_packets_that_a_guard_dropped(_unused_ void **state)
{
	static const char table[] = "table inet handfast {\n\tchain inbound_guard {\n"
				    "\t\tcounter packets 100 bytes 5 drop\n\t}\n\n\tchain outbound_guard {\n"
				    "\t\tct state invalid counter packets 7 bytes 900 drop\n"
				    "\t\tcounter packets 12345678901 bytes 1 drop\n\t}\n}\n";
	assert_int_equal(rules_guard_packets(span_of_str(table), RULES_OUTBOUND_GUARD), 12345678908);
	assert_int_equal(rules_guard_packets(span_of_str(table), RULES_INBOUND_GUARD), 100);
	assert_int_equal(rules_guard_packets(span_of_str("counter packets 3"), RULES_INBOUND_GUARD), 0);
}

static void finding_p11_matches_sockets_if_the_kernel_can(_unused_ void **state)
{
	struct rules rules = {.kernel_has_socket = true};
	_cleanup_(buf_done) struct buf out = BUF_INIT(RULES_TEXT_MAX);
	assert_int_equal(rules_render_table(&rules, &out), ERR_NONE);
	assert_non_null(strstr(buf_cstr(&out), "\t\ttcp flags != syn / syn,ack socket wildcard 0 return\n"
					       "\t\tmeta l4proto 6 redirect to :15006\n"));
}

static void removes_only_its_own_table(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT(RULES_TEXT_MAX);
	assert_int_equal(rules_render_remove(&out), ERR_NONE);
	assert_string_equal(buf_cstr(&out), "add table inet handfast\ndelete table inet handfast\n");
}

static void mode_tproxy_marks_answers_and_stops_marked_packets_that_leave(void **state)
{
	(void)state;
	_cleanup_(buf_done) struct buf table = BUF_INIT(RULES_TEXT_MAX), plain = BUF_INIT(RULES_TEXT_MAX);
	const struct rules rules = {.keeps_source = true}, redirect = {.keeps_source = false};
	assert_int_equal(rules_render_table(&rules, &table), ERR_NONE);
	assert_int_equal(rules_render_table(&redirect, &plain), ERR_NONE);
	assert_non_null(strstr(buf_cstr(&table), "ct direction reply ct mark 0x00000539 meta mark set 0x00000539"));
	assert_non_null(strstr(buf_cstr(&table), "oif \"lo\" accept\n\t\tmeta mark 0x00000539 counter drop"));
	assert_null(strstr(buf_cstr(&plain), "mark"));
	for (size_t i = 0; i < RULES_NUM_GUARDS; i++)
		assert_true(rules_guard_is_present(buf_span(&table), &RULES_GUARDS[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mode_tproxy_marks_answers_and_stops_marked_packets_that_leave),
		cmocka_unit_test(redirects_all_but_the_exempt_without_exclusions),
		cmocka_unit_test(writes_exclusions_into_all_chains),
		cmocka_unit_test(exempts_ssh_in_both_directions_on_request),
		cmocka_unit_test(does_not_exempt_ssh_by_default),
		cmocka_unit_test(keeps_ports_sorted_and_unique),
		cmocka_unit_test(refuses_one_port_or_network_too_many),
		cmocka_unit_test(fits_its_buffer_when_everything_is_full),
		cmocka_unit_test(replaces_the_table_in_one_transaction),
		cmocka_unit_test(finding_p1_rewrites_existing_chains_without_removing_them_from_their_hooks),
		cmocka_unit_test(finding_p1_recognizes_a_guard_by_its_hook_and_last_rules),
		cmocka_unit_test(finding_p1_sums_the_packets_that_a_guard_dropped),
		cmocka_unit_test(finding_p11_matches_sockets_if_the_kernel_can),
		cmocka_unit_test(removes_only_its_own_table),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
