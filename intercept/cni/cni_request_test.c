#include "intercept/cni/cni_request.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka requires the three headers above */
#include <cmocka.h>

#define ARGS    "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;K8S_POD_INFRA_CONTAINER_ID=f0;K8S_POD_UID=u-1"
#define RESULT  "{\"cniVersion\":\"0.4.0\",\"ips\":[{\"address\":\"192.0.2.7/24\",\"version\":\"4\"}]}"
#define NETWORK "\"cniVersion\":\"0.4.0\",\"name\":\"net\",\"type\":\"handfast-cni\""
#define CHAINED "{" NETWORK ",\"prevResult\":" RESULT "}"

static const struct cni_environment ADD = {
	.command = "ADD", .container_id = "c1", .netns = "/run/netns/x", .args = ARGS};

static enum err parse(const struct cni_environment *environment, const char *config, struct cni_request *out,
	enum cni_code *out_code, struct why *why)
{
	return cni_request_parse(environment, span_of_str(config), out, out_code, why);
}

static void reads_a_pod_and_gives_the_former_result_back(void **state)
{
	_cleanup_(cni_request_done) struct cni_request request;
	_cleanup_(buf_done) struct buf out = BUF_INIT(4096);
	enum cni_code code;
	struct why why;
	(void)state;
	assert_int_equal(parse(&ADD, CHAINED, &request, &code, &why), ERR_NONE);
	assert_int_equal(request.command, CNI_ADD);
	assert_string_equal(request.netns, "/run/netns/x");
	assert_string_equal(request.socket, CNI_SOCKET);
	assert_string_equal(request.pod.namespace_, "shop");
	assert_string_equal(request.pod.name, "web-0");
	assert_string_equal(request.pod.uid, "u-1");
	assert_false(request.is_excluded);
	assert_int_equal(cni_result_put(&request, &out), ERR_NONE);
	assert_string_equal(buf_cstr(&out), RESULT "\n");
}

static void a_namespace_may_be_excluded(void **state)
{
	_cleanup_(cni_request_done) struct cni_request request;
	enum cni_code code;
	struct why why;
	(void)state;
	assert_int_equal(
		parse(&ADD,
			"{" NETWORK ",\"socket\":\"/x.sock\",\"exclude_namespaces\":[\"kube-system\",\"shop\"],"
			"\"prevResult\":" RESULT "}",
			&request, &code, &why),
		ERR_NONE);
	assert_true(request.is_excluded);
	assert_string_equal(request.socket, "/x.sock");
}

static void what_is_no_pod_has_no_name(void **state)
{
	_cleanup_(cni_request_done) struct cni_request request;
	struct cni_environment environment = ADD;
	enum cni_code code;
	struct why why;
	(void)state;
	environment.args = NULL;
	assert_int_equal(parse(&environment, CHAINED, &request, &code, &why), ERR_NONE);
	assert_string_equal(request.pod.name, "");
}

static void a_deletion_needs_neither_namespace_nor_result(void **state)
{
	_cleanup_(cni_request_done) struct cni_request request;
	_cleanup_(buf_done) struct buf out = BUF_INIT(4096);
	const struct cni_environment environment = {.command = "DEL", .container_id = "c1", .netns = ""};
	enum cni_code code;
	struct why why;
	(void)state;
	assert_int_equal(parse(&environment, "{" NETWORK "}", &request, &code, &why), ERR_NONE);
	assert_null(request.netns);
	assert_int_equal(cni_result_put(&request, &out), ERR_NONE);
	assert_int_equal(buf_len(&out), 0);
}

static void what_is_removed_may_be_of_any_version(void **state)
{
	static const struct cni_environment rows[] = {
		{.command = "DEL", .container_id = "c1", .netns = "", .args = "K8S_POD_NAME=b"}, {.command = "GC"}};
	static const char *const configs[] = {
		"{\"name\":\"n\"}", "{\"cniVersion\":\"0.2.0\"}", "{\"cniVersion\":\"2.0.0\"}"};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		for (size_t k = 0; k < sizeof configs / sizeof configs[0]; k++) {
			_cleanup_(cni_request_done) struct cni_request request;
			enum cni_code code;
			struct why why = {0};
			assert_int_equal(parse(&rows[i], configs[k], &request, &code, &why), ERR_NONE);
		}
}

