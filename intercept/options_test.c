#include "intercept/options.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
/* cmocka requires the four headers above */
#include <cmocka.h>

#define WORDS_MAX 16

/* Parses `handfast-init WORDS` (split at spaces) under an environment of at most one variable. */
struct parsed {
	char words[512];
	struct command_line line;
	struct options options;
	enum err err;
};

static void parsed_done(struct parsed *parsed)
{
	command_line_done(&parsed->line);
}

static void parse(const char *words, const char *variable, struct parsed *out)
{
	char *argv[WORDS_MAX] = {(char *)"handfast-init"}, *rest = NULL;
	char *environment[] = {(char *)"PATH=/bin", (char *)variable, NULL};
	int argc = 1;
	assert_true(strlen(words) < sizeof(out->words));
	memcpy(out->words, words, strlen(words) + 1);
	for (char *word = strtok_r(out->words, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest))
		argv[argc++] = word;
	command_line_parse(&options_program, argc, argv, &out->line);
	out->err = options_read(&out->line, environment, &out->options);
}

static void assert_parses(const char *words, const char *variable, struct options *out)
{
	_cleanup_(parsed_done) struct parsed parsed = {0};
	parse(words, variable, &parsed);
	assert_string_equal(buf_cstr(&parsed.line.errors), "");
	assert_int_equal(parsed.err, ERR_NONE);
	*out = parsed.options;
}

static void assert_errors(const char *words, const char *variable, const char *expected)
{
	_cleanup_(parsed_done) struct parsed parsed = {0};
	parse(words, variable, &parsed);
	assert_int_equal(parsed.err, ERR_CONFIG);
	assert_string_equal(buf_cstr(&parsed.line.errors), expected);
}

static void accepts_every_flag_with_a_space_or_an_equals_sign(_unused_ void **state)
{
	struct options options;
	assert_parses(
		"up --exclude-inbound-ports 8081,80 --exclude-outbound-ports=25 "
		"--exclude-outbound-networks 10.0.0.0/8,2001:db8::/32 --profile=host --confirm-within 5 --output json "
		"--dry-run",
		NULL, &options);
	assert_int_equal(options.command, COMMAND_UP);
	assert_int_equal(options.profile, PROFILE_HOST);
	assert_true(options.rules.exempt_ssh);
	assert_int_equal(options.confirm_within_s, 5);
	assert_true(options.json && options.dry_run);
	assert_int_equal(options.rules.exclude_inbound.num, 2);
	assert_int_equal(options.rules.exclude_inbound.ports[0], 80);
	assert_int_equal(options.rules.exclude_outbound.ports[0], 25);
	assert_int_equal(options.rules.num_exclude_networks, 2);
	assert_int_equal(options.rules.exclude_networks[1].base.family, AF_INET6);
}

static void takes_seconds_with_their_unit(_unused_ void **state)
{
	struct options options;
	assert_parses("up --profile host --confirm-within 90s", NULL, &options);
	assert_int_equal(options.confirm_within_s, 90);
}

static void defaults_to_the_profile_pod(_unused_ void **state)
{
	struct options options;
	assert_parses("check", NULL, &options);
	assert_int_equal(options.command, COMMAND_CHECK);
	assert_int_equal(options.profile, PROFILE_POD);
	assert_false(options.rules.exempt_ssh);
	assert_int_equal(options.confirm_within_s, 60);
	assert_false(options.json || options.dry_run);
	assert_int_equal(options.rules.exclude_inbound.num + options.rules.exclude_outbound.num, 0);
}

static void reads_the_environment_when_there_is_no_flag(_unused_ void **state)
{
	struct options options;
	assert_parses("up", "HANDFAST_INIT_EXCLUDE_OUTBOUND_PORTS=5432", &options);
	assert_int_equal(options.rules.exclude_outbound.ports[0], 5432);
	assert_parses("up", "HANDFAST_INIT_EXCLUDE_OUTBOUND_PORTS=", &options);
	assert_int_equal(options.rules.exclude_outbound.num, 0);
	assert_parses("up", "HANDFAST_INIT_OUTPUT=json", &options);
	assert_true(options.json);
}

