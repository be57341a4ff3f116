#include "base/core/mem.h"
#include "control/config/config.h"

#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static enum err read_text(const char *yaml, struct control_config **out, struct settings *settings)
{
	settings_read_text(settings, "control.yaml", span_of_str(yaml));
	return control_config_read(settings, out);
}

static void a_small_file_has_the_documented_defaults(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings = settings_new(&control_settings);
	_cleanup_(control_config_freep) struct control_config *config = NULL;
	assert_int_equal(read_text("mesh: {networks: [192.0.2.0/24]}\n", &config, settings), ERR_NONE);
	assert_string_equal(config->trust_domain.name, "cluster.local");
	assert_int_equal(config->streams_port, 15012);
	assert_int_equal(config->leaf_ttl_ms, 3600 * 1000);
	assert_int_equal(config->intermediate_ttl_ms, 7ull * 24 * 3600 * 1000);
	assert_int_equal(config->root_ttl_ms, 365ull * 24 * 3600 * 1000);
	assert_int_equal(config->claim_grace_ms, 24ull * 3600 * 1000);
	assert_int_equal(config->default_mode, PORT_MODE_PERMISSIVE);
	assert_int_equal(config->max_connections, 0);
	assert_int_equal(config->max_handshakes, 96);
	assert_int_equal(config->forget_after_ms, 30ull * 24 * 3600 * 1000);
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
		_cleanup_(settings_freep) struct settings *settings = settings_new(&control_settings);
		_cleanup_(control_config_freep) struct control_config *config = NULL;
		_cleanup_(mem_freep) char *yaml = mem_printf("mesh: {networks: [192.0.2.0/24]}\n%s", cases[i].yaml);
		assert_int_equal(read_text(yaml, &config, settings), ERR_NONE);
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
		_cleanup_(settings_freep) struct settings *settings = settings_new(&control_settings);
		struct control_config *config = NULL;
		_cleanup_(mem_freep) char *yaml = mem_printf("mesh: {networks: [192.0.2.0/24]}\n%s", bad[i]);
		assert_int_equal(read_text(yaml, &config, settings), ERR_CONFIG);
	}
}

static void kubernetes_needs_no_networks_and_has_defaults(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings = settings_new(&control_settings);
	_cleanup_(control_config_freep) struct control_config *config = NULL;
	static const char text[] = "kubernetes: {enabled: true}\nidentity: {other_roots_file: ''}\n"
				   "federation: {port: 0, partners: []}\nentries: []\n"; /* as the chart has them */
	assert_int_equal(read_text(text, &config, settings), ERR_NONE);
	assert_true(config->kubernetes.is_enabled);
	assert_null(config->other_roots_file);
	assert_null(config->kubernetes.kubeconfig);
	assert_string_equal(config->kubernetes.audience, "handfast");
	assert_string_equal(config->kubernetes.namespace_, "handfast-system");
	assert_int_equal(config->kubernetes.webhook_port, 15017);
	assert_int_equal(config->kubernetes.operator_port, 15016);
	assert_null(config->kubernetes.sidecar_image);
	assert_false(config->kubernetes.has_cni);
	assert_false(config->kubernetes.keeps_source);
	assert_int_equal(config->num_networks, 0);
}

static void the_page_has_a_token_and_a_port_of_its_own(void **state)
{
	(void)state;
	const char *refused[] = {"kubernetes: {enabled: true}\npage: {token_file: /t}\n",
		"mesh: {networks: [192.0.2.0/24]}\npage: {token_file: /t, port: 15012}\n",
		"mesh: {networks: [192.0.2.0/24]}\npage: {token_file: /t, port: 15014}\n"};
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		_cleanup_(settings_freep) struct settings *settings = settings_new(&control_settings);
		struct control_config *config = NULL;
		assert_int_equal(read_text(refused[i], &config, settings), ERR_CONFIG);
	}
	static const struct {
		const char *text, *token_file;
		uint16_t port;
	} good[] = {{"kubernetes: {enabled: true}\n", NULL, 15016},
		{"mesh: {networks: [192.0.2.0/24]}\npage: {token_file: /t}\n", "/t", 15016},
		{"kubernetes: {enabled: true}\npage: {token_file: /t, port: 15018}\n", "/t", 15018}};
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		_cleanup_(settings_freep) struct settings *settings = settings_new(&control_settings);
		_cleanup_(control_config_freep) struct control_config *config = NULL;
		assert_int_equal(read_text(good[i].text, &config, settings), ERR_NONE);
		assert_int_equal(config->page.port, good[i].port);
		assert_true(good[i].token_file == NULL ? config->page.token_file == NULL
						       : strcmp(config->page.token_file, good[i].token_file) == 0);
	}
}

