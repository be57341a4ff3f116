#include "control/config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define FILES "ca: /ca, certificate: /crt, key: /key"

static enum err read_text(const char *etcd, struct control_config **out)
{
	_cleanup_(settings_freep) struct settings *settings = settings_new(&control_settings);
	char yaml[512];
	snprintf(yaml, sizeof yaml, "mesh: {networks: [192.0.2.0/24]}\nstore: {etcd: {%s}}\n", etcd);
	settings_read_text(settings, "control.yaml", span_of_str(yaml));
	return control_config_read(settings, out);
}

static void members_are_read(void **state)
{
	_cleanup_(control_config_freep) struct control_config *config = NULL;
	(void)state;
	assert_int_equal(
		read_text("endpoints: ['etcd1.example:2379', '192.0.2.1:1', '[2001:db8::1]:65535'], " FILES, &config),
		ERR_NONE);
	assert_int_equal(config->etcd.num_endpoints, 3);
	assert_string_equal(config->etcd.endpoints[0].host, "etcd1.example");
	assert_string_equal(config->etcd.endpoints[2].host, "2001:db8::1");
	assert_int_equal(config->etcd.endpoints[2].port, 65535);
	assert_string_equal(config->etcd.prefix, "/handfast/");
	assert_string_equal(config->etcd.key, "/key");
}

static void without_members_the_store_is_a_file(void **state)
{
	_cleanup_(control_config_freep) struct control_config *config = NULL;
	(void)state;
	assert_int_equal(read_text("", &config), ERR_NONE);
	assert_int_equal(config->etcd.num_endpoints, 0);
}

static void a_user_has_a_password_file(void **state)
{
	_cleanup_(control_config_freep) struct control_config *config = NULL;
	(void)state;
	assert_int_equal(
		read_text("endpoints: ['etcd1:2379'], user: hf, password_file: /password, " FILES, &config), ERR_NONE);
	assert_string_equal(config->etcd.user, "hf");
	assert_string_equal(config->etcd.password_file, "/password");
}

static void what_fits_nothing_is_an_error(void **state)
{
	static const char *const refused[] = {"endpoints: [etcd1], " FILES, "endpoints: ['etcd1:0'], " FILES,
		"endpoints: ['etcd1:65536'], " FILES, "endpoints: [':2379'], " FILES, "endpoints: ['[]:2379'], " FILES,
		"endpoints: ['2001:db8::1:2379'], " FILES, "endpoints: ['https://etcd1:2379'], " FILES,
		"endpoints: ['a b:2379'], " FILES, "endpoints: ['etcd1:2379'], ca: /ca, certificate: /crt",
		"endpoints: ['etcd1:2379']", FILES, "endpoints: ['etcd1:2379'], prefix: '/a', " FILES,
		"endpoints: ['etcd1:2379'], user: hf, " FILES,
		"endpoints: ['etcd1:2379'], password_file: /password, " FILES,
		"endpoints: ['etcd1:2379'], user: '', password_file: /password, " FILES,
		"user: hf, password_file: /password", "endpoints: ['etcd1:2379'], prefix: '/ a/', " FILES, "prefix: ''",
		"endpoints: ['a:1','a:1','a:1','a:1','a:1','a:1','a:1','a:1','a:1','a:1','a:1','a:1','a:1','a:1','a:1',"
		"'a:1','a:1'], " FILES};
	struct control_config *config = NULL;
	(void)state;
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
		if (read_text(refused[i], &config) != ERR_CONFIG)
			fail_msg("taken: %s", refused[i]);
	}
	assert_null(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(members_are_read),
		cmocka_unit_test(without_members_the_store_is_a_file),
		cmocka_unit_test(a_user_has_a_password_file),
		cmocka_unit_test(what_fits_nothing_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
