#include "base/core/mem.h"
#include "sidecar/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static enum err read_text(struct settings *settings, const char *yaml, struct sidecar_config **out)
{
	_cleanup_(mem_freep) char *text = mem_printf("control: {address: 192.0.2.1:15012}\n%s", yaml);
	settings_read_text(settings, "sidecar.yaml", span_of_str(text));
	return sidecar_config_read(settings, out);
}

static void listeners_are_read_in_both_families(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings = settings_new(&sidecar_settings);
	_cleanup_(sidecar_config_freep) struct sidecar_config *config = NULL;
	assert_int_equal(
		read_text(settings,
			"interception: none\ninbound: {proxy_protocol: [80, 8443]}\n"
			"listeners:\n"
			"  outbound: [{listen: '127.0.0.1:5432', to: '192.0.2.3:5432'}, {listen: '[::1]:5432', to: "
			"'[2001:db8::3]:5432'}]\n"
			"  inbound: [{port: 8443, to: '127.0.0.1:8080', mtls: true}, {port: 15001, to: '[::1]:80'}]\n",
			&config),
		ERR_NONE);
	char text[ADDR_TEXT_MAX];
	assert_int_equal(config->interception, INTERCEPTION_NONE);
	assert_int_equal(config->listeners.num_outbound, 2);
	assert_string_equal(addr_format(&config->listeners.outbound[1].to, text), "[2001:db8::3]:5432");
	assert_int_equal(config->listeners.num_inbound, 2);
	assert_int_equal(config->listeners.num_announced, 2);
	assert_true(listeners_announce(&config->listeners, 8443));
	assert_int_equal(config->listeners.inbound[0].port, 8443);
	assert_true(config->listeners.inbound[0].takes_mtls);
	assert_false(config->listeners.inbound[1].takes_mtls);
	assert_string_equal(addr_format(&config->listeners.inbound[0].to, text), "127.0.0.1:8080");
}

static void a_listener_can_lead_to_a_service_by_name(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings = settings_new(&sidecar_settings);
	_cleanup_(sidecar_config_freep) struct sidecar_config *config = NULL;
	assert_int_equal(read_text(settings,
				 "listeners:\n  outbound:\n    - {listen: '127.0.0.1:5432', service: db}\n"
				 "    - {listen: '127.0.0.1:6000', service: shop/web, port: 80}\n",
				 &config),
		ERR_NONE);
	const struct outbound_listener *all = config->listeners.outbound;
	assert_string_equal(all[0].service, "db");
	assert_int_equal(all[0].to.port, 5432);
	assert_string_equal(all[1].service, "shop/web");
	assert_int_equal(all[1].to.port, 80);
	assert_int_equal(all[1].to.ip.family, 0);
}

static void a_name_that_no_service_can_have_is_refused(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings = settings_new(&sidecar_settings);
	char name[LISTENER_SERVICE_MAX + 2] = {0};
	memset(name, 'a', sizeof(name) - 1);
	_cleanup_(mem_freep) char *yaml =
		mem_printf("listeners: {outbound: [{listen: '127.0.0.1:1', service: %s}]}\n", name);
	struct sidecar_config *config = NULL;
	assert_int_equal(read_text(settings, yaml, &config), ERR_CONFIG);
	assert_non_null(strstr(settings_errors(settings), "the name has 254 bytes"));
}

static void without_the_settings_there_is_no_listener_and_rules_redirect(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings = settings_new(&sidecar_settings);
	_cleanup_(sidecar_config_freep) struct sidecar_config *config = NULL;
	assert_int_equal(read_text(settings, "", &config), ERR_NONE);
	assert_int_equal(config->interception, INTERCEPTION_REDIRECT);
	assert_int_equal(config->listeners.num_outbound + config->listeners.num_inbound, 0);
}