static void kubernetes_settings_that_fit_nothing_are_errors(void **state)
{
	(void)state;
	const char *refused[] = {"kubernetes: {enabled: false}\n",
		"mesh: {networks: [192.0.2.0/24]}\nkubernetes: {kubeconfig: /k}\n",
		"kubernetes: {enabled: true, audience: 'a\"b'}\n", "kubernetes: {enabled: true, audience: 'a b'}\n",
		"kubernetes: {enabled: true, audience: 'a\\b'}\n", "kubernetes: {enabled: 1}\n",
		"kubernetes: {enabled: true, interception: none}\n", "kubernetes: {enabled: true, sidecar_image: a}\n",
		"kubernetes: {enabled: true, webhook_port: 15012}\n",
		"kubernetes: {enabled: true, operator_port: 15014}\n",
		"kubernetes: {enabled: true, operator_port: 15017}\n"};
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		_cleanup_(settings_freep) struct settings *settings = settings_new(&control_settings);
		struct control_config *config = NULL;
		assert_int_equal(read_text(refused[i], &config, settings), ERR_CONFIG);
	}
	_cleanup_(settings_freep) struct settings *settings = settings_new(&control_settings);
	_cleanup_(control_config_freep) struct control_config *config = NULL;
	assert_int_equal(
		read_text("kubernetes: {enabled: true, kubeconfig: /k, audience: mesh.test}\n", &config, settings),
		ERR_NONE);
	assert_string_equal(config->kubernetes.kubeconfig, "/k");
	assert_string_equal(config->kubernetes.audience, "mesh.test");
	_cleanup_(settings_freep) struct settings *injecting = settings_new(&control_settings);
	_cleanup_(control_config_freep) struct control_config *other = NULL;
	assert_int_equal(read_text("kubernetes: {enabled: true, sidecar_image: a, cni: true, interception: tproxy}\n",
				 &other, injecting),
		ERR_NONE);
	assert_true(other->kubernetes.has_cni && other->kubernetes.keeps_source);
}

static void finding_i16_the_limits_can_be_set(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings = settings_new(&control_settings);
	_cleanup_(control_config_freep) struct control_config *config = NULL;
	assert_int_equal(read_text("mesh: {networks: [192.0.2.0/24]}\n"
				   "limits: {max_connections: 500, max_handshakes: 64}\n",
				 &config, settings),
		ERR_NONE);
	assert_int_equal(config->max_connections, 500);
	assert_int_equal(config->max_handshakes, 64);
}

static void policy_and_services_are_taken_whole(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings = settings_new(&control_settings);
	_cleanup_(control_config_freep) struct control_config *config = NULL;
	enum err err = read_text("mesh: {networks: [192.0.2.0/24]}\n"
				 "services: [{name: web, address: 192.0.2.9, ports: [{port: 80, target: 8080}, {port: "
				 "81}], identity: spiffe://cluster.local/web}]\n"
				 "policy:\n  default_mode: strict\n  workloads:\n"
				 "    - identity: spiffe://cluster.local/web\n      default_mode: permissive\n      "
				 "ports: [{port: 80, mode: strict}]\n"
				 "      rules:\n"
				 "        - {name: shop, sources: [{namespace: cluster.local/shop}, {id: "
				 "\"spiffe://cluster.local/a\"}], ports: [80, 81]}\n"
				 "        - {name: not-batch, action: deny, sources: [{id_suffix: "
				 "cluster.local/sa/batch}], dry_run: true}\n"
				 "        - {name: probes, unauthenticated: true, networks: [192.0.2.0/30]}\n",
		&config, settings);
	assert_string_equal(settings_errors(settings), "");
	assert_int_equal(err, ERR_NONE);
	assert_int_equal(config->services[0].ports[1].target, 81);
	assert_int_equal(config->default_mode, PORT_MODE_STRICT);
	const struct config_workload *web = &config->workloads[0];
	assert_true(web->has_mode);
	assert_int_equal(web->num_rules, 3);
	assert_int_equal(web->rules[0].num_sources, 2);
	assert_int_equal(web->rules[0].ports[1], 81);
	assert_true(web->rules[1].deny && web->rules[1].dry_run);
	assert_true(web->rules[2].unauthenticated);
}

