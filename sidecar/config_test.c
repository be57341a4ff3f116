#include "base/core/fixed_ports.h"
#include "base/core/mem.h"
#include "sidecar/config.h"

#include "base/core/zone.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static enum err read_text(struct settings *settings, const char *yaml, struct sidecar_config **out)
{
	settings_read_text(settings, "sidecar.yaml", span_of_str(yaml));
	return sidecar_config_read(settings, out);
}

static void a_small_file_has_the_documented_defaults(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings = settings_new(&sidecar_settings);
	_cleanup_(sidecar_config_freep) struct sidecar_config *config = NULL;
	assert_int_equal(
		read_text(settings, "control: {address: 192.0.2.1:15012}\nidentity: {token_file: /t}\n", &config),
		ERR_NONE);
	assert_string_equal(config->trust_domain.name, "cluster.local");
	assert_int_equal(config->admin_port, FIXED_PORT_ADMIN);
	assert_int_equal(config->outbound_port, FIXED_PORT_OUTBOUND);
	assert_int_equal(config->inbound_port, FIXED_PORT_INBOUND);
	assert_int_equal(config->tunnel_port, FIXED_PORT_TUNNEL);
	assert_int_equal(config->metrics_port, FIXED_PORT_METRICS);
	assert_int_equal(config->drain_ms, 25000);
	assert_int_equal(config->drain_minimum_ms, 8000);
	assert_int_equal(config->zone + config->max_per_endpoint, 0);
	assert_true(config->prefers_zone);
	assert_int_equal(config->resolve_ms, 5000);
	assert_int_equal(config->connect_ms, 10000);
	assert_int_equal(config->handshake_ms, 5000);
	assert_int_equal(config->flow_control_memory, 64 * 1024 * 1024);
	assert_int_equal(config->access_log, ACCESS_LOG_FAILURES);
	assert_int_equal(config->outbound_mode, OUTBOUND_AUTO);
	assert_int_equal(config->plaintext_idle_ms, 3600 * 1000);
	assert_int_equal(
		config->max_connections + config->max_tunnels + config->max_per_source + config->max_per_identity, 0);
}

static void limits_are_read(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings = settings_new(&sidecar_settings);
	_cleanup_(sidecar_config_freep) struct sidecar_config *config = NULL;
	assert_int_equal(read_text(settings,
				 "control: {address: 192.0.2.1:15012}\ntimeouts: {plaintext_idle: 2m}\n"
				 "limits: {max_connections: 100, max_tunnels: 20, per_source: 3, per_identity: 4, "
				 "per_endpoint: 5}\n",
				 &config),
		ERR_NONE);
	assert_int_equal(config->plaintext_idle_ms, 120000);
	assert_int_equal(config->max_connections, 100);
	assert_int_equal(config->max_tunnels, 20);
	assert_int_equal(config->max_per_source, 3);
	assert_int_equal(config->max_per_identity, 4);
	assert_int_equal(config->max_per_endpoint, 5);
}

static void groups_of_the_key_exchange_are_read(void **state)
{
	(void)state;
	static const struct {
		const char *yaml;
		struct key_exchange_list expected;
	} cases[] = {
		{"", {4, {KEY_EXCHANGE_X25519MLKEM768, KEY_EXCHANGE_X25519, KEY_EXCHANGE_P256, KEY_EXCHANGE_P384}}},
		{"tls: {profile: fips-groups}\n",
			{3, {KEY_EXCHANGE_X25519MLKEM768, KEY_EXCHANGE_P256, KEY_EXCHANGE_P384}}},
		{"tls: {profile: pq-only}\n", {1, {KEY_EXCHANGE_X25519MLKEM768}}},
		{"tls: {profile: pq-only, groups: [P-384, X25519MLKEM768]}\n",
			{2, {KEY_EXCHANGE_P384, KEY_EXCHANGE_X25519MLKEM768}}},
		{"tls: {groups: 'X25519,P-256'}\n", {2, {KEY_EXCHANGE_X25519, KEY_EXCHANGE_P256}}},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_(settings_freep) struct settings *settings = settings_new(&sidecar_settings);
		_cleanup_(sidecar_config_freep) struct sidecar_config *config = NULL;
		_cleanup_(mem_freep) char *yaml = mem_printf("control: {address: 192.0.2.1:15012}\n%s", cases[i].yaml);
		assert_int_equal(read_text(settings, yaml, &config), ERR_NONE);
		assert_int_equal(config->key_exchanges.num, cases[i].expected.num);
		for (unsigned j = 0; j < config->key_exchanges.num; j++)
			assert_int_equal(config->key_exchanges.items[j], cases[i].expected.items[j]);
	}
}

