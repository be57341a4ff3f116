/* Reviews as the API server sends them, and as none should be. */
#include "base/core/base64url.h"
#include "base/core/mem.h"
#include "control/kube/admission.h"
#include "control/kube/admission_strip.h"
#include "control/kube/test_inject.h"
#include <stdio.h>
#include <string.h>

#define KIND    "'kind': 'AdmissionReview', 'apiVersion': 'admission.k8s.io/v1'"
#define POD     "{'metadata': {'generateName': 'cart-'}, 'spec': {'containers': [{'name': 'app', 'image': 'a'}]}}"
#define REQUEST "'uid': 'u-1', 'resource': {'group': '', 'version': 'v1', 'resource': 'pods'}, 'namespace': 'shop'"

static const char *pod_security; /* of the namespace shop */

static void on_namespace(void *arg, struct inject_namespace *out)
{
	(void)arg;
	assert_string_equal(out->name, "shop");
	out->pod_security = pod_security;
}

struct answer {
	enum err err;
	json_t *root; /* NULL: none */
	struct admission_outcome outcome;
	struct why detail;
};

static struct answer ask(const char *text)
{
	const struct admission admission = {.options = &test_inject_options, .on_namespace = on_namespace};
	_cleanup_(buf_done) struct buf body = BUF_INIT(8u * 1024 * 1024), out = BUF_INIT(ADMISSION_ANSWER_MAX);
	struct answer answer = {.root = NULL};
	assert_int_equal(buf_append_str(&body, text), ERR_NONE);
	for (size_t i = body.start; i < body.end; i++)
		if (body.ptr[i] == '\'')
			body.ptr[i] = '"';
	answer.err = admission_review(&admission, buf_span(&body), &out, &answer.outcome, &answer.detail);
	if (answer.err == ERR_NONE) {
		answer.root = json_loadb((const char *)buf_span(&out).ptr, buf_len(&out), 0, NULL);
		assert_string_equal(json_string_value(test_pointer(answer.root, "/apiVersion")), "admission.k8s.io/v1");
		assert_string_equal(json_string_value(test_pointer(answer.root, "/kind")), "AdmissionReview");
	}
	return answer;
}

/* What the API server decodes: base64 with padding is base64url here but for two digits and the padding. */
static json_t *patch_of(const struct answer *answer)
{
	char *text = mem_strdup(json_string_value(test_pointer(answer->root, "/response/patch")));
	_cleanup_(buf_done) struct buf decoded = BUF_INIT(ADMISSION_ANSWER_MAX);
	for (char *at = text; *at != '\0'; at++)
		if (*at == '+')
			*at = '-';
		else if (*at == '/')
			*at = '_';
	text[strcspn(text, "=")] = '\0';
	assert_int_equal(base64url_decode(span_of_str(text), &decoded), ERR_NONE);
	mem_free(text);
	return json_loadb((const char *)buf_span(&decoded).ptr, buf_len(&decoded), 0, NULL);
}

static void a_creation_is_answered_with_a_patch_and_the_uid(void **state)
{
	(void)state;
	struct answer answer = ask("{" KIND ", 'request': {" REQUEST ", 'operation': 'CREATE', 'object': " POD "}}");
	assert_int_equal(answer.err, ERR_NONE);
	assert_int_equal(answer.outcome.verdict, INJECT_CHANGE);
	assert_string_equal(answer.outcome.pod, "shop/cart-");
	assert_string_equal(json_string_value(test_pointer(answer.root, "/response/uid")), "u-1");
	assert_true(json_is_true(test_pointer(answer.root, "/response/allowed")));
	assert_string_equal(json_string_value(test_pointer(answer.root, "/response/patchType")), "JSONPatch");
	json_t *patch = patch_of(&answer), *pod = test_json(POD);
	test_patch_apply(pod, patch);
	assert_string_equal(json_string_value(test_pointer(pod, "/spec/initContainers/1/name")), "handfast");
	json_decref(pod);
	json_decref(patch);
	json_decref(answer.root);
}

/* Most reviews are read without the containers' variables; here these are what the patch depends on. */
static void variables_of_a_container_that_gets_the_workload_api_stay(void **state)
{
	(void)state;
	static const char pod[] =
		"{'metadata': {'annotations': {'handfast.dev/workload-api': 'enabled'}}, 'spec': {'containers': ["
		"{'name': 'app', 'image': 'a', 'env': [{'name': 'MODE', 'value': 'fast'}]}]}}";
	char text[2048];
	snprintf(text, sizeof(text), "{" KIND ", 'request': {" REQUEST ", 'operation': 'CREATE', 'object': %s}}", pod);
	struct answer answer = ask(text);
	json_t *patch = patch_of(&answer), *after = test_json(pod);
	test_patch_apply(after, patch);
	assert_string_equal(json_string_value(test_pointer(after, "/spec/containers/0/env/0/name")), "MODE");
	assert_string_equal(
		json_string_value(test_pointer(after, "/spec/containers/0/env/1/name")), "SPIFFE_ENDPOINT_SOCKET");
	json_decref(after);
	json_decref(patch);
	json_decref(answer.root);
}

static void a_refusal_has_a_status_that_the_user_reads(void **state)
{
	(void)state;
	pod_security = "restricted";
	struct answer answer = ask("{" KIND ", 'request': {" REQUEST ", 'operation': 'CREATE', 'object': " POD "}}");
	pod_security = NULL;
	assert_int_equal(answer.outcome.verdict, INJECT_REFUSE);
	assert_true(json_is_false(test_pointer(answer.root, "/response/allowed")));
	assert_int_equal(json_integer_value(test_pointer(answer.root, "/response/status/code")), 422);
	const char *message = json_string_value(test_pointer(answer.root, "/response/status/message"));
	assert_int_equal(strncmp(message, "handfast: ", 10), 0);
	assert_non_null(strstr(message, "pod-security.kubernetes.io/enforce=restricted"));
	assert_non_null(strstr(message, "; expected: "));
	assert_non_null(strstr(message, "; fix: "));
	assert_null(test_pointer(answer.root, "/response/patch"));
	json_decref(answer.root);
}