static void what_would_conflict_or_open_a_way_in_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *yaml, *reported;
	} cases[] = {
		{"outbound: [{listen: '0.0.0.0:5432', to: '192.0.2.3:1'}]", "other hosts could reach 0.0.0.0:5432"},
		{"outbound: [{listen: '192.0.2.9:5432', to: '192.0.2.3:1'}]", "a loopback address to listen on"},
		{"outbound: [{listen: '127.0.0.1:1', to: '127.0.0.1:2'}]", "which is this host"},
		{"outbound: [{listen: '127.0.0.1:1', to: '0.0.0.0:2'}]", "which is this host"},
		{"outbound: [{listen: '127.0.0.1:1', to: 'db:5432'}]", "the value is 'db:5432'"},
		{"outbound: [{listen: '127.0.0.1:0', to: '192.0.2.3:1'}]", "the value is '127.0.0.1:0'"},
		{"outbound: [{listen: '127.0.0.1:1'}]", "'to' is missing"},
		{"outbound: [{listen: '127.0.0.1:1', service: db, to: '192.0.2.3:1'}]", "both are set"},
		{"outbound: [{listen: '127.0.0.1:1', service: ''}]", "the name has 0 bytes"},
		{"outbound: [{listen: '127.0.0.1:1', port: 5432, to: '192.0.2.3:1'}]",
			"'port' is set without 'service'"},
		{"outbound: [{to: '192.0.2.3:1'}]", "'listen' is missing"},
		{"outbound: [{listen: '127.0.0.1:15001', to: '192.0.2.3:1'}]", "15001 is ports.outbound"},
		{"outbound: [{listen: '127.0.0.1:1', to: '192.0.2.3:1'}, {listen: '127.0.0.1:1', to: '192.0.2.4:1'}]",
			"127.0.0.1:1 is listened on twice"},
		{"inbound: [{port: 80, to: '127.0.0.1:80', mtls: true}]", "port 80 has two listeners"},
		{"outbound: [{listen: '127.0.0.1:80', to: '192.0.2.3:1'}], inbound: [{port: 80, to: "
		 "'127.0.0.1:2', mtls: true}]",
			"port 80 has two listeners"},
		{"inbound: [{to: '127.0.0.1:2'}]", "'port' is missing"},
		{"inbound: [{port: 1}]", "'to' is missing"},
		{"inbound: [{port: 15008, to: '127.0.0.1:2'}]", "15008 is ports.tunnel"},
		{"inbound: [{port: 1, to: '127.0.0.1:15000'}]", "which is ports.admin"},
		{"inbound: [{port: 1, to: '192.0.2.3:2'}]", "a loopback address to lead to"},
		{"inbound: [{port: 1, to: '127.0.0.1:2'}, {port: 1, to: '127.0.0.1:3'}]", "port 1 is given twice"},
		{"outbound: [{listen: '127.0.0.1:1', to: '192.0.2.3:1'}], inbound: [{port: 2, to: '127.0.0.1:1'}]",
			"an outbound listener"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_(settings_freep) struct settings *settings = settings_new(&sidecar_settings);
		_cleanup_(mem_freep) char *yaml = mem_printf("listeners: {%s}\n", cases[i].yaml);
		struct sidecar_config *config = NULL;
		assert_int_equal(read_text(settings, yaml, &config), ERR_CONFIG);
		assert_non_null(strstr(settings_errors(settings), cases[i].reported));
	}
}

static void more_listeners_than_there_is_room_for_are_an_error(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings = settings_new(&sidecar_settings);
	struct sidecar_config *config = NULL;
	_cleanup_(buf_done) struct buf yaml = BUF_INIT(8192);
	assert_int_equal(buf_append_str(&yaml, "listeners:\n  inbound:\n"), ERR_NONE);
	for (unsigned i = 0; i <= LISTENERS_MAX; i++)
		assert_int_equal(buf_printf(&yaml, "  - {port: %u, to: '127.0.0.1:9'}\n", i + 1), ERR_NONE);
	assert_int_equal(read_text(settings, buf_cstr(&yaml), &config), ERR_CONFIG);
	assert_non_null(strstr(settings_errors(settings), "there are 65"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(listeners_are_read_in_both_families),
		cmocka_unit_test(a_listener_can_lead_to_a_service_by_name),
		cmocka_unit_test(a_name_that_no_service_can_have_is_refused),
		cmocka_unit_test(without_the_settings_there_is_no_listener_and_rules_redirect),
		cmocka_unit_test(what_would_conflict_or_open_a_way_in_is_refused),
		cmocka_unit_test(more_listeners_than_there_is_room_for_are_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