static void lists_its_versions(void **state)
{
	_cleanup_(cni_request_done) struct cni_request request;
	_cleanup_(buf_done) struct buf out = BUF_INIT(4096);
	const struct cni_environment environment = {.command = "VERSION"};
	enum cni_code code;
	struct why why;
	(void)state;
	assert_int_equal(parse(&environment, "{\"cniVersion\":\"1.0.0\"}", &request, &code, &why), ERR_NONE);
	assert_int_equal(cni_result_put(&request, &out), ERR_NONE);
	assert_non_null(
		strstr(buf_cstr(&out), "\"supportedVersions\":[\"0.3.0\",\"0.3.1\",\"0.4.0\",\"1.0.0\",\"1.1.0\"]"));
}

struct refused {
	struct cni_environment environment;
	const char *config;
	enum cni_code code;
	const char *expected, *got; /* parts */
};

static void refuses_with_the_code_of_the_specification(void **state)
{
	static const char long_name[] =
		"K8S_POD_NAMESPACE=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		";K8S_POD_NAME=b";
	const struct refused rows[] = {
		{{.command = NULL}, CHAINED, CNI_BAD_ENVIRONMENT, "ADD", "CNI_COMMAND is ''"},
		{{.command = "add"}, CHAINED, CNI_BAD_ENVIRONMENT, "ADD", "'add'"},
		{{.command = "ADD", .netns = "/x"}, CHAINED, CNI_BAD_ENVIRONMENT, "CNI_CONTAINERID", "not set"},
		{{.command = "CHECK", .container_id = "c"}, CHAINED, CNI_BAD_ENVIRONMENT, "CNI_NETNS", "not set"},
		{{.command = "ADD", .container_id = "c", .netns = "/x", .args = long_name}, CHAINED,
			CNI_BAD_ENVIRONMENT, "names of Kubernetes", "CNI_ARGS"},
		{{.command = "ADD", .container_id = "c", .netns = "/x", .args = "K8S_POD_NAME=b"}, CHAINED,
			CNI_BAD_ENVIRONMENT, "names of Kubernetes", "CNI_ARGS"},
		{ADD, "", CNI_UNDECODABLE, "JSON", "standard input"},
		{ADD, "[]", CNI_UNDECODABLE, "JSON", "another type"},
		{ADD, "{\"name\":\"n\"}", CNI_INCOMPATIBLE_VERSION, "1.0.0", "''"},
		{ADD, "{\"cniVersion\":\"2.0.0\"}", CNI_INCOMPATIBLE_VERSION, "1.0.0", "2.0.0"},
		{ADD, "{" NETWORK "}", CNI_BAD_CONFIG, "stands behind", "prevResult"},
		{ADD, "{" NETWORK ",\"socket\":\"x\"}", CNI_BAD_CONFIG, "absolute", "socket"},
		{ADD, "{" NETWORK ",\"exclude_namespaces\":\"x\"}", CNI_BAD_CONFIG, "list", "exclude_namespaces"},
		{ADD, "{" NETWORK ",\"exclude_namespaces\":[1]}", CNI_BAD_CONFIG, "list", "exclude_namespaces"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		_cleanup_(cni_request_done) struct cni_request request;
		enum cni_code code = 0;
		struct why why = {0};
		assert_int_not_equal(parse(&rows[i].environment, rows[i].config, &request, &code, &why), ERR_NONE);
		assert_int_equal(code, rows[i].code);
		assert_non_null(strstr(why.expected, rows[i].expected));
		assert_non_null(strstr(why.got, rows[i].got));
	}
}

static void an_error_has_the_version_that_was_asked_for(void **state)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT(4096);
	const struct cni_request request = {.version = "0.4.0"};
	const struct why why = {.expected = "e", .got = "g", .fix = "f"};
	(void)state;
	assert_int_equal(cni_error_put(&request, CNI_TRY_AGAIN_LATER, &why, &out), ERR_NONE);
	assert_string_equal(buf_cstr(&out),
		"{\"cniVersion\":\"0.4.0\",\"code\":11,\"msg\":\"g\",\"details\":\"expected: e; "
		"fix: f\"}\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_a_pod_and_gives_the_former_result_back),
		cmocka_unit_test(a_namespace_may_be_excluded),
		cmocka_unit_test(what_is_no_pod_has_no_name),
		cmocka_unit_test(a_deletion_needs_neither_namespace_nor_result),
		cmocka_unit_test(what_is_removed_may_be_of_any_version),
		cmocka_unit_test(lists_its_versions),
		cmocka_unit_test(refuses_with_the_code_of_the_specification),
		cmocka_unit_test(an_error_has_the_version_that_was_asked_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
