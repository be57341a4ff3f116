#include "base/core/mem.h"
#include "base/kube/kube_config.h"
#include "base/kube/test_folder.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
/* cmocka requires <setjmp.h> and <stdarg.h> */
#include <cmocka.h>

static enum err load(const struct test_folder *folder, const char *text, struct kube_config *out, struct why *why)
{
	_cleanup_(mem_freep) char *path = test_folder_path(folder, "config");
	test_folder_put(folder, "config", text, 0600);
	return kube_config_load(path, out, why);
}

static void is_text(const struct buf *buf, const char *text)
{
	assert_true(span_eq(buf_span(buf), span_of_str(text)));
}

/* In this order: the cluster's keys, the user's. */
#define KUBECONFIG(cluster, user)                                                                                      \
	"apiVersion: v1\nkind: Config\ncurrent-context: here\n"                                                        \
	"contexts:\n- name: other\n  context: {cluster: none}\n"                                                       \
	"- name: here\n  context: {cluster: home, user: admin, namespace: shop}\n"                                     \
	"clusters:\n- name: home\n  cluster:\n" cluster "users:\n- name: admin\n  user:\n" user

#define SERVER "    server: https://192.0.2.1:6443\n"
#define CA     "    certificate-authority-data: cm9vdHM=\n"

static void loads_the_current_context_with_data_in_it(void **state)
{
	_cleanup_(kube_config_done) struct kube_config config = {0};
	assert_int_equal(load(*state,
				 KUBECONFIG(SERVER CA "    tls-server-name: kubernetes\n",
					 "    client-certificate-data: Y2hhaW4=\n    client-key-data: a2V5\n"),
				 &config, NULL),
		ERR_NONE);
	assert_string_equal(config.host, "192.0.2.1");
	assert_int_equal(config.port, 6443);
	assert_string_equal(config.server_name, "kubernetes");
	assert_string_equal(config.namespace_, "shop");
	is_text(&config.ca_pem, "roots");
	is_text(&config.client_chain_pem, "chain");
	is_text(&config.client_key_pem, "key");
	assert_null(config.token_file);
	assert_null(config.ca_file);
}

static void loads_files_beside_the_kubeconfig(void **state)
{
	const struct test_folder *folder = *state;
	_cleanup_(kube_config_done) struct kube_config config = {0};
	test_folder_put(folder, "ca.crt", "roots", 0600);
	test_folder_put(folder, "cert.pem", "chain", 0600);
	test_folder_put(folder, "key.pem", "key", 0600);
	assert_int_equal(load(folder,
				 KUBECONFIG("    server: https://api.test\n    certificate-authority: ca.crt\n",
					 "    client-certificate: cert.pem\n    client-key: key.pem\n"
					 "    tokenFile: token\n    token: unused\n"),
				 &config, NULL),
		ERR_NONE);
	char *token = mem_printf("%s/token", folder->path), *ca = mem_printf("%s/ca.crt", folder->path);
	assert_string_equal(config.host, "api.test");
	assert_int_equal(config.port, 443);
	assert_string_equal(config.token_file, token);
	assert_string_equal(config.ca_file, ca);
	is_text(&config.ca_pem, "roots");
	is_text(&config.client_chain_pem, "chain");
	is_text(&config.token, "");
	mem_free(token);
	mem_free(ca);
}

static void loads_a_token_and_an_ipv6_address(void **state)
{
	_cleanup_(kube_config_done) struct kube_config config = {0};
	assert_int_equal(load(*state, KUBECONFIG("    server: https://[2001:db8::1]:6443/\n" CA, "    token: abc\n"),
				 &config, NULL),
		ERR_NONE);
	assert_string_equal(config.host, "2001:db8::1");
	is_text(&config.token, "abc");
}

