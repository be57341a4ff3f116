#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/kube/kube_config.h"
#include "base/net/fd.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
/* cmocka requires <setjmp.h> and <stdarg.h> */
#include <cmocka.h>

struct folder {
	char path[64];
};

static int set_up(void **state)
{
	struct folder *folder = mem_new(struct folder);
	snprintf(folder->path, sizeof(folder->path), "/tmp/handfast-kube-XXXXXX");
	CHECK(mkdtemp(folder->path) != NULL);
	*state = folder;
	return 0;
}

static const char *const names[] = {"config", "ca.crt", "token", "namespace", "cert.pem", "key.pem"};

static int tear_down(void **state)
{
	struct folder *folder = *state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char *path = mem_printf("%s/%s", folder->path, names[i]);
		unlink(path);
		mem_free(path);
	}
	CHECK(rmdir(folder->path) == 0);
	unsetenv("KUBERNETES_SERVICE_HOST");
	unsetenv("KUBERNETES_SERVICE_PORT");
	mem_free(folder);
	return 0;
}

static void put(const struct folder *folder, const char *name, const char *text)
{
	char *path = mem_printf("%s/%s", folder->path, name);
	assert_int_equal(fd_write_file(path, span_of_str(text), 0600, NULL), ERR_NONE);
	mem_free(path);
}

static enum err load(const struct folder *folder, const char *text, struct kube_config *out, struct why *why)
{
	put(folder, "config", text);
	char *path = mem_printf("%s/config", folder->path);
	enum err err = kube_config_load(path, out, why);
	mem_free(path);
	return err;
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
	const struct folder *folder = *state;
	_cleanup_(kube_config_done) struct kube_config config = {0};
	put(folder, "ca.crt", "roots");
	put(folder, "cert.pem", "chain");
	put(folder, "key.pem", "key");
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

static void reads_what_a_pod_has(void **state)
{
	const struct folder *folder = *state;
	_cleanup_(kube_config_done) struct kube_config config = {0};
	put(folder, "ca.crt", "roots");
	put(folder, "namespace", "handfast-system\n");
	setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1", 1);
	setenv("KUBERNETES_SERVICE_PORT", "443", 1);
	assert_int_equal(kube_config_in_cluster(folder->path, &config, NULL), ERR_NONE);
	assert_string_equal(config.host, "10.96.0.1");
	assert_int_equal(config.port, 443);
	assert_string_equal(config.namespace_, "handfast-system");
	is_text(&config.ca_pem, "roots");
	assert_non_null(strstr(config.token_file, "/token"));
}

static void names_what_a_pod_lacks(void **state)
{
	const struct folder *folder = *state;
	_cleanup_(kube_config_done) struct kube_config config = {0};
	struct why why = {0};
	assert_int_equal(kube_config_in_cluster(folder->path, &config, &why), ERR_NOT_FOUND);
	assert_non_null(strstr(why.got, "KUBERNETES_SERVICE_HOST"));
	setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1", 1);
	assert_int_equal(kube_config_in_cluster(folder->path, &config, &why), ERR_MALFORMED);
	setenv("KUBERNETES_SERVICE_PORT", "443", 1);
	assert_int_equal(kube_config_in_cluster(folder->path, &config, &why), ERR_NOT_FOUND);
	assert_non_null(strstr(why.got, "ca.crt"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(loads_the_current_context_with_data_in_it),
		CASE(loads_files_beside_the_kubeconfig),
		CASE(loads_a_token_and_an_ipv6_address),
		CASE(refuses_what_it_does_not_support),
		CASE(refuses_a_file_with_errors),
		CASE(reads_what_a_pod_has),
		CASE(names_what_a_pod_lacks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