static void unknown_groups_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {"tls: {profile: fips}\n", "tls: {groups: [P-521]}\n",
		"tls: {groups: [P-256, P-256]}\n", "tls: {groups: [x25519]}\n",
		"tls: {groups: 'X25519MLKEM768:X25519'}\n"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		_cleanup_(settings_freep) struct settings *settings = settings_new(&sidecar_settings);
		struct sidecar_config *config = NULL;
		_cleanup_(mem_freep) char *yaml = mem_printf("control: {address: 192.0.2.1:15012}\n%s", bad[i]);
		assert_int_equal(read_text(settings, yaml, &config), ERR_CONFIG);
	}
}

static void ports_and_modes_make_the_minimum(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings = settings_new(&sidecar_settings);
	_cleanup_(sidecar_config_freep) struct sidecar_config *config = NULL;
	assert_int_equal(
		read_text(settings,
			"control: {address: 192.0.2.1:15012}\naccess_log: 1/100\n"
			"inbound: {mode: permissive, ports: [{port: 5432, mode: strict}, {port: 80, mode: 'off'}]}\n",
			&config),
		ERR_NONE);
	_cleanup_(policy_unrefp) struct policy *minimum = sidecar_config_minimum(config);
	assert_int_equal(policy_mode(minimum, 5432), INBOUND_STRICT);
	assert_int_equal(policy_mode(minimum, 80), INBOUND_OFF);
	assert_int_equal(policy_mode(minimum, 81), INBOUND_PERMISSIVE);
	assert_int_equal(config->access_log, ACCESS_LOG_SAMPLED);
	assert_int_equal(config->access_log_one_in, 100);
}

/* A preStop hook is `handfast-sidecar drain`, without the settings file. */
static void commands_to_a_running_sidecar_need_no_control_plane(void **state)
{
	(void)state;
	const struct {
		const char *yaml;
		enum err run, command;
	} cases[] = {{"{}", ERR_CONFIG, ERR_NONE}, {"control: {address: nonsense}\n", ERR_CONFIG, ERR_CONFIG},
		{"control: {address: 192.0.2.1:15012}\n", ERR_NONE, ERR_NONE},
		{"workers: 0\n", ERR_CONFIG, ERR_CONFIG}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_(settings_freep) struct settings *one = settings_new(&sidecar_settings),
							  *other = settings_new(&sidecar_settings);
		_cleanup_(sidecar_config_freep) struct sidecar_config *run = NULL, *command = NULL;
		assert_int_equal(read_text(one, cases[i].yaml, &run), cases[i].run);
		settings_read_text(other, "sidecar.yaml", span_of_str(cases[i].yaml));
		assert_int_equal(sidecar_config_read_for_command(other, &command), cases[i].command);
		if (command != NULL)
			assert_string_equal(command->admin_socket, "/run/handfast/sidecar.sock");
	}
}

static void ranges_are_written_as_the_values_are(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings = settings_new(&sidecar_settings);
	struct sidecar_config *config = NULL;
	assert_int_equal(read_text(settings,
				 "control: {address: 192.0.2.1:15012}\ntimeouts: {resolve: 2h}\nworkers: 65\n"
				 "limits: {flow_control_memory: 1KiB}\n",
				 &config),
		ERR_CONFIG);
	assert_non_null(strstr(settings_errors(settings),
		"the value is '2h'; expected: a duration such as 250ms, 5s, 10m, 1h or 7d, 100ms to 1h"));
	assert_non_null(strstr(settings_errors(settings), "the value is '65'; expected: a number, 1 to 64"));
	assert_non_null(
		strstr(settings_errors(settings), "expected: a size such as 4096, 32KiB or 64MiB, 1MiB to 1024GiB"));
}

static void finding_o8_one_of_n_is_a_number(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		unsigned one_in; /* 0: refused */
	} cases[] = {{"1/1", 1}, {"1/100000", 100000}, {"1/1000000", 1000000}, {"1/1000001", 0}, {"1/0", 0}, {"1/", 0},
		{"1/-1", 0}, {"1/10x", 0}, {"2/10", 0}, {"1/ 5", 0}, {"1/99999999999999999999999", 0}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_(settings_freep) struct settings *settings = settings_new(&sidecar_settings);
		_cleanup_(sidecar_config_freep) struct sidecar_config *config = NULL;
		char yaml[128];
		snprintf(yaml, sizeof(yaml), "control: {address: 192.0.2.1:15012}\naccess_log: '%s'\n", cases[i].text);
		assert_int_equal(read_text(settings, yaml, &config), cases[i].one_in != 0 ? ERR_NONE : ERR_CONFIG);
		assert_true(cases[i].one_in == 0 || config->access_log_one_in == cases[i].one_in);
	}
}

