/* Credential plugins: real scripts, as a kubeconfig names them. */
#include "base/core/mem.h"
#include "base/kube/kube_config.h"
#include "base/kube/test_folder.h"
#include "base/net/fd.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
/* cmocka requires <setjmp.h> and <stdarg.h> */
#include <cmocka.h>

#define HEAD                                                                                                           \
	"current-context: c\ncontexts: [{name: c, context: {cluster: c, user: u}}]\n"                                  \
	"clusters: [{name: c, cluster: {server: 'https://192.0.2.1:6443', certificate-authority-data: cm9vdHM=}}]\n"   \
	"users: [{name: u, user: {exec: {"
#define V1 "apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, "
#define V1_ANSWER(status)                                                                                              \
	"{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\",\"status\":{" status "}}"

/* `keys`: of exec; `script`: the program ./plugin. */
static enum err load(const struct test_folder *folder, const char *keys, const char *script, struct kube_config *out,
	struct why *why)
{
	_cleanup_(mem_freep) char *text = mem_printf(HEAD "%s}}}]\n", keys), *path = test_folder_path(folder, "config");
	_cleanup_(mem_freep) char *program = mem_printf("#!/bin/sh\n%s\n", script);
	test_folder_put(folder, "config", text, 0600);
	test_folder_put(folder, "plugin", program, 0700);
	return kube_config_load_with_plugin(path, out, why);
}

static void is_text(const struct buf *buf, const char *text)
{
	assert_true(span_eq(buf_span(buf), span_of_str(text)));
}

static void a_token_is_taken(void **state)
{
	_cleanup_(kube_config_done) struct kube_config config = {0};
	struct why why = {0};
	assert_int_equal(
		load(*state, V1 "command: ./plugin",
			"echo '" V1_ANSWER("\"token\":\"abc\",\"expirationTimestamp\":\"2999-01-02T03:04:05Z\"") "'",
			&config, &why),
		ERR_NONE);
	is_text(&config.token, "abc");
	assert_string_equal(config.host, "192.0.2.1");
}

static void a_certificate_and_its_key_are_taken(void **state)
{
	_cleanup_(kube_config_done) struct kube_config config = {0};
	struct why why = {0};
	assert_int_equal(load(*state, "apiVersion: client.authentication.k8s.io/v1beta1, command: ./plugin",
				 "echo "
				 "'{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/"
				 "v1beta1\",\"status\":"
				 "{\"clientCertificateData\":\"chain\",\"clientKeyData\":\"key\"}}'",
				 &config, &why),
		ERR_NONE);
	is_text(&config.client_chain_pem, "chain");
	is_text(&config.client_key_pem, "key");
}

/* Arguments are no words of a shell; variables of the kubeconfig precede those of this program. */
static void the_plugin_gets_what_the_kubeconfig_has(void **state)
{
	const struct test_folder *folder = *state;
	_cleanup_(kube_config_done) struct kube_config config = {0};
	_cleanup_(buf_done) struct buf seen = BUF_INIT(4096);
	_cleanup_(mem_freep) char *path = test_folder_path(folder, "seen");
	struct why why = {0};
	setenv("HANDFAST_PLUGIN_ONE", "of this program", 1);
	setenv("HANDFAST_PLUGIN_TWO", "kept", 1);
	assert_int_equal(load(folder,
				 V1 "provideClusterInfo: true, command: ./plugin, args: [a, 'b; echo $c', ''], "
				    "env: [{name: HANDFAST_PLUGIN_ONE, value: of the kubeconfig}]",
				 "printf '%s|' $# \"$2\" \"$HANDFAST_PLUGIN_ONE\" \"$HANDFAST_PLUGIN_TWO\" "
				 "\"$KUBERNETES_EXEC_INFO\" > ${0%/*}/seen; read line && exit 1; "
				 "echo '" V1_ANSWER("\"token\":\"abc\"") "'",
				 &config, &why),
		ERR_NONE);
	unsetenv("HANDFAST_PLUGIN_ONE");
	unsetenv("HANDFAST_PLUGIN_TWO");
	assert_int_equal(fd_read_file(path, 4096, &seen, NULL), ERR_NONE);
	assert_string_equal(buf_cstr(&seen),
		"3|b; echo $c|of the kubeconfig|kept|{\"kind\":\"ExecCredential\",\"apiVersion\":"
		"\"client.authentication.k8s.io/v1\",\"spec\":{\"interactive\":false,\"cluster\":{\"server\":"
		"\"https://192.0.2.1:6443\",\"certificate-authority-data\":\"cm9vdHM=\"}}}|");
}