static void a_flag_overrides_the_environment(_unused_ void **state)
{
	struct options options;
	assert_parses("up --exclude-outbound-ports 1", "HANDFAST_INIT_EXCLUDE_OUTBOUND_PORTS=2", &options);
	assert_int_equal(options.rules.exclude_outbound.num, 1);
	assert_int_equal(options.rules.exclude_outbound.ports[0], 1);
}

static void finding_o4_notes_an_unknown_variable_without_its_value(_unused_ void **state)
{
	static const char *const names[] = {"HANDFAST_INIT_EXCLUDED_PORTS=80", "HANDFAST_INIT_PROFIL=80",
		"HANDFAST_INIT_PORT=80", "HANDFAST_INIT_PORTS=80", "HANDFAST_INIT_=80",
		"HANDFAST_INIT_PORT_80_TCPX=80"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct options options;
		char name[64];
		assert_parses("up", names[i], &options);
		assert_int_equal(options.num_unknown_variables, 1);
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(names[i], "="), names[i]);
		assert_string_equal(options.unknown_variable, name);
	}
}

static void finding_o4_ignores_the_service_variables_of_kubernetes(_unused_ void **state)
{
	static const char *const links[] = {"HANDFAST_INIT_SERVICE_HOST=10.0.0.1", "HANDFAST_INIT_SERVICE_PORT=80",
		"HANDFAST_INIT_SERVICE_PORT_HTTP=80", "HANDFAST_INIT_PORT=tcp://10.0.0.1:80",
		"HANDFAST_INIT_PORT_80_TCP=tcp://10.0.0.1:80", "HANDFAST_INIT_PORT_80_TCP_ADDR=10.0.0.1",
		"HANDFAST_INIT_PORT_53_UDP_PROTO=udp", "HANDFAST_INIT_WEB_SERVICE_HOST=10.0.0.1",
		"HANDFAST_INIT_WEB_PORT=tcp://10.0.0.1:80", "HANDFAST_INIT_WEB_PORT_80_TCP_PORT=80"};
	struct options options;
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		assert_parses("check", links[i], &options);
		assert_int_equal(options.num_unknown_variables, 0);
	}
}

static void refuses_the_names_of_0_1_0_with_the_new_ones(_unused_ void **state)
{
	static const char flag[] =
		"--json: this is its name in 0.1.0; expected: the name --output; fix: see `handfast-init --keys`\n";
	assert_errors("check --json", NULL, flag);
	assert_errors("--json check", NULL, flag);
	assert_errors("check", "HANDFAST_INIT_JSON=1",
		"HANDFAST_INIT_JSON: this is its name in 0.1.0; expected: the setting output; fix: see `handfast-init "
		"--keys`\n");
}

static void ignores_variables_of_other_programs(_unused_ void **state)
{
	struct options options;
	assert_parses("down", "HANDFAST_TRUST_DOMAIN=x", &options);
}

static void reports_every_error_at_once(_unused_ void **state)
{
	assert_errors(
		"up --profile vm --exclude-inbound-ports 0,80,x,15006 --exclude-outbound-networks 10.0.0.1/8 --no",
		NULL,
		"flag: '--no' is not valid; expected: one that --help lists; fix: see `handfast-init --help`\n"
		"--exclude-inbound-ports: '0' is not valid; expected: ports 1 to 65535, separated by commas; fix: see "
		"`handfast-init --keys`\n"
		"--exclude-inbound-ports: 'x' is not valid; expected: ports 1 to 65535, separated by commas; fix: see "
		"`handfast-init --keys`\n"
		"--exclude-inbound-ports: '15006' is not valid; expected: no port of the sidecar; fix: see "
		"`handfast-init --keys`\n"
		"--exclude-outbound-networks: '10.0.0.1/8' is not valid; expected: networks such as 192.0.2.0/24 or "
		"2001:db8::/32, no host bits set; fix: see `handfast-init --keys`\n"
		"--profile: 'vm' is not valid; expected: pod or host; fix: see `handfast-init --keys`\n");
}

