/* Probes: rewritten to the sidecar, which is given what to ask. */
#include "control/kube/test_inject.h"
#include <stdio.h>
#include <string.h>

struct row {
	const char *container; /* members of the container app */
	const char *setting;   /* what the sidecar gets */
	const char *pointer;   /* the probe's httpGet/path in the container */
	const char *path;
};

static void each_kind_is_rewritten(void **state)
{
	(void)state;
	static const struct row rows[] = {
		{"'livenessProbe': {'httpGet': {'path': '/live', 'port': 8080}}", "app/liveness http 8080 /live\n",
			"/livenessProbe/httpGet/path", "/probe/app/liveness"},
		{"'readinessProbe': {'httpGet': {'port': 8080, 'scheme': 'HTTPS'}}", "app/readiness tcp 8080\n",
			"/readinessProbe/httpGet/path", "/probe/app/readiness"},
		{"'startupProbe': {'tcpSocket': {'port': 5432}}", "app/startup tcp 5432\n",
			"/startupProbe/httpGet/path", "/probe/app/startup"},
		{"'livenessProbe': {'grpc': {'port': 9000, 'service': 'a.B'}}", "app/liveness grpc 9000 service=a.B\n",
			"/livenessProbe/httpGet/path", "/probe/app/liveness"},
		{"'livenessProbe': {'grpc': {'port': 9000, 'service': ''}}", "app/liveness grpc 9000\n",
			"/livenessProbe/httpGet/path", "/probe/app/liveness"},
		{"'ports': [{'name': 'web', 'containerPort': 81}], 'livenessProbe': {'httpGet': {'port': 'web'}}",
			"app/liveness http 81 /\n", "/livenessProbe/httpGet/path", "/probe/app/liveness"},
		{"'livenessProbe': {'tcpSocket': {'port': '8081'}}", "app/liveness tcp 8081\n",
			"/livenessProbe/httpGet/path", "/probe/app/liveness"},
		{"'livenessProbe': {'httpGet': {'path': '/a?b=c,d%20e f', 'port': 80, 'httpHeaders': "
		 "[{'name': 'Host', 'value': 'shop.test'}, {'name': 'X-A', 'value': 'b c'}]}}",
			"app/liveness http 80 /a?b=c%2Cd%2520e%20f header=Host:shop.test header=X-A:b%20c\n",
			"/livenessProbe/httpGet/path", "/probe/app/liveness"},
		{"'livenessProbe': {'httpGet': {'port': 80}, 'timeoutSeconds': 30}",
			"app/liveness http 80 / timeout=30\n", "/livenessProbe/httpGet/path", "/probe/app/liveness"},
		{"'livenessProbe': {'httpGet': {'port': 8443, 'scheme': 'HTTPS'}, 'timeoutSeconds': 2}",
			"app/liveness tcp 8443 timeout=2\n", "/livenessProbe/httpGet/path", "/probe/app/liveness"},
		{"'livenessProbe': {'grpc': {'port': 9000, 'service': 'a'}, 'timeoutSeconds': 1}",
			"app/liveness grpc 9000 service=a\n", "/livenessProbe/httpGet/path", "/probe/app/liveness"},
		{"'livenessProbe': {'httpGet': {'path': '/a?b=$$c&d=$(HOME)', 'port': 80}}",
			"app/liveness http 80 /a?b=%24%24c&d=%24(HOME)\n", "/livenessProbe/httpGet/path",
			"/probe/app/liveness"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct injected *injected = test_inject(test_pod(rows[i].container, ""), NULL, NULL);
		char pointer[128];
		snprintf(pointer, sizeof(pointer), "/spec/containers/0%s", rows[i].pointer);
		assert_string_equal(test_env(injected, "handfast", "HANDFAST_SIDECAR_PROBES"), rows[i].setting);
		assert_string_equal(test_text_at(injected, pointer), rows[i].path);
		test_inject_free(injected);
	}
}

static void a_rewritten_probe_keeps_its_times_and_asks_in_plain_http(void **state)
{
	(void)state;
	struct injected *injected = test_inject(
		test_pod("'livenessProbe': {'tcpSocket': {'port': 80}, 'periodSeconds': 7, 'timeoutSeconds': 2}", ""),
		NULL, NULL);
	json_t *expected = test_json(
		"{'httpGet': {'path': '/probe/app/liveness', 'port': 15020, 'scheme': 'HTTP'}, 'periodSeconds': 7, "
		"'timeoutSeconds': 2}");
	assert_true(json_equal(test_at(injected, "/spec/containers/0/livenessProbe"), expected));
	json_decref(expected);
	test_inject_free(injected);
}

static void exec_probes_and_hooks_stay(void **state)
{
	(void)state;
	struct injected *injected = test_inject(
		test_pod(
			"'livenessProbe': {'exec': {'command': ['true']}}, 'lifecycle': {'preStop': {'exec': {}}}", ""),
		NULL, NULL);
	assert_true(json_equal(test_at(injected, "/spec/containers"),
		json_object_get(json_object_get(injected->before, "spec"), "containers")));
	test_inject_free(injected);
}

static void native_sidecars_of_the_user_have_probes_too_and_other_init_containers_none(void **state)
{
	(void)state;
	struct injected *injected = test_inject(
		test_pod("",
			"'initContainers': [{'name': 'once', 'livenessProbe': {'tcpSocket': {'port': 1}}}, "
			"{'name': 'logs', 'restartPolicy': 'Always', 'startupProbe': {'tcpSocket': {'port': 2}}}]"),
		NULL, NULL);
	assert_string_equal(test_env(injected, "handfast", "HANDFAST_SIDECAR_PROBES"), "logs/startup tcp 2\n");
	assert_string_equal(
		test_text_at(injected, "/spec/initContainers/3/startupProbe/httpGet/path"), "/probe/logs/startup");
	test_inject_free(injected);
}

static void what_is_not_the_pods_stays_with_a_warning(void **state)
{
	(void)state;
	static const char *const rows[][2] = {
		{"'livenessProbe': {'httpGet': {'port': 80, 'host': '192.0.2.1'}}", "asks the host 192.0.2.1"},
		{"'livenessProbe': {'tcpSocket': {'port': 'web'}}", "is not a port of the container"},
		{"'livenessProbe': {'tcpSocket': {'port': 70000}}", "is not a port of the container"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct injected *injected = test_inject(test_pod(rows[i][0], ""), NULL, NULL);
		assert_true(test_has_warning(injected, rows[i][1]));
		assert_null(test_env(injected, "handfast", "HANDFAST_SIDECAR_PROBES"));
		test_inject_free(injected);
	}
}

static void rewriting_can_be_disabled(void **state)
{
	(void)state;
	struct injected *injected = test_inject(
		"{'metadata': {'annotations': {'handfast.dev/rewrite-probes': 'disabled'}}, 'spec': {'containers': "
		"[{'name': 'app', 'livenessProbe': {'tcpSocket': {'port': 1}}}]}}",
		NULL, NULL);
	assert_null(test_env(injected, "handfast", "HANDFAST_SIDECAR_PROBES"));
	test_inject_free(injected);
}

static void a_container_that_came_later_joins_the_probes_of_the_first_run(void **state)
{
	(void)state;
	struct injected *first = test_inject(test_pod("'livenessProbe': {'tcpSocket': {'port': 1}}", ""), NULL, NULL);
	json_array_append_new(test_at(first, "/spec/containers"),
		test_json("{'name': 'agent', 'readinessProbe': {'grpc': {'port': 2}}}"));
	struct injected *second = test_inject_again(first);
	assert_string_equal(test_env(second, "handfast", "HANDFAST_SIDECAR_PROBES"),
		"app/liveness tcp 1\nagent/readiness grpc 2\n");
	struct injected *third = test_inject_again(second);
	assert_int_equal(third->result.verdict, INJECT_LEAVE);
	test_inject_free(third);
	test_inject_free(second);
	test_inject_free(first);
}

static void the_first_probe_may_come_later(void **state)
{
	(void)state;
	struct injected *first = test_inject(test_pod("", ""), NULL, NULL);
	json_array_append_new(test_at(first, "/spec/containers"),
		test_json("{'name': 'agent', 'readinessProbe': {'grpc': {'port': 2}}}"));
	struct injected *second = test_inject_again(first);
	assert_string_equal(test_env(second, "handfast", "HANDFAST_SIDECAR_PROBES"), "agent/readiness grpc 2\n");
	test_inject_free(second);
	test_inject_free(first);
}

static void probes_that_the_sidecar_cannot_make_stay_with_a_warning(void **state)
{
	(void)state;
	char path[5000];
	memset(path, 'a', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	const char *const paths[] = {path, "/a\nb"};
	for (size_t i = 0; i < 2; i++) {
		json_t *pod = test_json(test_pod("'livenessProbe': {'httpGet': {'port': 1}}", ""));
		json_object_set_new(
			test_pointer(pod, "/spec/containers/0/livenessProbe/httpGet"), "path", json_string(paths[i]));
		struct injected *injected = test_inject_json(pod, NULL, NULL);
		assert_true(test_has_warning(injected, "stays as it is (too long"));
		assert_null(test_env(injected, "handfast", "HANDFAST_SIDECAR_PROBES"));
		assert_string_equal(test_text_at(injected, "/spec/containers/0/livenessProbe/httpGet/path"), paths[i]);
		test_inject_free(injected);
	}
}

static void a_timeout_beyond_what_the_sidecar_waits_has_a_warning(void **state)
{
	(void)state;
	struct injected *injected = test_inject(
		test_pod("'livenessProbe': {'tcpSocket': {'port': 1}, 'timeoutSeconds': 301}", ""), NULL, NULL);
	assert_true(test_has_warning(injected, "the sidecar waits 300 s for the liveness probe, not 301"));
	assert_string_equal(
		test_env(injected, "handfast", "HANDFAST_SIDECAR_PROBES"), "app/liveness tcp 1 timeout=300\n");
	test_inject_free(injected);
}

static void an_https_probe_becomes_a_tcp_probe_with_a_warning(void **state)
{
	(void)state;
	struct injected *injected = test_inject(
		test_pod("'livenessProbe': {'httpGet': {'port': 8443, 'scheme': 'HTTPS'}}", ""), NULL, NULL);
	assert_true(test_has_warning(injected, "the liveness probe over HTTPS as a TCP probe of port 8443"));
	test_inject_free(injected);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_is_rewritten),
		cmocka_unit_test(a_rewritten_probe_keeps_its_times_and_asks_in_plain_http),
		cmocka_unit_test(exec_probes_and_hooks_stay),
		cmocka_unit_test(native_sidecars_of_the_user_have_probes_too_and_other_init_containers_none),
		cmocka_unit_test(what_is_not_the_pods_stays_with_a_warning),
		cmocka_unit_test(rewriting_can_be_disabled),
		cmocka_unit_test(a_container_that_came_later_joins_the_probes_of_the_first_run),
		cmocka_unit_test(the_first_probe_may_come_later),
		cmocka_unit_test(probes_that_the_sidecar_cannot_make_stay_with_a_warning),
		cmocka_unit_test(a_timeout_beyond_what_the_sidecar_waits_has_a_warning),
		cmocka_unit_test(an_https_probe_becomes_a_tcp_probe_with_a_warning),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
