#include "base/core/mem.h"
#include "base/kube/kube_plugin.h"
#include "base/kube/test_kubeconfig.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
/* cmocka requires <setjmp.h> and <stdarg.h> */
#include <cmocka.h>

#define V1     "apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, "
#define V1BETA "apiVersion: client.authentication.k8s.io/v1beta1, "
#define SERVER "https://192.0.2.1:6443"

/* `keys`: of exec. */
static enum err read_plugin(const char *keys, struct kube_plugin *out, struct why *why)
{
	_cleanup_(test_kubeconfig_done) struct kubeconfig file;
	_cleanup_(mem_freep) char *text = mem_printf("{%s}\n", keys);
	const yaml_node_t *root = test_kubeconfig_parse(text, &file);
	return kubeconfig_read_plugin(&file, root, SERVER, out, why);
}

/* What it returns outlives the file. */
static void all_of_it_is_read(_unused_ void **state)
{
	_cleanup_(kube_plugin_done) struct kube_plugin plugin = {0};
	assert_int_equal(read_plugin("apiVersion: client.authentication.k8s.io/v1, interactiveMode: IfAvailable, "
				     "command: aws, args: [eks, '', 5], env: [{name: A, value: b=c}, {name: D}], "
				     "installHint: install it, provideClusterInfo: true",
				 &plugin, NULL),
		ERR_NONE);
	assert_string_equal(plugin.api_version, "client.authentication.k8s.io/v1");
	assert_string_equal(plugin.words[0], "aws");
	assert_string_equal(plugin.words[1], "eks");
	assert_string_equal(plugin.words[2], "");
	assert_string_equal(plugin.words[3], "5");
	assert_null(plugin.words[4]);
	assert_string_equal(plugin.variables[0], "A=b=c");
	assert_string_equal(plugin.variables[1], "D=");
	assert_null(plugin.variables[2]);
	assert_string_equal(plugin.install_hint, "install it");
	assert_string_equal(plugin.server, SERVER);
	assert_int_equal(plugin.mode, KUBE_PLUGIN_IF_AVAILABLE);
}

static void what_is_left_out_has_its_default(_unused_ void **state)
{
	_cleanup_(kube_plugin_done) struct kube_plugin plugin = {0};
	assert_int_equal(read_plugin(V1BETA "command: /bin/aws, args: none, provideClusterInfo: false", &plugin, NULL),
		ERR_NONE);
	assert_string_equal(plugin.words[0], "/bin/aws");
	assert_null(plugin.words[1]); /* no list */
	assert_null(plugin.variables[0]);
	assert_null(plugin.install_hint);
	assert_null(plugin.server);
	assert_int_equal(plugin.mode, KUBE_PLUGIN_IF_AVAILABLE);
}

static void a_command_with_a_slash_is_beside_the_kubeconfig(_unused_ void **state)
{
	_cleanup_(kube_plugin_done) struct kube_plugin plugin = {0};
	assert_int_equal(read_plugin(V1 "command: ./plugin", &plugin, NULL), ERR_NONE);
	assert_string_equal(plugin.words[0], "/etc/handfast/./plugin");
}

static void each_mode_of_standard_input_is_known(_unused_ void **state)
{
	static const char *const names[] = {[KUBE_PLUGIN_IF_AVAILABLE] = "IfAvailable",
		[KUBE_PLUGIN_NEVER] = "Never",
		[KUBE_PLUGIN_ALWAYS] = "Always"};
	for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
		_cleanup_(kube_plugin_done) struct kube_plugin plugin = {0};
		_cleanup_(mem_freep) char *keys = mem_printf(V1BETA "command: a, interactiveMode: %s", names[i]);
		assert_int_equal(read_plugin(keys, &plugin, NULL), ERR_NONE);
		assert_int_equal(plugin.mode, i);
	}
}