static void refuses_confirm_within_without_the_profile_host(_unused_ void **state)
{
	static const char expected[] =
		"--confirm-within: it is given with another profile; expected: it with "
		"--profile host, the only one that waits for `confirm`; fix: see `handfast-init --keys`\n";
	assert_errors("up --confirm-within 5", NULL, expected);
	assert_errors("up --profile pod", "HANDFAST_INIT_CONFIRM_WITHIN=5", expected);
}

static void refuses_malformed_numbers(_unused_ void **state)
{
	const char *const bad[] = {"65536", "-1", "+1", "1x", "01", "99999", "4294967376", "", "80,", ",80", "80,,81"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		_cleanup_(command_line_done) struct command_line line;
		char *argv[] = {
			(char *)"handfast-init", (char *)"up", (char *)"--exclude-inbound-ports", (char *)bad[i]};
		char *environment[] = {NULL};
		struct options options;
		command_line_parse(&options_program, 4, argv, &line);
		assert_int_equal(options_read(&line, environment, &options), ERR_CONFIG);
	}
}

static void refuses_a_missing_second_or_unknown_command(_unused_ void **state)
{
	assert_errors("", NULL,
		"command: no command is given; expected: up, down, check, confirm; fix: see `handfast-init --help`\n");
	assert_errors("up down", NULL,
		"up: 'down' is not valid; expected: no further word; fix: see `handfast-init up --help`\n");
	assert_errors("upp", NULL,
		"command: 'upp' is not valid; expected: up, down, check, confirm; fix: see `handfast-init --help`\n");
}

static void refuses_a_flag_without_its_value_or_given_twice(_unused_ void **state)
{
	assert_errors("up --profile", NULL,
		"--profile: no value is given; expected: a value; fix: see `handfast-init --keys`\n");
	assert_errors("up --dry-run --dry-run", NULL,
		"--dry-run: it is given twice; expected: it once; fix: see `handfast-init up --help`\n");
	assert_errors("up --output=xml", NULL,
		"--output: 'xml' is not valid; expected: text or json; fix: see `handfast-init up --help`\n");
}

static void refuses_more_ports_than_the_maximum(_unused_ void **state)
{
	char words[512] = "up --exclude-inbound-ports 1";
	for (int port = 2; port <= RULES_MAX_GIVEN + 1; port++) {
		size_t len = strlen(words);
		snprintf(words + len, sizeof(words) - len, ",%d", port);
	}
	assert_errors(words, NULL,
		"--exclude-inbound-ports: '61' is not valid; expected: at most 60 different ports; fix: see "
		"`handfast-init --keys`\n");
}

static void escapes_untrusted_text_in_errors(_unused_ void **state)
{
	_cleanup_(parsed_done) struct parsed parsed = {0};
	parse("\x1b[2J\n", NULL, &parsed);
	assert_int_equal(parsed.err, ERR_CONFIG);
	const char *text = buf_cstr(&parsed.line.errors);
	assert_null(strchr(text, '\x1b'));
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_every_flag_with_a_space_or_an_equals_sign),
		cmocka_unit_test(takes_seconds_with_their_unit),
		cmocka_unit_test(defaults_to_the_profile_pod),
		cmocka_unit_test(reads_the_environment_when_there_is_no_flag),
		cmocka_unit_test(a_flag_overrides_the_environment),
		cmocka_unit_test(finding_o4_notes_an_unknown_variable_without_its_value),
		cmocka_unit_test(finding_o4_ignores_the_service_variables_of_kubernetes),
		cmocka_unit_test(refuses_the_names_of_0_1_0_with_the_new_ones),
		cmocka_unit_test(ignores_variables_of_other_programs),
		cmocka_unit_test(reports_every_error_at_once),
		cmocka_unit_test(refuses_confirm_within_without_the_profile_host),
		cmocka_unit_test(refuses_malformed_numbers),
		cmocka_unit_test(refuses_a_missing_second_or_unknown_command),
		cmocka_unit_test(refuses_a_flag_without_its_value_or_given_twice),
		cmocka_unit_test(refuses_more_ports_than_the_maximum),
		cmocka_unit_test(escapes_untrusted_text_in_errors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
