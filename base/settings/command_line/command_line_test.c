#include "base/settings/command_line/command_line.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the three above */
#include <cmocka.h>

static const struct cli_command commands[] = {
	{"run", "", "runs"},
	{"token create", "--id ID", "a token"},
	{"token revoke", "TOKEN-ID", "no token"},
	{"ban", "ID", "a ban"},
	{"ban list", "", "bans"},
	{"show", "[NAME] [--id ID]", "one or all"},
	{"wait", "[--id ID]", "waits"},
};
static const struct cli_flag flags[] = {{"id", "ID", "whose", false}, {"network", "CIDR", "where", true},
	{"dry-run", NULL, "nothing", false}, {"file", "FILE", "what", false, 'f'}};
static const struct setting_renamed renamed[] = {{"mesh.first_grace", "mesh.claim_grace"}, {NULL, NULL}};
static const struct setting_def rows[] = {
	{"mesh.networks", SETTING_TYPE_NETWORKS, "", "", "required", 1, "The mesh."},
	{"mesh.claim_grace", SETTING_TYPE_DURATION, "", "1s to 365d", "24h", RESTART, "How long."},
	{"limits.all", SETTING_TYPE_NUMBER, "connections", "1 to 9", "automatic", RESTART, "Limit."},
	{"services", SETTING_TYPE_SECTIONS, "", "", "", 1, "Services."},
};
static const struct setting_table settings = {"HANDFAST_TEST", rows, 4, renamed};
static const struct cli_program program = {.name = "handfast-test",
	.about = "Tests.",
	.commands = commands,
	.num_commands = sizeof commands / sizeof commands[0],
	.default_command = "run",
	.flags = flags,
	.num_flags = sizeof flags / sizeof flags[0],
	.settings = &settings,
	.release = "1.2.3"};

#define PARSE(line, ...)                                                                                               \
	char *argv[] = {"handfast-test", __VA_ARGS__};                                                                 \
	_cleanup_(command_line_done) struct command_line line;                                                         \
	command_line_parse(&program, (int)(sizeof argv / sizeof argv[0]), argv, &line)

static void finding_o6_takes_flags_anywhere_in_both_spellings(_unused_ void **state)
{
	PARSE(line, "--output", "json", "token", "--id=spiffe://td/a", "create", "--network", "192.0.2.0/24",
		"--network=198.51.100.0/24", "--dry-run", "--mesh.claim-grace", "5s", "--mesh.networks=a=b");
	assert_string_equal(buf_cstr(&line.errors), "");
	assert_true(command_line_is(&line, "token create"));
	assert_true(line.json && command_line_has(&line, "dry-run"));
	assert_string_equal(command_line_value(&line, "id"), "spiffe://td/a");
	assert_string_equal(line.values[2].text, "192.0.2.0/24");
	assert_string_equal(line.values[3].text, "198.51.100.0/24");
	assert_string_equal(line.values[5].name, "mesh.claim_grace");
	assert_true(line.values[5].is_key);
	assert_string_equal(line.values[6].text, "a=b");
	assert_string_equal(command_line_setting(&line, "mesh.networks"), "a=b");
	assert_null(command_line_value(&line, "mesh.networks")); /* a key is no flag of the program's own */
}

static void takes_the_letter_of_a_flag(_unused_ void **state)
{
	PARSE(line, "ban", "-f", "-", "x");
	assert_string_equal(buf_cstr(&line.errors), "");
	assert_string_equal(command_line_value(&line, "file"), "-");
	assert_int_equal(line.num_arguments, 1);
}

static void refuses_a_letter_without_a_value_or_with_more(_unused_ void **state)
{
	PARSE(line, "ban", "-fx", "-f");
	assert_non_null(strstr(buf_cstr(&line.errors), "flag: '-fx' is not valid"));
	assert_non_null(strstr(buf_cstr(&line.errors), "--file: no value is given; expected: FILE"));
}