static void a_program_of_path_is_found(void **state)
{
	const struct test_folder *folder = *state;
	_cleanup_(kube_config_done) struct kube_config config = {0};
	_cleanup_(mem_freep) char *before = mem_strdup(getenv("PATH") != NULL ? getenv("PATH") : "/usr/bin:/bin"),
				  *path = mem_printf("/nowhere::%s:%s", folder->path, before);
	struct why why = {0};
	setenv("PATH", path, 1);
	enum err err = load(folder, V1 "command: plugin", "echo '" V1_ANSWER("\"token\":\"abc\"") "'", &config, &why);
	setenv("PATH", before, 1);
	assert_int_equal(err, ERR_NONE);
}

static void a_program_that_is_missing_has_its_hint(void **state)
{
	_cleanup_(kube_config_done) struct kube_config config = {0};
	struct why why = {0};
	assert_int_equal(load(*state, V1 "command: handfast-absent, installHint: 'install it from example.org'", "",
				 &config, &why),
		ERR_NOT_FOUND);
	assert_string_equal(why.got, "cannot find the program handfast-absent");
	assert_string_equal(why.fix, "install it from example.org");
	assert_int_equal(load(*state, V1 "command: ./absent", "", &config, &why), ERR_NOT_FOUND);
	assert_non_null(strstr(why.fix, "users[].user.exec.command"));
}

static void what_goes_wrong_is_named(void **state)
{
	static const struct {
		const char *keys, *script, *part;
		enum err err;
	} rows[] = {
		{"command: ./plugin", "", "exec.apiVersion is missing", ERR_UNSUPPORTED},
		{"apiVersion: client.authentication.k8s.io/v1, interactiveMode: Always, command: ./plugin", "",
			"needs standard input to be a terminal", ERR_DENIED},
		{V1 "command: ./plugin", "exit 3", "ended with exit code 3", ERR_DENIED},
		{V1 "command: ./plugin", "kill -9 $$", "ended with exit code 137", ERR_DENIED},
		{V1 "command: ./plugin", "echo hello", "printed no JSON", ERR_MALFORMED},
		{V1 "command: ./plugin", "echo '{\"kind\":\"Pod\"}'", "printed another object", ERR_MALFORMED},
		{V1 "command: ./plugin",
			"echo '{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1beta1\"}'",
			"printed another apiVersion", ERR_MALFORMED},
		{V1 "command: ./plugin", "echo '" V1_ANSWER("") "'", "printed neither a token nor", ERR_MALFORMED},
		{V1 "command: ./plugin", "echo '" V1_ANSWER("\"clientKeyData\":\"k\"") "'", "without the other",
			ERR_MALFORMED},
		{V1 "command: ./plugin", "head -c 2000000 /dev/zero", "printed more than 1 MiB", ERR_MALFORMED},
		{V1 "command: ./plugin",
			"echo '" V1_ANSWER("\"token\":\"a\",\"expirationTimestamp\":\"2020-01-01T00:00:00+02:00\"") "'",
			"have expired: 2020-01-01T00:00:00+02:00", ERR_DENIED},
		{V1 "command: ./plugin", "echo '" V1_ANSWER("\"token\":\"a\",\"expirationTimestamp\":\"soon\"") "'",
			"an expirationTimestamp that is not a time", ERR_MALFORMED},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		_cleanup_(kube_config_done) struct kube_config config = {0};
		struct why why = {0};
		assert_int_equal(load(*state, rows[i].keys, rows[i].script, &config, &why), rows[i].err);
		assert_non_null(strstr(why.got, rows[i].part));
		assert_true(why.expected[0] != '\0' && why.fix[0] != '\0');
		assert_int_equal(buf_len(&config.token), 0);
	}
}

/* A program that runs on its own. */
static void without_leave_no_plugin_is_run(void **state)
{
	const struct test_folder *folder = *state;
	_cleanup_(kube_config_done) struct kube_config config = {0};
	_cleanup_(mem_freep) char *path = test_folder_path(folder, "config"), *seen = test_folder_path(folder, "seen");
	struct why why = {0};
	assert_int_equal(
		load(folder, V1 "command: ./plugin", "echo run >> ${0%/*}/seen", &config, &why), ERR_MALFORMED);
	assert_int_equal(access(seen, F_OK), 0);
	unlink(seen);
	assert_int_equal(kube_config_load(path, &config, &why), ERR_UNSUPPORTED);
	assert_int_equal(access(seen, F_OK), -1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, test_folder_set_up, test_folder_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_token_is_taken),
		TEST(a_certificate_and_its_key_are_taken),
		TEST(the_plugin_gets_what_the_kubeconfig_has),
		TEST(a_program_of_path_is_found),
		TEST(a_program_that_is_missing_has_its_hint),
		TEST(what_goes_wrong_is_named),
		TEST(without_leave_no_plugin_is_run),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