static void refuses_what_it_does_not_support(void **state)
{
	static const struct {
		const char *text, *key;
	} cases[] = {
		{KUBECONFIG(SERVER CA, "    exec: {command: aws}\n"), "exec"},
		{KUBECONFIG(SERVER CA, "    auth-provider: {name: gcp}\n"), "auth-provider"},
		{KUBECONFIG(SERVER CA, "    username: admin\n    password: x\n"), "username"},
		{KUBECONFIG(SERVER CA "    insecure-skip-tls-verify: true\n", "    token: x\n"),
			"insecure-skip-tls-verify"},
		{KUBECONFIG(SERVER CA "    proxy-url: http://192.0.2.9:3128\n", "    token: x\n"), "proxy-url"},
		{KUBECONFIG(SERVER, "    token: x\n"), "CA certificates"},
		{KUBECONFIG("    server: http://192.0.2.1:8080\n" CA, "    token: x\n"), "http://192.0.2.1:8080"},
		{KUBECONFIG("    server: https://192.0.2.1/k8s/a\n" CA, "    token: x\n"), "path"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_(kube_config_done) struct kube_config config = {0};
		struct why why = {0};
		assert_int_equal(load(*state, cases[i].text, &config, &why), ERR_UNSUPPORTED);
		assert_non_null(strstr(why.got, cases[i].key));
		assert_string_not_equal(why.fix, "");
	}
}

static void refuses_a_file_with_errors(void **state)
{
	static const struct {
		const char *text;
		enum err err;
	} cases[] = {
		{"a: [", ERR_MALFORMED},
		{"", ERR_NOT_FOUND},
		{"- list\n", ERR_NOT_FOUND},
		{"current-context: here\n", ERR_NOT_FOUND},
		{"current-context: here\ncontexts:\n- name: here\n  context: {cluster: away}\n", ERR_NOT_FOUND},
		{KUBECONFIG("    certificate-authority-data: cm9vdHM=\n", "    token: x\n"), ERR_MALFORMED},
		{KUBECONFIG("    server: https://192.0.2.1:70000\n" CA, "    token: x\n"), ERR_MALFORMED},
		{KUBECONFIG("    server: https://:6443\n" CA, "    token: x\n"), ERR_MALFORMED},
		{KUBECONFIG(SERVER "    certificate-authority-data: '!'\n", "    token: x\n"), ERR_MALFORMED},
		{KUBECONFIG(SERVER "    certificate-authority: absent\n", "    token: x\n"), ERR_NOT_FOUND},
		{KUBECONFIG(SERVER CA, "    client-certificate-data: Y2hhaW4=\n"), ERR_MALFORMED},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_(kube_config_done) struct kube_config config = {0};
		struct why why = {0};
		assert_int_equal(load(*state, cases[i].text, &config, &why), cases[i].err);
		assert_int_equal(why.err, cases[i].err);
		assert_null(config.host);
	}
}

/* Each in its own words: what is missing, and where. */
static void what_a_file_lacks_is_named(void **state)
{
	static const struct {
		const char *text, *got, *fix;
	} rows[] = {
		{"a: [", "/config:", "write the kubeconfig again"},
		{"a: b\n", "has no current-context", "use-context"},
		{"current-context: here\n", "has no context here that names a cluster", "use-context"},
		{"current-context: here\ncontexts: [{name: here, context: {cluster: away}}]\n", "has no cluster away",
			"use-context"},
		{KUBECONFIG(CA, "    token: x\n"), "names no API server", "add it to the kubeconfig"},
		{KUBECONFIG(SERVER "    certificate-authority-data: '!'\n", "    token: x\n"),
			"certificate-authority-data in /", "write the kubeconfig again"},
		{KUBECONFIG(SERVER CA, "    client-key-data: a2V5\n"), "one of them without the other",
			"write the kubeconfig again"},
		{KUBECONFIG("    server: https://192.0.2.1:0\n" CA, "    token: x\n"), "https://192.0.2.1:0",
			"correct 'server'"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		_cleanup_(kube_config_done) struct kube_config config = {0};
		struct why why = {0};
		assert_int_not_equal(load(*state, rows[i].text, &config, &why), ERR_NONE);
		assert_non_null(strstr(why.got, rows[i].got));
		assert_non_null(strstr(why.fix, rows[i].fix));
		assert_string_not_equal(why.expected, "");
	}
}

static void a_token_is_limited(void **state)
{
	for (size_t len = KUBE_TOKEN_MAX; len <= KUBE_TOKEN_MAX + 1; len++) {
		_cleanup_(kube_config_done) struct kube_config config = {0};
		_cleanup_(mem_freep) char *text = mem_printf(KUBECONFIG(SERVER CA, "    token: %0*d\n"), (int)len, 0);
		struct why why = {0};
		enum err err = load(*state, text, &config, &why);
		assert_int_equal(err, len > KUBE_TOKEN_MAX ? ERR_TOO_LARGE : ERR_NONE);
		assert_int_equal(buf_len(&config.token), err == ERR_NONE ? len : 0);
		if (err != ERR_NONE)
			assert_non_null(strstr(why.got, "has 16385 bytes"));
	}
}

/* Where a later part is wrong, nothing of the earlier ones is left in the output. */
static void a_file_that_is_refused_leaves_the_output_as_it_was(void **state)
{
	struct kube_config config = {.port = 7};
	assert_int_equal(
		load(*state, KUBECONFIG(SERVER CA, "    token: x\n    client-key-data: a2V5\n"), &config, NULL),
		ERR_MALFORMED);
	assert_int_equal(config.port, 7);
	assert_null(config.host);
	assert_null(config.namespace_);
	assert_int_equal(buf_len(&config.token) + buf_len(&config.ca_pem) + buf_len(&config.client_key_pem), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, test_folder_set_up, test_folder_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(loads_the_current_context_with_data_in_it),
		CASE(loads_files_beside_the_kubeconfig),
		CASE(loads_a_token_and_an_ipv6_address),
		CASE(refuses_what_it_does_not_support),
		CASE(refuses_a_file_with_errors),
		CASE(what_a_file_lacks_is_named),
		CASE(a_token_is_limited),
		CASE(a_file_that_is_refused_leaves_the_output_as_it_was),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