static void what_is_wrong_is_named(_unused_ void **state)
{
	static const struct {
		const char *keys, *part;
		enum err err;
	} rows[] = {
		{"apiVersion: client.authentication.k8s.io/v1alpha1, command: ./plugin", "exec.apiVersion is client",
			ERR_UNSUPPORTED},
		{"command: ./plugin", "exec.apiVersion is missing", ERR_UNSUPPORTED},
		{V1, "exec.command is wrong or missing", ERR_MALFORMED},
		{V1 "command: [a]", "exec.command is wrong or missing", ERR_MALFORMED},
		{V1 "command: ./plugin, args: [{a: b}]", "exec.args is wrong", ERR_MALFORMED},
		{V1 "command: ./plugin, env: [{value: b}]", "exec.env is wrong", ERR_MALFORMED},
		{V1 "command: ./plugin, env: [{name: a=b, value: c}]", "exec.env is wrong", ERR_MALFORMED},
		{V1 "command: ./plugin, env: [a]", "exec.env is wrong", ERR_MALFORMED},
		{"apiVersion: client.authentication.k8s.io/v1, command: ./plugin",
			"exec.interactiveMode is wrong or missing", ERR_MALFORMED},
		{V1BETA "command: ./plugin, interactiveMode: never", "exec.interactiveMode is wrong or missing",
			ERR_MALFORMED},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		_cleanup_(kube_plugin_done) struct kube_plugin plugin = {0};
		struct why why = {0};
		assert_int_equal(read_plugin(rows[i].keys, &plugin, &why), rows[i].err);
		assert_non_null(strstr(why.got, rows[i].part));
		assert_non_null(strstr(why.got, TEST_KUBECONFIG_PATH ": "));
		assert_true(why.expected[0] != '\0' && why.fix[0] != '\0');
	}
}

/* `num` entries in a list of exec. */
static enum err read_list(const char *key, const char *entry, size_t num, struct why *why)
{
	_cleanup_(kube_plugin_done) struct kube_plugin plugin = {0};
	_cleanup_(buf_done) struct buf keys = BUF_INIT(16 * 1024);
	assert_int_equal(buf_printf(&keys, V1 "command: a, %s: [", key), ERR_NONE);
	for (size_t i = 0; i < num; i++)
		assert_int_equal(buf_printf(&keys, "%s, ", entry), ERR_NONE);
	assert_int_equal(buf_append_str(&keys, "]"), ERR_NONE);
	return read_plugin(buf_cstr(&keys), &plugin, why);
}

/* Beyond it all that was read is released: AddressSanitizer sees a leak. */
static void lists_are_limited(_unused_ void **state)
{
	struct why why = {0};
	assert_int_equal(read_list("args", "b", KUBE_PLUGIN_WORDS_MAX - 1, NULL), ERR_NONE); /* the command is a word */
	assert_int_equal(read_list("args", "b", KUBE_PLUGIN_WORDS_MAX, &why), ERR_MALFORMED);
	assert_string_equal(why.expected, "a list of at most 63 texts");
	assert_int_equal(read_list("env", "{name: b}", KUBE_PLUGIN_VARIABLES_MAX, NULL), ERR_NONE);
	assert_int_equal(read_list("env", "{name: b}", KUBE_PLUGIN_VARIABLES_MAX + 1, &why), ERR_MALFORMED);
	assert_string_equal(why.expected, "a list of at most 64 objects with name and value");
}

static void one_that_is_done_is_empty(_unused_ void **state)
{
	struct kube_plugin plugin = {0};
	assert_int_equal(read_plugin(V1 "command: a, args: [b], env: [{name: c}]", &plugin, NULL), ERR_NONE);
	kube_plugin_done(&plugin);
	assert_null(plugin.words[0]);
	assert_null(plugin.variables[0]);
	assert_null(plugin.api_version);
	kube_plugin_done(&plugin);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_of_it_is_read),
		cmocka_unit_test(what_is_left_out_has_its_default),
		cmocka_unit_test(a_command_with_a_slash_is_beside_the_kubeconfig),
		cmocka_unit_test(each_mode_of_standard_input_is_known),
		cmocka_unit_test(what_is_wrong_is_named),
		cmocka_unit_test(lists_are_limited),
		cmocka_unit_test(one_that_is_done_is_empty),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