static void every_error_is_reported_at_once(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings = settings_new(&control_settings);
	struct control_config *config = NULL;
	assert_int_equal(
		read_text(
			"trust_domain: Cluster\nidentity: {leaf_ttl: 8d}\nmesh: {networks: [192.0.2.0/24], claims: 1}\n"
			"services: [{name: web, address: 198.51.100.1, ports: [{port: 80}], identity: web}]\n"
			"policy: {workloads: [{identity: spiffe://cluster.local/web, rules: [{name: r, action: "
			"permit}]}]}\n",
			&config, settings),
		ERR_CONFIG);
	assert_null(config);
	const char *text = settings_errors(settings);
	const char *const reported[] = {"trust_domain", "identity.leaf_ttl", "mesh.claims", "services[0].identity",
		"mesh.networks", "rules[0].action"};
	for (size_t i = 0; i < sizeof(reported) / sizeof(reported[0]); i++)
		assert_non_null(strstr(text, reported[i]));
}

static void c18_sources_that_no_identity_can_have_are_errors(void **state)
{
	(void)state;
	static const char *const bad[] = {"id: \"spiffe://cluster.local/*\"",
		"id_prefix: \"spiffe://cluster.local/a/../b\"", "namespace: cluster.local/a/b", "namespace: shop",
		"trust_domain: \"cluster.local/\"", "id_suffix: \"cluster.local/a\\n\"",
		"id: \"spiffe://cluster.local/a\", trust_domain: cluster.local"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		_cleanup_(settings_freep) struct settings *settings = settings_new(&control_settings);
		struct control_config *config = NULL;
		char yaml[512];
		snprintf(yaml, sizeof(yaml),
			"mesh: {networks: [192.0.2.0/24]}\npolicy: {workloads: [{identity: spiffe://cluster.local/w, "
			"rules: [{name: r, sources: [{%s}]}]}]}\n",
			bad[i]);
		assert_int_equal(read_text(yaml, &config, settings), ERR_CONFIG);
	}
}

static void finding_i12_an_empty_list_in_a_rule_is_an_error(void **state)
{
	(void)state;
	static const char *const keys[] = {"sources", "networks", "ports"};
	for (size_t i = 0; i < 3; i++) {
		_cleanup_(settings_freep) struct settings *settings = settings_new(&control_settings);
		struct control_config *config = NULL;
		char yaml[512];
		snprintf(yaml, sizeof(yaml),
			"mesh: {networks: [192.0.2.0/24]}\npolicy: {workloads: [{identity: spiffe://cluster.local/w, "
			"rules: [{name: r, action: deny, %s: []}]}]}\n",
			keys[i]);
		assert_int_equal(read_text(yaml, &config, settings), ERR_CONFIG);
		assert_non_null(strstr(settings_errors(settings), keys[i]));
		assert_non_null(strstr(settings_errors(settings), "at least one item"));
	}
}

static void what_contradicts_itself_in_services_and_entries_is_an_error(void **state)
{
	(void)state;
#define SERVICE(name, address, ports)                                                                                  \
	"{name: " name ", address: " address ", ports: [" ports "], identity: spiffe://cluster.local/" name "}"
#define ENTRY(identity) "{address: 192.0.2.8, identity: spiffe://cluster.local/" identity "}"
	static const struct {
		const char *yaml, *reported;
	} rows[] = {
		{"services: [" SERVICE("a", "192.0.2.5", "{port: 80}") ", " SERVICE("a", "192.0.2.6", "{port: 80}") "]",
			"two services are named 'a'"},
		{"services: [" SERVICE("a", "192.0.2.5", "{port: 80}, {port: 80, target: 81}") "]",
			"port 80 is given twice"},
		{"entries: [" ENTRY("x") ", " ENTRY("y") "]", "another entry has this address"},
		{"services: [" SERVICE("a", "192.0.2.5", "{port: 80}") ", " SERVICE(
			 "a", "'2001:db8::5'", "{port: 80}") "]",
			NULL},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_cleanup_(settings_freep) struct settings *settings = settings_new(&control_settings);
		struct control_config *config = NULL;
		char yaml[512];
		snprintf(yaml, sizeof(yaml), "mesh: {networks: [192.0.2.0/24, '2001:db8::/32']}\n%s\n", rows[i].yaml);
		enum err err = read_text(yaml, &config, settings);
		assert_int_equal(err, rows[i].reported == NULL ? ERR_NONE : ERR_CONFIG);
		if (rows[i].reported != NULL)
			assert_non_null(strstr(settings_errors(settings), rows[i].reported));
		else
			control_config_free(config);
	}
#undef SERVICE
#undef ENTRY
}

