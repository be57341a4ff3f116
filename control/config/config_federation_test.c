#include "control/config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static enum err read_text(const char *federation, struct control_config **out)
{
	_cleanup_(settings_freep) struct settings *settings = settings_new(&control_settings);
	char yaml[1024];
	snprintf(yaml, sizeof yaml, "trust_domain: own.test\nmesh: {networks: [192.0.2.0/24]}\nfederation: {%s}\n",
		federation);
	settings_read_text(settings, "control.yaml", span_of_str(yaml));
	return control_config_read(settings, out);
}

#define PARTNER(more) "partners: [{trust_domain: p.test, url: 'https://h/'" more "}]"

static void partners_are_read_and_copied(void **state)
{
	static const struct {
		const char *url, *host, *path;
		unsigned port;
	} rows[] = {{"https://bundle.example", "bundle.example", "/", 443},
		{"https://bundle.example:8443/a/b?c", "bundle.example", "/a/b?c", 8443},
		{"https://[2001:db8::1]:1/", "2001:db8::1", "/", 1}, {"https://192.0.2.1/x", "192.0.2.1", "/x", 443}};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		_cleanup_(control_config_freep) struct control_config *config = NULL;
		struct config_partner copy;
		char text[256];
		snprintf(text, sizeof text, "partners: [{trust_domain: p.test, url: '%s', profile: https_spiffe}]",
			rows[i].url);
		assert_int_equal(read_text(text, &config), ERR_NONE);
		config_partner_copy(&config->federation.partners[0], &copy);
		assert_string_equal(copy.host, rows[i].host);
		assert_string_equal(copy.path, rows[i].path);
		assert_int_equal(copy.port, rows[i].port);
		assert_string_equal(copy.endpoint_id.text, "spiffe://p.test/handfast/federation");
		config_partner_done(&copy);
	}
}

static void the_own_trust_domain_and_what_fits_nothing_are_errors(void **state)
{
	static const char *const refused[] = {"partners: [{trust_domain: own.test, url: 'https://h/'}]",
		"partners: [{trust_domain: a.test, url: 'https://h/'}, {trust_domain: a.test, url: 'https://g/'}]",
		"partners: [{url: 'https://h/'}]", "partners: [{trust_domain: a.test}]",
		"partners: [{trust_domain: 'A.test', url: 'https://h/'}]",
		"partners: [{trust_domain: a.test, url: 'http://h/'}]",
		"partners: [{trust_domain: a.test, url: 'https://'}]",
		"partners: [{trust_domain: a.test, url: 'https:///x'}]",
		"partners: [{trust_domain: a.test, url: 'https://h:0/'}]",
		"partners: [{trust_domain: a.test, url: 'https://h:65536/'}]",
		"partners: [{trust_domain: a.test, url: 'https://u@h/'}]",
		"partners: [{trust_domain: a.test, url: 'https://[::1/'}]",
		"partners: [{trust_domain: a.test, url: 'https://h/ x'}]",
		"partners: [{trust_domain: a.test, url: \"https://h/\\r\\nX: y\"}]", "certificate: /c.pem",
		"key: /k.pem", "port: 15012"};
	static const char *const refused_members[] = {PARTNER(", endpoint_spiffe_id: 'spiffe://p.test/x'"),
		PARTNER(", profile: https_spiffe, endpoint_spiffe_id: 'spiffe://other.test/x'"),
		PARTNER(", profile: https_spiffe, endpoint_spiffe_id: 'x'"),
		PARTNER(", profile: https_spiffe, ca: /ca.pem")};
	struct control_config *config = NULL;
	(void)state;
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
		if (read_text(refused[i], &config) != ERR_CONFIG)
			fail_msg("taken: %s", refused[i]);
	for (size_t i = 0; i < sizeof refused_members / sizeof refused_members[0]; i++)
		if (read_text(refused_members[i], &config) != ERR_CONFIG)
			fail_msg("taken: %s", refused_members[i]);
	assert_null(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(partners_are_read_and_copied),
		cmocka_unit_test(the_own_trust_domain_and_what_fits_nothing_are_errors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
