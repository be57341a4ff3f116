#include "base/core/mem.h"
#include "control/kube/token_review.h"
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the headers above */
#include <cmocka.h>

#define UID  "01de9771-360f-4911-b911-f104d39d3813"
#define USER "\"username\":\"system:serviceaccount:shop:cart\""
#define POD                                                                                                            \
	"\"extra\":{\"authentication.kubernetes.io/credential-id\":[\"JTI=1\"],\"authentication.kubernetes.io/"        \
	"pod-name\":[\"cart-1\"],"                                                                                     \
	"\"authentication.kubernetes.io/pod-uid\":[\"" UID "\"]}"
#define GOOD "\"authenticated\":true,\"user\":{" USER "," POD "},\"audiences\":[\"handfast\"]"

static enum err parse_why(const char *status, struct kube_subject *out, struct why *why)
{
	_cleanup_(mem_freep) char *body =
		mem_printf("{\"kind\":\"TokenReview\",\"apiVersion\":\"authentication.k8s.io/v1\",\"metadata\":{},"
			   "\"spec\":{\"token\":\"a.b.c\"},\"status\":{%s}}",
			status);
	return token_review_parse(span_of_str(body), "handfast", out, why);
}

static enum err parse(const char *status)
{
	struct kube_subject subject;
	return parse_why(status, &subject, NULL);
}

static void an_accepted_token_names_its_account_and_its_pod(void **state)
{
	(void)state;
	struct kube_subject subject;
	assert_int_equal(parse_why(GOOD, &subject, NULL), ERR_NONE);
	assert_string_equal(subject.namespace_, "shop");
	assert_string_equal(subject.account, "cart");
	assert_string_equal(subject.pod, "cart-1");
	assert_string_equal(subject.pod_uid, UID);
}

/* The words of a real API server for tokens that it refuses: the operator's best hint. */
static void refusals_carry_the_api_servers_words(void **state)
{
	(void)state;
	const char *words[] = {"invalid bearer token", "service account token has been invalidated",
		"serviceaccounts \\\"cart\\\" not found", "token audiences [\\\"other\\\"] is invalid"};
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		struct kube_subject subject;
		struct why why = {0};
		_cleanup_(mem_freep) char *status = mem_printf("\"user\":{},\"error\":\"%s\"", words[i]);
		assert_int_equal(parse_why(status, &subject, &why), ERR_DENIED);
		assert_non_null(strstr(why.got, i == 2 ? "not found" : i == 3 ? "is invalid" : words[i]));
	}
}

static void only_true_is_authenticated(void **state)
{
	(void)state;
	const char *rest = ",\"user\":{" USER "," POD "},\"audiences\":[\"handfast\"]";
	const char *refused[] = {"\"authenticated\":false", "\"authenticated\":\"true\"", "\"authenticated\":1",
		"\"authenticated\":null", "\"authenticated\":true,\"error\":\"x\""};
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		_cleanup_(mem_freep) char *status = mem_printf("%s%s", refused[i], rest);
		assert_int_equal(parse(status), ERR_DENIED);
	}
}

/* Sample 11: without audiences in the answer, the server has not looked at them. */
static void W12_the_answer_must_name_our_audience(void **state)
{
	(void)state;
	const char *audiences[] = {"", ",\"audiences\":[]", ",\"audiences\":[\"other\"]", ",\"audiences\":\"handfast\"",
		",\"audiences\":[7]"};
	for (size_t i = 0; i < sizeof audiences / sizeof *audiences; i++) {
		_cleanup_(mem_freep) char *status =
			mem_printf("\"authenticated\":true,\"user\":{" USER "," POD "}%s", audiences[i]);
		assert_int_equal(parse(status), ERR_DENIED);
	}
}

static void W12_users_that_are_no_account_of_a_pod_are_refused(void **state)
{
	(void)state;
	const char *users[] = {"", "\"username\":\"system:node:a\"," POD,
		"\"username\":\"system:serviceaccount:shop\"," POD, USER,
		USER ",\"extra\":{\"authentication.kubernetes.io/pod-name\":[\"cart-1\"]}",
		USER ",\"extra\":{\"authentication.kubernetes.io/pod-name\":[\"a\",\"b\"],"
		     "\"authentication.kubernetes.io/pod-uid\":[\"1\",\"2\"]}",
		"\"username\":\"system:serviceaccount:shop:cart/x\"," POD,
		"\"username\":\"system:serviceaccount::cart\"," POD};
	for (size_t i = 0; i < sizeof users / sizeof *users; i++) {
		_cleanup_(mem_freep) char *status =
			mem_printf("\"authenticated\":true,\"user\":{%s},\"audiences\":[\"handfast\"]", users[i]);
		assert_int_not_equal(parse(status), ERR_NONE);
	}
}

/* It decides nothing about the token: the caller goes on by other means. */
static void what_is_no_answer_is_no_refusal(void **state)
{
	(void)state;
	const char *bodies[] = {"", "{", "[]", "{}", "{\"kind\":\"Status\",\"status\":\"Failure\",\"code\":429}",
		"{\"status\":{" GOOD "},\"status\":{" GOOD "}}"};
	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
		struct kube_subject subject;
		assert_int_equal(token_review_parse(span_of_str(bodies[i]), "handfast", &subject, NULL), ERR_PROTOCOL);
	}
}

static void the_question_is_a_token_review(void **state)
{
	(void)state;
	_cleanup_(buf_done) struct buf body = BUF_INIT(1024);
	assert_int_equal(token_review_encode(SPAN_LITERAL("a.b-_.c"), "handfast", &body), ERR_NONE);
	json_t *review = json_loadb((const char *)buf_span(&body).ptr, buf_len(&body), JSON_REJECT_DUPLICATES, NULL);
	const char *kind, *version, *token, *audience;
	assert_int_equal(json_unpack(review, "{s:s, s:s, s:{s:s, s:[s]}}", "kind", &kind, "apiVersion", &version,
				 "spec", "token", &token, "audiences", &audience),
		0);
	assert_string_equal(kind, "TokenReview");
	assert_string_equal(version, "authentication.k8s.io/v1");
	assert_string_equal(token, "a.b-_.c");
	assert_string_equal(audience, "handfast");
	json_decref(review);
	assert_int_equal(token_review_encode(SPAN_LITERAL("a\",\"x"), "handfast", &body), ERR_MALFORMED);
	assert_int_equal(token_review_encode(SPAN_LITERAL("a"), "a\\", &body), ERR_MALFORMED);
	assert_int_equal(token_review_encode(SPAN_LITERAL(""), "handfast", &body), ERR_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_accepted_token_names_its_account_and_its_pod),
		cmocka_unit_test(refusals_carry_the_api_servers_words),
		cmocka_unit_test(only_true_is_authenticated),
		cmocka_unit_test(W12_the_answer_must_name_our_audience),
		cmocka_unit_test(W12_users_that_are_no_account_of_a_pod_are_refused),
		cmocka_unit_test(what_is_no_answer_is_no_refusal),
		cmocka_unit_test(the_question_is_a_token_review),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
