#include "control/config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static enum err read_text(const char *ca, struct control_config **out)
{
	_cleanup_(settings_freep) struct settings *settings = settings_new(&control_settings);
	char yaml[512];
	snprintf(yaml, sizeof yaml, "mesh: {networks: [192.0.2.0/24]}\nidentity: {ca: {%s}}\n", ca);
	settings_read_text(settings, "control.yaml", span_of_str(yaml));
	return control_config_read(settings, out);
}

static void by_default_the_signer_is_the_authority(_unused_ void **state)
{
	_cleanup_(control_config_freep) struct control_config *config = NULL;
	assert_int_equal(read_text("", &config), ERR_NONE);
	assert_int_equal(config->ca.source, CA_SOURCE_BUILT_IN);
	assert_null(config->ca.certificate);
	assert_int_equal(config->ca.num_words, 0);
}

static void files_and_a_command_are_read(_unused_ void **state)
{
	_cleanup_(control_config_freep) struct control_config *files = NULL, *command = NULL;
	assert_int_equal(read_text("source: files, certificate: /c, key: /k, root: /r", &files), ERR_NONE);
	assert_int_equal(files->ca.source, CA_SOURCE_FILES);
	assert_string_equal(files->ca.key, "/k");
	assert_int_equal(
		read_text("source: command, command: [/bin/sign, --role, mesh], command_timeout: 5s", &command),
		ERR_NONE);
	assert_int_equal(command->ca.num_words, 3);
	assert_string_equal(command->ca.command[2], "mesh");
	assert_int_equal(command->ca.timeout_ms, 5000);
}

static void a_token_is_read(_unused_ void **state)
{
	_cleanup_(control_config_freep) struct control_config *config = NULL;
	assert_int_equal(read_text("source: pkcs11, certificate: /c, root: /r, pkcs11: {module: /m, token: t, key: k, "
				   "pin_file: /p}",
				 &config),
		ERR_NONE);
	assert_string_equal(config->ca.pkcs11.token, "t");
	assert_string_equal(config->ca.pkcs11.program, "/usr/local/bin/handfast-pkcs11");
	assert_null(config->ca.key);
}

static void what_fits_nothing_is_an_error(_unused_ void **state)
{
	static const char *const refused[] = {"source: files", "source: files, certificate: /c, key: /k",
		"source: files, certificate: c, key: /k, root: /r", "certificate: /c", "source: command",
		"source: command, command: [sign]", "command: [/bin/sign]", "source: vault",
		"source: command, command: [/bin/sign], key: /k", "pkcs11: {module: /m}",
		"source: pkcs11, certificate: /c, root: /r, pkcs11: {module: /m, token: t, pin_file: /p}",
		"source: command, command: [/bin/sign], command_timeout: 1h"};
	struct control_config *config = NULL;
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
		if (read_text(refused[i], &config) != ERR_CONFIG)
			fail_msg("taken: %s", refused[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_default_the_signer_is_the_authority),
		cmocka_unit_test(files_and_a_command_are_read),
		cmocka_unit_test(a_token_is_read),
		cmocka_unit_test(what_fits_nothing_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