static void the_example_works_as_it_stands(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings = settings_new(&control_settings);
	_cleanup_(control_config_freep) struct control_config *config = NULL;
	settings_read_file(settings, "docker/control.example.yaml");
	assert_int_equal(control_config_read(settings, &config), ERR_NONE);
	assert_string_equal(config->trust_domain.name, "cluster.local");
}

static void finding_o5_a_socket_in_or_above_the_state_is_refused_by_name(void **state)
{
	(void)state;
	static const struct {
		const char *socket;
		bool is_fine;
	} cases[] = {{"/var/lib/handfast-control/control.sock", false}, {"/var/lib/control.sock", false},
		{"/control.sock", false}, {"/var/lib/handfast-control/keys/a.sock", false},
		{"/var/lib/handfast-control/run/control.sock", true}, {"/run/handfast/control.sock", true},
		{"/var/lib/handfast/control.sock", true}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_(settings_freep) struct settings *settings = settings_new(&control_settings);
		_cleanup_(control_config_freep) struct control_config *config = NULL;
		char yaml[256];
		snprintf(
			yaml, sizeof(yaml), "mesh: {networks: [192.0.2.0/24]}\noperator_socket: %s\n", cases[i].socket);
		assert_int_equal(read_text(yaml, &config, settings), cases[i].is_fine ? ERR_NONE : ERR_CONFIG);
		assert_true(cases[i].is_fine ||
			    strstr(settings_errors(settings), "control.yaml:2 (operator_socket): operator_socket is") !=
				    NULL);
	}
}

static void two_ports_that_are_one_are_an_error(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings = settings_new(&control_settings);
	struct control_config *config = NULL;
	assert_int_equal(
		read_text("mesh: {networks: [192.0.2.0/24]}\nlisten: {streams_port: 15014}\n", &config, settings),
		ERR_CONFIG);
	assert_non_null(strstr(settings_errors(settings), "two different ports"));
}

static void finding_o3_every_key_is_among_the_settings_in_force(void **state)
{
	(void)state;
	_cleanup_(settings_freep) struct settings *settings = settings_new(&control_settings);
	_cleanup_(control_config_freep) struct control_config *config = NULL;
	assert_int_equal(read_text("mesh: {networks: [192.0.2.0/24]}\n", &config, settings), ERR_NONE);
	for (size_t i = 0; i < control_settings.num_rows; i++)
		assert_true(strchr(control_settings.rows[i].key, '[') != NULL ||
			    settings_record_find(config->record, control_settings.rows[i].key) != NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finding_i12_an_empty_list_in_a_rule_is_an_error),
		cmocka_unit_test(what_contradicts_itself_in_services_and_entries_is_an_error),
		cmocka_unit_test(the_example_works_as_it_stands),
		cmocka_unit_test(a_small_file_has_the_documented_defaults),
		cmocka_unit_test(groups_of_the_key_exchange_are_read),
		cmocka_unit_test(unknown_groups_are_refused),
		cmocka_unit_test(kubernetes_needs_no_networks_and_has_defaults),
		cmocka_unit_test(the_page_has_a_token_and_a_port_of_its_own),
		cmocka_unit_test(kubernetes_settings_that_fit_nothing_are_errors),
		cmocka_unit_test(finding_i16_the_limits_can_be_set),
		cmocka_unit_test(policy_and_services_are_taken_whole),
		cmocka_unit_test(every_error_is_reported_at_once),
		cmocka_unit_test(finding_o5_a_socket_in_or_above_the_state_is_refused_by_name),
		cmocka_unit_test(two_ports_that_are_one_are_an_error),
		cmocka_unit_test(finding_o3_every_key_is_among_the_settings_in_force),
		cmocka_unit_test(c18_sources_that_no_identity_can_have_are_errors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