static void finding_o6_every_error_is_named_at_once(_unused_ void **state)
{
	PARSE(line, "token", "make", "--color=red", "-x", "--id", "--dry-run=maybe", "--output=xml", "--network");
	assert_string_equal(buf_cstr(&line.errors),
		"flag: '--color=red' is not valid; expected: one that --help lists; fix: see `handfast-test --help`\n"
		"flag: '-x' is not valid; expected: flags with two dashes; fix: see `handfast-test --help`\n"
		"--id: no value is given; expected: ID; fix: see `handfast-test token --help`\n"
		"--dry-run: 'maybe' is not valid; expected: true or false, or no value; fix: see `handfast-test token "
		"--help`\n"
		"--network: no value is given; expected: CIDR; fix: see `handfast-test token --help`\n"
		"--output: 'xml' is not valid; expected: text or json; fix: see `handfast-test token --help`\n"
		"command: 'token make' is not valid; expected: token create, token revoke; fix: see `handfast-test "
		"token --help`\n");
}

static void an_unknown_command_is_answered_with_the_first_words_of_all(_unused_ void **state)
{
	PARSE(line, "lift");
	assert_string_equal(buf_cstr(&line.errors), "command: 'lift' is not valid; expected: run, token, ban, show, "
						    "wait; fix: see `handfast-test --help`\n");
}

static void a_flag_given_twice_is_an_error(_unused_ void **state)
{
	PARSE(line, "wait", "--id", "a", "--id", "b", "--network", "a", "--network", "b", "--mesh.networks=1",
		"--mesh.networks=2");
	assert_string_equal(buf_cstr(&line.errors),
		"--id: it is given twice; expected: it once; fix: see `handfast-test wait --help`\n"
		"--mesh.networks: it is given twice; expected: it once; fix: see `handfast-test --keys`\n");
}

static void a_former_name_of_a_setting_is_refused_with_the_new_one(_unused_ void **state)
{
	PARSE(line, "--mesh.first-grace=5s", "--mesh.first_grace", "5s");
	assert_string_equal(buf_cstr(&line.errors), "--mesh.first_grace: this is its name in 0.1.0; expected: the name "
						    "--mesh.claim_grace; fix: see `handfast-test --keys`\n"
						    "--mesh.first_grace: this is its name in 0.1.0; expected: the name "
						    "--mesh.claim_grace; fix: see `handfast-test --keys`\n");
}

static void words_behind_the_command_are_its_arguments(_unused_ void **state)
{
	PARSE(line, "token", "revoke", "--", "--id");
	assert_string_equal(buf_cstr(&line.errors), "");
	assert_int_equal(line.num_arguments, 1);
	assert_string_equal(line.arguments[0], "--id");
}

static void words_may_be_left_out_where_they_are_in_brackets(_unused_ void **state)
{
	PARSE(line, "show", "one");
	assert_string_equal(buf_cstr(&line.errors), "");
	assert_string_equal(line.arguments[0], "one");
	char *none[] = {"handfast-test", "show"}, *more[] = {"handfast-test", "wait", "one"};
	_cleanup_(command_line_done) struct command_line without, waits;
	command_line_parse(&program, 2, none, &without);
	assert_int_equal(buf_len(&without.errors) + without.num_arguments, 0);
	command_line_parse(&program, 3, more, &waits);
	assert_non_null(strstr(buf_cstr(&waits.errors), "wait: 'one' is not valid; expected: no further word"));
}

static void the_longest_command_is_meant(_unused_ void **state)
{
	PARSE(line, "ban", "list");
	assert_true(command_line_is(&line, "ban list"));
}

static void without_a_command_the_default_one_is_meant(_unused_ void **state)
{
	PARSE(line, "--check");
	assert_true(line.checks_only && command_line_is(&line, "run"));
}

