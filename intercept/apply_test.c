#include "base/net/rules_proof.h"
#include "base/net/test_namespace.h"
#include "intercept/apply.h"
#include "intercept/loopback_addr.h"
#include "intercept/rules.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the four headers above */
#include <cmocka.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

static void add_network(struct rules *rules, const char *text)
{
	struct network network;
	assert_int_equal(network_parse(span_of_str(text), &network), ERR_NONE);
	assert_int_equal(rules_add_network(rules, &network), ERR_NONE);
}

static void put(const struct rules *rules, struct buf *out_table)
{
	_cleanup_(buf_done) struct buf commands = BUF_INIT(2 * RULES_TEXT_MAX);
	assert_int_equal(rules_render_table(rules, out_table), ERR_NONE);
	assert_int_equal(rules_render_replace(buf_span(out_table), &commands), ERR_NONE);
	assert_int_equal(apply_commands(buf_cstr(&commands), NULL), ERR_NONE);
}

static void assert_listed_as_written(const struct rules *rules)
{
	_cleanup_(buf_done) struct buf written = BUF_INIT(RULES_TEXT_MAX), listed = BUF_INIT(RULES_TEXT_MAX);
	put(rules, &written);
	assert_int_equal(apply_list_table(RULES_TABLE, &listed, NULL), ERR_NONE);
	assert_string_equal(buf_cstr(&listed), buf_cstr(&written));
}

/* check compares text, so the kernel must list exactly the text that was rendered. */
static void lists_exactly_what_the_rules_render(_unused_ void **state)
{
	struct rules rules = {0};
	assert_listed_as_written(&rules);
	assert_listed_as_written(&rules);
	rules.exempt_ssh = true;
	rules.kernel_has_socket = true; /* as in the kernels that the tests run on */
	assert_int_equal(port_list_add(&rules.exclude_inbound, 9100), ERR_NONE);
	assert_int_equal(port_list_add(&rules.exclude_outbound, 25), ERR_NONE);
	const char *const networks[] = {"10.0.0.0/8", "10.0.0.0/16", "192.0.2.7", "0.0.0.0/0", "2001:db8::/32",
		"2001:db8::9", "::/0", "fe80::1:0:0:0/80"};
	for (size_t i = 0; i < sizeof(networks) / sizeof(networks[0]); i++)
		add_network(&rules, networks[i]);
	assert_listed_as_written(&rules);
}