static void warnings_go_with_the_answer(void **state)
{
	(void)state;
	struct answer answer = ask("{" KIND ", 'request': {" REQUEST
				   ", 'operation': 'CREATE', 'object': {'spec': {'hostNetwork': true}}}}");
	assert_true(json_is_true(test_pointer(answer.root, "/response/allowed")));
	assert_non_null(
		strstr(json_string_value(test_pointer(answer.root, "/response/warnings/0")), "handfast: no sidecar"));
	json_decref(answer.root);
}

static void what_is_no_creation_of_a_pod_is_allowed_as_it_is(void **state)
{
	(void)state;
	static const char *const requests[] = {
		REQUEST ", 'operation': 'UPDATE', 'object': " POD,
		REQUEST ", 'operation': 'DELETE', 'object': null",
		REQUEST ", 'operation': 'CREATE', 'subResource': 'ephemeralcontainers', 'object': " POD,
		REQUEST ", 'operation': 'CREATE', 'object': null",
		"'uid': 'u-2', 'operation': 'CREATE', 'resource': {'group': 'apps', 'version': 'v1', 'resource': "
		"'deployments'}, 'object': " POD,
	};
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		char text[2048];
		snprintf(text, sizeof(text), "{" KIND ", 'request': {%s}}", requests[i]);
		struct answer answer = ask(text);
		assert_int_equal(answer.outcome.verdict, INJECT_LEAVE);
		assert_true(json_is_true(test_pointer(answer.root, "/response/allowed")));
		assert_null(test_pointer(answer.root, "/response/patch"));
		json_decref(answer.root);
	}
}

static void what_is_no_review_is_an_error(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum err err;
	} rows[] = {
		{"", ERR_MALFORMED},
		{"[]", ERR_MALFORMED},
		{"{" KIND "}", ERR_MALFORMED},
		{"{" KIND ", 'request': {}}", ERR_MALFORMED},
		{"{" KIND ", 'request': {'uid': ''}}", ERR_MALFORMED},
		{"{'kind': 'Pod', 'apiVersion': 'v1', 'request': {'uid': 'u'}}", ERR_MALFORMED},
		{"{'kind': 'AdmissionReview', 'apiVersion': 'admission.k8s.io/v1beta1', 'request': {'uid': 'u'}}",
			ERR_UNSUPPORTED},
		{"{" KIND ", 'request': {'uid': 'u'}} trailing", ERR_MALFORMED},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct answer answer = ask(rows[i].text);
		assert_int_equal(answer.err, rows[i].err);
		assert_int_equal(answer.detail.err, rows[i].err);
		assert_null(answer.root);
	}
}

/* "[{},{},..." takes 100 times its bytes in memory. */
static void a_review_of_too_many_values_is_not_parsed(void **state)
{
	(void)state;
	char *text = mem_alloc(3 * ADMISSION_VALUES_MAX + 8);
	size_t len = 0;
	text[len++] = '[';
	for (unsigned i = 0; i < ADMISSION_VALUES_MAX; i++, len += 3)
		memcpy(text + len, "{},", 3);
	memcpy(text + len, "{}]", 4);
	struct answer answer = ask(text);
	assert_int_equal(answer.err, ERR_LIMIT);
	mem_free(text);
}

static void a_long_uid_is_refused(void **state)
{
	(void)state;
	char text[2048], uid[600];
	memset(uid, 'u', sizeof(uid) - 1);
	uid[sizeof(uid) - 1] = '\0';
	snprintf(text, sizeof(text), "{" KIND ", 'request': {'uid': '%s'}}", uid);
	assert_int_equal(ask(text).err, ERR_MALFORMED);
}

static void K26_the_first_bytes_of_a_review_distinguish_pods(void **state)
{
	(void)state;
	char late[ADMISSION_BEGINNING + 64];
	assert_true(admission_is_of_pods(SPAN_LITERAL(
		"{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\",\"request\":{\"uid\":"
		"\"u\",\"kind\":{\"group\":\"\",\"version\":\"v1\",\"kind\":\"Pod\"},\"resource\":{\"group\":"
		"\"\",\"version\":\"v1\",\"resource\":\"pods\"},")));
	assert_false(admission_is_of_pods(SPAN_LITERAL("{\"resource\":\"policies\"}")));
	assert_false(admission_is_of_pods(SPAN_LITERAL("{\"resource\":\"podsets\"}")));
	assert_false(admission_is_of_pods(SPAN_LITERAL("{\"resource\":\"pod")));
	assert_false(admission_is_of_pods(span_of(NULL, 0)));
	snprintf(late, sizeof(late), "%512s\"resource\":\"pods\"", "");
	assert_false(admission_is_of_pods(span_of_str(late)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(K26_the_first_bytes_of_a_review_distinguish_pods),
		cmocka_unit_test(a_creation_is_answered_with_a_patch_and_the_uid),
		cmocka_unit_test(variables_of_a_container_that_gets_the_workload_api_stay),
		cmocka_unit_test(a_refusal_has_a_status_that_the_user_reads),
		cmocka_unit_test(warnings_go_with_the_answer),
		cmocka_unit_test(what_is_no_creation_of_a_pod_is_allowed_as_it_is),
		cmocka_unit_test(what_is_no_review_is_an_error),
		cmocka_unit_test(a_review_of_too_many_values_is_not_parsed),
		cmocka_unit_test(a_long_uid_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