static void a_word_too_many_is_an_error(_unused_ void **state)
{
	PARSE(line, "run", "again");
	assert_string_equal(buf_cstr(&line.errors),
		"run: 'again' is not valid; expected: no further word; fix: see `handfast-test run --help`\n");
}

static void finding_o6_help_names_all_commands_flags_settings_and_codes(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT(65536), json = BUF_INIT(65536);
	static const char *const words[] = {"token create --id ID", "--network CIDR", "--check", "--version",
		"mesh.claim_grace", "HANDFAST_TEST_KEY", "  65  stored state", "  77  permission"};
	assert_int_equal(command_line_help(&program, "", false, &text), ERR_NONE);
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		assert_non_null(strstr(buf_cstr(&text), words[i]));
	assert_int_equal(command_line_help(&program, "", true, &json), ERR_NONE);
	assert_non_null(strstr(buf_cstr(&json), "\"words\": \"token revoke\""));
	assert_non_null(strstr(buf_cstr(&json), "\"settings\""));
}

static void keys_are_listed_with_all_columns_of_the_table(_unused_ void **state)
{
	static const struct cli_program none = {.name = "handfast-none"};
	_cleanup_(buf_done) struct buf text = BUF_INIT(65536), json = BUF_INIT(65536), other = BUF_INIT(65536);
	assert_int_equal(command_line_keys(&program, false, &text), ERR_NONE);
	assert_string_equal(buf_cstr(&text),
		"mesh.networks: list of networks; required; takes effect at a reload\n      The mesh.\n"
		"mesh.claim_grace: duration; 1s to 365d; default 24h; takes effect at a restart\n      How long.\n"
		"limits.all: number (connections); 1 to 9; default automatic; takes effect at a restart\n      Limit.\n"
		"services: list of sections; default none; takes effect at a reload; in the file only\n      "
		"Services.\n");
	assert_int_equal(command_line_keys(&program, true, &json), ERR_NONE);
	assert_non_null(strstr(buf_cstr(&json), "\"takes_effect\": \"reload\""));
	assert_int_equal(command_line_keys(&none, false, &other), ERR_NONE);
	assert_string_equal(buf_cstr(&other), "handfast-none has no settings; --help lists its flags\n");
}

static void finding_o6_each_error_has_one_exit_code(_unused_ void **state)
{
	assert_int_equal(cli_exit_of(ERR_NONE), 0);
	assert_int_equal(cli_exit_of(ERR_REFUSED), 1);
	assert_int_equal(cli_exit_of(ERR_CONFIG), 64);
	assert_int_equal(cli_exit_of(ERR_STATE_DAMAGED), 65);
	assert_int_equal(cli_exit_of(ERR_EXISTS), 69);
	assert_int_equal(cli_exit_of(ERR_SYSTEM), 70);
	assert_int_equal(cli_exit_of(ERR_DENIED), 77);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finding_o6_takes_flags_anywhere_in_both_spellings),
		cmocka_unit_test(takes_the_letter_of_a_flag),
		cmocka_unit_test(refuses_a_letter_without_a_value_or_with_more),
		cmocka_unit_test(finding_o6_every_error_is_named_at_once),
		cmocka_unit_test(an_unknown_command_is_answered_with_the_first_words_of_all),
		cmocka_unit_test(a_flag_given_twice_is_an_error),
		cmocka_unit_test(a_former_name_of_a_setting_is_refused_with_the_new_one),
		cmocka_unit_test(words_behind_the_command_are_its_arguments),
		cmocka_unit_test(words_may_be_left_out_where_they_are_in_brackets),
		cmocka_unit_test(the_longest_command_is_meant),
		cmocka_unit_test(without_a_command_the_default_one_is_meant),
		cmocka_unit_test(a_word_too_many_is_an_error),
		cmocka_unit_test(finding_o6_help_names_all_commands_flags_settings_and_codes),
		cmocka_unit_test(keys_are_listed_with_all_columns_of_the_table),
		cmocka_unit_test(finding_o6_each_error_has_one_exit_code),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