static void the_control_planes_addresses_are_different(void **state)
{
	(void)state;
	const char *const good[] = {"control: {address: ['192.0.2.1:15012', '[2001:db8::1]:15012']}\n",
		"control: {address: '192.0.2.1:15012, [2001:db8::1]:15012'}\n"};
	for (size_t i = 0; i < 2; i++) {
		_cleanup_(settings_freep) struct settings *settings = settings_new(&sidecar_settings);
		_cleanup_(sidecar_config_freep) struct sidecar_config *config = NULL;
		assert_int_equal(read_text(settings, good[i], &config), ERR_NONE);
		assert_string_equal(config->control_address, "192.0.2.1:15012,[2001:db8::1]:15012");
	}
	_cleanup_(settings_freep) struct settings *settings = settings_new(&sidecar_settings);
	struct sidecar_config *config = NULL;
	assert_int_equal(read_text(settings, "control: {address: ['192.0.2.1:15012', '192.0.2.1:15013']}\n", &config),
		ERR_CONFIG);
	assert_non_null(strstr(settings_errors(settings), "each once"));
}

static void finding_p5_the_minimum_lies_within_the_deadline(void **state)
{
	(void)state;
	static const struct {
		const char *yaml;
		uint64_t minimum_ms;
	} good[] = {
		{"control: {address: 192.0.2.1:15012}\ndrain_deadline: 3s\n", 3000},
		{"control: {address: 192.0.2.1:15012}\ndrain_minimum: 0s\n", 0},
		{"control: {address: 192.0.2.1:15012}\ndrain_deadline: 40s\ndrain_minimum: 30s\n", 30000},
	};
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		_cleanup_(settings_freep) struct settings *settings = settings_new(&sidecar_settings);
		_cleanup_(sidecar_config_freep) struct sidecar_config *config = NULL;
		assert_int_equal(read_text(settings, good[i].yaml, &config), ERR_NONE);
		assert_int_equal(config->drain_minimum_ms, good[i].minimum_ms);
	}
	_cleanup_(settings_freep) struct settings *settings = settings_new(&sidecar_settings);
	struct sidecar_config *config = NULL;
	assert_int_equal(
		read_text(settings, "control: {address: 192.0.2.1:15012}\ndrain_minimum: 26s\n", &config), ERR_CONFIG);
	assert_non_null(strstr(settings_errors(settings), "drain_minimum of at most drain_deadline"));
}

static void finding_p2_probes_come_before_connection_tracking_forgets(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings = settings_new(&sidecar_settings);
	_cleanup_(sidecar_config_freep) struct sidecar_config *config = NULL, *other = NULL;
	assert_int_equal(read_text(settings, "control: {address: '192.0.2.1:15012'}\n", &config), ERR_NONE);
	assert_int_equal(config->keepalive.idle_s, 25);
	assert_int_equal(config->keepalive.interval_s, 10);
	assert_int_equal(config->keepalive.probes, 3);
	_cleanup_(settings_freep) struct settings *changed = settings_new(&sidecar_settings);
	assert_int_equal(read_text(changed,
				 "control: {address: '192.0.2.1:15012'}\n"
				 "keepalive: {idle: 2s, interval: 1s, probes: 2}\n",
				 &other),
		ERR_NONE);
	assert_int_equal(other->keepalive.idle_s, 2);
	assert_int_equal(other->keepalive.interval_s, 1);
	assert_int_equal(other->keepalive.probes, 2);
}

static void the_zone_is_read(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings = settings_new(&sidecar_settings);
	_cleanup_(sidecar_config_freep) struct sidecar_config *config = NULL;
	assert_int_equal(
		read_text(settings,
			"control: {address: 192.0.2.1:15012}\nzone: eu-1a\noutbound: {prefer_zone: false}\n", &config),
		ERR_NONE);
	assert_false(config->prefers_zone);
	assert_int_equal(config->zone, zone_of(SPAN_LITERAL("eu-1a")));
}

static void every_error_is_reported_at_once(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings = settings_new(&sidecar_settings);
	struct sidecar_config *config = NULL;
	assert_int_equal(
		read_text(settings,
			"control: {bootstrap_root_sha256: abc}\ntrust_domain: A\naccess_log: some\nports: {tunnel: "
			"15001}\n"
			"identity: {token_file: /a, kubernetes_token_file: /b}\ninbound: {mode: open}\nspeed: 11\n",
			&config),
		ERR_CONFIG);
	assert_null(config);
	const char *const reported[] = {"'address'", "bootstrap_root_sha256", "trust_domain", "access_log",
		"five different ports", "one kind of attestation data", "inbound.mode", "speed"};
	for (size_t i = 0; i < sizeof(reported) / sizeof(reported[0]); i++)
		assert_non_null(strstr(settings_errors(settings), reported[i]));
}