/* Removing a chain from its hook and adding a new one would leave a gap. */
/* /etc/protocols is of a package that images and a minimal Debian lack. */
static void lists_the_same_where_no_protocol_has_a_name(_unused_ void **state)
{
	const struct rules plain = {0};
	assert_int_equal(unshare(CLONE_NEWNS), 0);
	assert_int_equal(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	bool has_names = access("/etc/protocols", F_OK) == 0;
	if (has_names)
		assert_int_equal(mount("/dev/null", "/etc/protocols", NULL, MS_BIND, NULL), 0);
	assert_listed_as_written(&plain);
	if (has_names)
		assert_int_equal(umount("/etc/protocols"), 0);
}

static void finding_p1_keeps_the_chains_when_rules_are_rewritten(_unused_ void **state)
{
	struct rules rules = {0};
	_cleanup_(buf_done) struct buf first = BUF_INIT(RULES_TEXT_MAX), second = BUF_INIT(RULES_TEXT_MAX),
				       commands = BUF_INIT(2 * RULES_TEXT_MAX), listed = BUF_INIT(RULES_TEXT_MAX);
	put(&rules, &first);
	assert_int_equal(apply_commands("add chain inet handfast kept\n", NULL), ERR_NONE);
	assert_int_equal(port_list_add(&rules.exclude_outbound, 25), ERR_NONE);
	assert_int_equal(rules_render_table(&rules, &second), ERR_NONE);
	assert_int_equal(rules_render_rewrite(buf_span(&second), &commands), ERR_NONE);
	assert_int_equal(apply_commands(buf_cstr(&commands), NULL), ERR_NONE);
	assert_int_equal(apply_list_table(RULES_TABLE, &listed, NULL), ERR_NONE);
	assert_non_null(strstr(buf_cstr(&listed), "chain kept"));
	assert_int_equal(apply_commands("delete chain inet handfast kept\n", NULL), ERR_NONE);
	buf_clear(&listed);
	assert_int_equal(apply_list_table(RULES_TABLE, &listed, NULL), ERR_NONE);
	assert_string_equal(buf_cstr(&listed), buf_cstr(&second));
}

static void finds_no_table_after_it_was_removed_twice(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf commands = BUF_INIT(256), listed = BUF_INIT(RULES_TEXT_MAX);
	assert_int_equal(rules_render_remove(&commands), ERR_NONE);
	assert_int_equal(apply_commands(buf_cstr(&commands), NULL), ERR_NONE);
	assert_int_equal(apply_commands(buf_cstr(&commands), NULL), ERR_NONE);
	assert_int_equal(apply_list_table(RULES_TABLE, &listed, NULL), ERR_NOT_FOUND);
}

static void the_rules_prove_themselves_while_they_are_there(_unused_ void **state)
{
	static const char refuse_all[] =
		"add table inet theirs\n"
		"add chain inet theirs out { type filter hook output priority 0; policy drop; }\n";
	const struct rules plain = {0};
	_cleanup_(buf_done) struct buf written = BUF_INIT(RULES_TEXT_MAX);
	assert_int_equal(rules_proof_ask(), RULES_PROOF_MISSING); /* no address */
	assert_int_equal(loopback_addr_add(AF_INET, NULL), ERR_NONE);
	assert_int_equal(rules_proof_ask(), RULES_PROOF_MISSING);
	put(&plain, &written);
	assert_int_equal(rules_proof_ask(), RULES_PROOF_GIVEN);
	assert_int_equal(apply_commands("flush ruleset\n", NULL), ERR_NONE);
	assert_int_equal(rules_proof_ask(), RULES_PROOF_MISSING);
	assert_int_equal(apply_commands(refuse_all, NULL), ERR_NONE);
	assert_int_equal(rules_proof_ask(), RULES_PROOF_UNKNOWN); /* a firewall's drop is no proof */
	assert_int_equal(apply_commands("flush ruleset\n", NULL), ERR_NONE);
	assert_int_equal(loopback_addr_remove(AF_INET, NULL), ERR_NONE);
}

static void changes_no_other_table(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf commands = BUF_INIT(256), listed = BUF_INIT(RULES_TEXT_MAX);
	assert_int_equal(apply_commands("add table inet theirs\n", NULL), ERR_NONE);
	assert_int_equal(rules_render_remove(&commands), ERR_NONE);
	assert_int_equal(apply_commands(buf_cstr(&commands), NULL), ERR_NONE);
	assert_int_equal(apply_list_table("theirs", &listed, NULL), ERR_NONE);
}

static void changes_nothing_when_one_command_of_many_fails(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf listed = BUF_INIT(RULES_TEXT_MAX);
	struct why why = {0};
	assert_int_not_equal(apply_commands("add table inet first\ndelete table inet not_there\n", &why), ERR_NONE);
	assert_string_not_equal(why.got, "");
	assert_int_equal(apply_list_table("first", &listed, NULL), ERR_NOT_FOUND);
}

static void changes_nothing_in_a_dry_run(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf listed = BUF_INIT(RULES_TEXT_MAX);
	assert_int_equal(apply_try("table inet tried {\n}\n", NULL), ERR_NONE);
	assert_int_equal(apply_list_table("tried", &listed, NULL), ERR_NOT_FOUND);
	assert_int_not_equal(apply_try("table inet tried {\nnonsense\n}\n", NULL), ERR_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_exactly_what_the_rules_render),
		cmocka_unit_test(lists_the_same_where_no_protocol_has_a_name),
		cmocka_unit_test(finding_p1_keeps_the_chains_when_rules_are_rewritten),
		cmocka_unit_test(finds_no_table_after_it_was_removed_twice),
		cmocka_unit_test(the_rules_prove_themselves_while_they_are_there),
		cmocka_unit_test(changes_no_other_table),
		cmocka_unit_test(changes_nothing_when_one_command_of_many_fails),
		cmocka_unit_test(changes_nothing_in_a_dry_run),
	};
	return cmocka_run_group_tests(tests, test_namespace_enter, NULL);
}