static void what_an_identity_of_a_workload_api_makes_useless_is_refused(void **state)
{
	static const char *const useless[] = {"token_file: /a", "kubernetes_token_file: /a",
		"x509_certificate_file: /a, x509_key_file: /b", "unix_peer: true"};
	(void)state;
	for (size_t i = 0; i < sizeof(useless) / sizeof(useless[0]); i++) {
		_cleanup_(settings_freep) struct settings *settings = settings_new(&sidecar_settings);
		struct sidecar_config *config = NULL;
		_cleanup_(mem_freep) char *text =
			mem_printf("control: {address: ['unix:/run/a', '192.0.2.1:15012']}\ntrust_domain: td.test\n"
				   "identity: {source: workload_api, workload_api_address: 'unix:///run/b', %s}\n",
				useless[i]);
		assert_int_equal(read_text(settings, text, &config), ERR_CONFIG);
		assert_non_null(strstr(settings_errors(settings), "no attestation data"));
		assert_null(strstr(settings_errors(settings), "control.address"));
	}
}

static void a_join_token_beside_an_istio_ca_is_explained(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings = settings_new(&sidecar_settings);
	struct sidecar_config *config = NULL;
	assert_int_equal(read_text(settings,
				 "control: {address: '192.0.2.1:15012'}\ntrust_domain: td.test\n"
				 "identity: {source: istio_ca, istio_address: '192.0.2.2:15012', token_file: /a}\n",
				 &config),
		ERR_CONFIG);
	const char *errors = settings_errors(settings);
	assert_non_null(strstr(errors, "token_file is given, a join token of the control plane"));
	assert_non_null(strstr(errors, "no attestation data for the control plane with identity.source: istio_ca"));
	assert_non_null(strstr(errors, "the Istio CA goes by the service account token for its audience, in "
				       "istio_token_file"));
}

static void the_example_works_as_it_stands(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings = settings_new(&sidecar_settings);
	_cleanup_(sidecar_config_freep) struct sidecar_config *config = NULL;
	settings_read_file(settings, "docker/sidecar.example.yaml");
	assert_int_equal(sidecar_config_read(settings, &config), ERR_NONE);
	assert_string_equal(config->trust_domain.name, "cluster.local");
}

static void finding_o3_every_key_is_among_the_settings_in_force(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings = settings_new(&sidecar_settings);
	_cleanup_(sidecar_config_freep) struct sidecar_config *config = NULL;
	assert_int_equal(read_text(settings, "control: {address: 192.0.2.1:15012}\n", &config), ERR_NONE);
	for (size_t i = 0; i < sidecar_settings.num_rows; i++)
		assert_true(strchr(sidecar_settings.rows[i].key, '[') != NULL ||
			    settings_record_find(config->record, sidecar_settings.rows[i].key) != NULL);
	assert_non_null(settings_record_find(config->record, "inbound.ports"));
	assert_string_equal(settings_record_find(config->record, "timeouts.resolve")->value, "5s");
	assert_string_equal(settings_record_find(config->record, "control.address")->origin, "sidecar.yaml:1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_an_identity_of_a_workload_api_makes_useless_is_refused),
		cmocka_unit_test(a_join_token_beside_an_istio_ca_is_explained),
		cmocka_unit_test(the_example_works_as_it_stands),
		cmocka_unit_test(a_small_file_has_the_documented_defaults),
		cmocka_unit_test(limits_are_read),
		cmocka_unit_test(groups_of_the_key_exchange_are_read),
		cmocka_unit_test(unknown_groups_are_refused),
		cmocka_unit_test(ports_and_modes_make_the_minimum),
		cmocka_unit_test(commands_to_a_running_sidecar_need_no_control_plane),
		cmocka_unit_test(ranges_are_written_as_the_values_are),
		cmocka_unit_test(finding_o8_one_of_n_is_a_number),
		cmocka_unit_test(the_control_planes_addresses_are_different),
		cmocka_unit_test(finding_p5_the_minimum_lies_within_the_deadline),
		cmocka_unit_test(finding_p2_probes_come_before_connection_tracking_forgets),
		cmocka_unit_test(the_zone_is_read),
		cmocka_unit_test(every_error_is_reported_at_once),
		cmocka_unit_test(finding_o3_every_key_is_among_the_settings_in_force),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
