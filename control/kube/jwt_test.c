/* W12, W13: what is no token of a pod of this cluster. */
#include "base/core/mem.h"
#include "control/kube/jwt.h"
#include "control/kube/test_token.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the headers above */
#include <cmocka.h>

#define HEADER "{\"alg\":\"ES256\",\"kid\":\"k1\"}"

static struct test_signer *signer;

static int make_signer(void **state)
{
	(void)state;
	signer = test_signer_new("k1", WEB_SIGNATURE_ES256, 0);
	return 0;
}

static int free_signer(void **state)
{
	(void)state;
	test_signer_free(signer);
	return 0;
}

static enum err parse(const char *token)
{
	_cleanup_(jwt_done) struct jwt jwt = {0};
	struct why why = {0};
	enum err err = jwt_parse(span_of_str(token), &jwt, &why);
	assert_int_equal(why.err, err);
	assert_true(err == ERR_NONE || (why.got[0] != 0 && why.expected[0] != 0 && why.fix[0] != 0));
	return err;
}

static enum err parse_parts(const char *header, const char *claims)
{
	_cleanup_(mem_freep) char *token = test_signer_sign(signer, header, claims);
	return parse(token);
}

static enum err parse_header(const char *header)
{
	struct test_claims claims = test_claims();
	_cleanup_(mem_freep) char *json = test_claims_json(&claims);
	return parse_parts(header, json);
}

static enum err parse_claims(const struct test_claims *claims)
{
	_cleanup_(mem_freep) char *json = test_claims_json(claims);
	return parse_parts(HEADER, json);
}

static void a_token_names_its_account_and_its_pod(void **state)
{
	(void)state;
	struct test_claims claims = test_claims();
	_cleanup_(jwt_done) struct jwt jwt = {0};
	_cleanup_(mem_freep) char *token = test_signer_token(signer, &claims);
	assert_int_equal(jwt_parse(span_of_str(token), &jwt, NULL), ERR_NONE);
	assert_string_equal(jwt.subject.namespace_, "shop");
	assert_string_equal(jwt.subject.account, "cart");
	assert_string_equal(jwt.subject.pod, "cart-1");
	assert_string_equal(jwt.subject.pod_uid, TEST_UID);
	assert_string_equal(jwt.kid, "k1");
	assert_string_equal(jwt.issuer, TEST_ISSUER);
	assert_int_equal(jwt.alg, WEB_SIGNATURE_ES256);
	assert_int_equal(jwt.expires_s, TEST_NOW_S + 3600);
	assert_ptr_equal(jwt.signed_part.ptr, token);
	assert_int_equal(jwt.signed_part.len, strrchr(token, '.') - token);
	assert_int_equal(jwt_check_audience(&jwt, "handfast", NULL), ERR_NONE);
	assert_int_equal(jwt_check_times(&jwt, TEST_NOW_S, NULL), ERR_NONE);
	assert_int_equal(jwt_check_issuer(&jwt, TEST_ISSUER, NULL), ERR_NONE);
}

static void W12_refuses_every_other_algorithm_and_crit(void **state)
{
	(void)state;
	const char *refused[] = {"{\"alg\":\"none\",\"kid\":\"k1\"}", "{\"alg\":\"None\",\"kid\":\"k1\"}",
		"{\"alg\":\"HS256\",\"kid\":\"k1\"}", "{\"alg\":\"RS384\",\"kid\":\"k1\"}",
		"{\"alg\":\"PS256\",\"kid\":\"k1\"}", "{\"alg\":\"es256\",\"kid\":\"k1\"}",
		"{\"alg\":\"EdDSA\",\"kid\":\"k1\"}", "{\"alg\":[\"ES256\"],\"kid\":\"k1\"}", "{\"kid\":\"k1\"}",
		"{\"alg\":\"ES256\",\"kid\":\"k1\",\"crit\":[\"exp\"],\"exp\":1}",
		"{\"alg\":\"ES256\",\"kid\":\"k1\",\"crit\":null}"};
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		assert_int_equal(parse_header(refused[i]), ERR_UNSUPPORTED);
	assert_int_equal(parse_header(HEADER), ERR_NONE);
}

static void W12_an_odd_typ_and_keys_in_the_header_do_not_matter(void **state)
{
	(void)state;
	assert_int_equal(parse_header("{\"alg\":\"ES256\",\"kid\":\"k1\",\"typ\":\"JOSE\"}"), ERR_NONE);
	assert_int_equal(
		parse_header("{\"alg\":\"ES256\",\"kid\":\"k1\",\"typ\":7,\"jku\":\"https://e.test\"}"), ERR_NONE);
}

static void W12_refuses_a_kid_that_is_missing_doubled_or_no_text(void **state)
{
	(void)state;
	_cleanup_(mem_freep) char *long_kid = mem_printf("{\"alg\":\"ES256\",\"kid\":\"%0256d\"}", 1);
	const char *refused[] = {"{\"alg\":\"ES256\"}", "{\"alg\":\"ES256\",\"kid\":\"\"}",
		"{\"alg\":\"ES256\",\"kid\":7}", "{\"alg\":\"ES256\",\"kid\":\"k1\",\"kid\":\"k1\"}",
		"{\"alg\":\"ES256\",\"kid\":\"k1\",\"\\u006bid\":\"k2\"}", "{\"alg\":\"ES256\",\"kid\":\"k\\u0000\"}",
		long_kid};
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		assert_int_equal(parse_header(refused[i]), ERR_MALFORMED);
}

static void W12_refuses_a_wrong_or_missing_audience(void **state)
{
	(void)state;
	const char *malformed[] = {NULL, "[]", "7", "{}", "null", "[7]", "[\"handfast\",7]"};
	struct test_claims claims = test_claims();
	for (size_t i = 0; i < sizeof malformed / sizeof *malformed; i++) {
		claims.audience = malformed[i];
		assert_int_equal(parse_claims(&claims), ERR_MALFORMED);
	}
	const char *others[] = {"\"handfas\"", "[\"Handfast\",\"\"]", "\"https://kubernetes.default.svc\""};
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		_cleanup_(jwt_done) struct jwt jwt = {0};
		claims.audience = others[i];
		_cleanup_(mem_freep) char *token = test_signer_token(signer, &claims);
		assert_int_equal(jwt_parse(span_of_str(token), &jwt, NULL), ERR_NONE);
		assert_int_equal(jwt_check_audience(&jwt, "handfast", NULL), ERR_DENIED);
	}
}

static void an_audience_may_be_one_text_or_one_of_several(void **state)
{
	(void)state;
	const char *good[] = {"\"handfast\"", "[\"other\",\"handfast\"]"};
	struct test_claims claims = test_claims();
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		_cleanup_(jwt_done) struct jwt jwt = {0};
		claims.audience = good[i];
		_cleanup_(mem_freep) char *token = test_signer_token(signer, &claims);
		assert_int_equal(jwt_parse(span_of_str(token), &jwt, NULL), ERR_NONE);
		assert_int_equal(jwt_check_audience(&jwt, "handfast", NULL), ERR_NONE);
	}
}

static void W12_refuses_a_token_that_is_expired_or_not_valid_yet(void **state)
{
	(void)state;
	struct test_claims claims = test_claims();
	_cleanup_(jwt_done) struct jwt jwt = {0};
	_cleanup_(mem_freep) char *token = test_signer_token(signer, &claims);
	assert_int_equal(jwt_parse(span_of_str(token), &jwt, NULL), ERR_NONE);
	assert_int_equal(jwt_check_times(&jwt, TEST_NOW_S + 3599, NULL), ERR_NONE);
	assert_int_equal(jwt_check_times(&jwt, TEST_NOW_S + 3600, NULL), ERR_EXPIRED);
	assert_int_equal(jwt_check_times(&jwt, TEST_NOW_S - JWT_LEEWAY_S, NULL), ERR_NONE);
	assert_int_equal(jwt_check_times(&jwt, TEST_NOW_S - JWT_LEEWAY_S - 1, NULL), ERR_NOT_YET_VALID);
}

static void W12_refuses_times_that_are_missing_or_no_numbers(void **state)
{
	(void)state;
	struct test_claims claims = test_claims();
	claims.expires_s = 0;
	assert_int_equal(parse_claims(&claims), ERR_MALFORMED);
	claims.expires_s = -1;
	assert_int_equal(parse_claims(&claims), ERR_MALFORMED);
	const char *refused[] = {"\"exp\":\"1800003600\"", "\"exp\":1.8e9", "\"exp\":null",
		"\"exp\":99999999999999999999", "\"exp\":1,\"nbf\":\"1\"", "\"exp\":1,\"iat\":-1"};
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		claims = test_claims();
		claims.expires_s = claims.not_before_s = claims.issued_s = 0;
		_cleanup_(mem_freep) char *about = mem_printf("%s,%s", claims.about, refused[i]);
		claims.about = about;
		assert_int_equal(parse_claims(&claims), ERR_MALFORMED);
	}
}

static void W12_refuses_a_foreign_subject(void **state)
{
	(void)state;
	const char *foreign[] = {"system:serviceaccount:shop:pay", "system:serviceaccount:shop2:cart", "cart", "alice",
		"system:serviceaccount:shop:cart:x", "System:serviceaccount:shop:cart", NULL};
	struct test_claims claims = test_claims();
	for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
		claims.subject = foreign[i];
		assert_int_equal(parse_claims(&claims), ERR_DENIED);
	}
}

static void W12_refuses_another_issuer(void **state)
{
	(void)state;
	struct test_claims claims = test_claims();
	claims.issuer = NULL;
	assert_int_equal(parse_claims(&claims), ERR_MALFORMED);
	claims.issuer = TEST_ISSUER "/";
	_cleanup_(jwt_done) struct jwt jwt = {0};
	_cleanup_(mem_freep) char *token = test_signer_token(signer, &claims);
	assert_int_equal(jwt_parse(span_of_str(token), &jwt, NULL), ERR_NONE);
	assert_int_equal(jwt_check_issuer(&jwt, TEST_ISSUER, NULL), ERR_DENIED);
}

static void refuses_a_token_that_is_bound_to_no_pod(void **state)
{
	(void)state;
	struct test_claims claims = test_claims();
	claims.about = "{\"namespace\":\"shop\",\"serviceaccount\":{\"name\":\"cart\",\"uid\":\"1\"}}";
	assert_int_equal(parse_claims(&claims), ERR_DENIED);
	claims.about = NULL;
	assert_int_equal(parse_claims(&claims), ERR_MALFORMED);
	claims.about = "{\"namespace\":\"shop\",\"pod\":{\"name\":\"cart-1\"},\"serviceaccount\":{\"name\":\"cart\"}}";
	assert_int_equal(parse_claims(&claims), ERR_MALFORMED);
}

static void W12_refuses_json_serialization_and_other_numbers_of_parts(void **state)
{
	(void)state;
	struct test_claims claims = test_claims();
	_cleanup_(mem_freep) char *token = test_signer_token(signer, &claims);
	_cleanup_(mem_freep) char *four = mem_printf("%s.", token), *five = mem_printf("%s.e30.e30", token);
	_cleanup_(mem_freep) char *unsigned_ = mem_strdup(token);
	*(strrchr(unsigned_, '.') + 1) = 0;
	const char *refused[] = {"", ".", "..", "...", "a.b", "hf1.a.b.c", four, five, unsigned_, "e30.e30.e30",
		"{\"payload\":\"e30\",\"signatures\":[{\"protected\":\"e30\",\"signature\":\"e30\"}]}"};
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		assert_int_not_equal(parse(refused[i]), ERR_NONE);
	unsigned_[strlen(unsigned_) - 1] = 0;
	assert_int_equal(parse(unsigned_), ERR_MALFORMED);
}

static void W12_refuses_a_token_within_a_token(void **state)
{
	(void)state;
	struct test_claims claims = test_claims();
	_cleanup_(mem_freep) char *inner = test_signer_token(signer, &claims);
	_cleanup_(mem_freep) char *text = mem_printf("\"%s\"", inner);
	assert_int_equal(parse_parts("{\"alg\":\"ES256\",\"kid\":\"k1\",\"cty\":\"JWT\"}", inner), ERR_MALFORMED);
	assert_int_equal(parse_parts(HEADER, text), ERR_MALFORMED);
	assert_int_equal(parse_parts(HEADER, "[]"), ERR_MALFORMED);
}

static void W13_refuses_doubled_keys_at_any_depth_and_trailing_bytes(void **state)
{
	(void)state;
	struct test_claims claims = test_claims();
	_cleanup_(mem_freep) char *json = test_claims_json(&claims);
	_cleanup_(mem_freep) char *doubled = mem_printf("%.*s,\"sub\":\"x\"}", (int)strlen(json) - 1, json);
	_cleanup_(mem_freep) char *escaped = mem_printf("%.*s,\"s\\u0075b\":\"x\"}", (int)strlen(json) - 1, json);
	_cleanup_(mem_freep) char *trailing = mem_printf("%s{}", json), *comma = mem_printf("%s,", json);
	assert_int_equal(parse_parts(HEADER, doubled), ERR_MALFORMED);
	assert_int_equal(parse_parts(HEADER, escaped), ERR_MALFORMED);
	assert_int_equal(parse_parts(HEADER, trailing), ERR_MALFORMED);
	assert_int_equal(parse_parts(HEADER, comma), ERR_MALFORMED);
	assert_int_equal(parse_parts(HEADER "x", json), ERR_MALFORMED);
	claims.about = "{\"namespace\":\"shop\",\"pod\":{\"name\":\"cart-1\",\"uid\":\"1\",\"uid\":\"2\"},"
		       "\"serviceaccount\":{\"name\":\"cart\"}}";
	assert_int_equal(parse_claims(&claims), ERR_MALFORMED);
}

static void W13_refuses_every_other_spelling_of_base64url(void **state)
{
	(void)state;
	struct test_claims claims = test_claims();
	_cleanup_(mem_freep) char *token = test_signer_token(signer, &claims);
	_cleanup_(mem_freep) char *padded = mem_printf("%s==", token), *spaced = mem_printf("%s\n", token);
	assert_int_equal(parse(token), ERR_NONE);
	assert_int_equal(parse(padded), ERR_MALFORMED);
	assert_int_equal(parse(spaced), ERR_MALFORMED);
	/* 64 bytes are 85 characters and two bits more: four bits of the last character must be zero. */
	token[strlen(token) - 1] = (char)(token[strlen(token) - 1] == 'A' ? 'B' : token[strlen(token) - 1] + 1);
	assert_int_equal(parse(token), ERR_MALFORMED);
}

static void refuses_what_is_too_long(void **state)
{
	(void)state;
	struct test_claims claims = test_claims();
	_cleanup_(mem_freep) char *issuer = mem_printf("%0*d", 1025, 1), *huge = mem_printf("%0*d", JWT_MAX + 1, 1);
	assert_int_equal(parse(huge), ERR_TOO_LARGE);
	claims.issuer = issuer;
	assert_int_equal(parse_claims(&claims), ERR_MALFORMED);
	_cleanup_(mem_freep) char *many = mem_printf("%0*d", 5000, 0);
	for (size_t i = 0; i < 5000; i++)
		many[i] = '[';
	_cleanup_(mem_freep) char *deep = mem_printf("{\"a\":%s", many);
	assert_int_equal(parse_parts(HEADER, deep), ERR_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_token_names_its_account_and_its_pod),
		cmocka_unit_test(W12_refuses_every_other_algorithm_and_crit),
		cmocka_unit_test(W12_an_odd_typ_and_keys_in_the_header_do_not_matter),
		cmocka_unit_test(W12_refuses_a_kid_that_is_missing_doubled_or_no_text),
		cmocka_unit_test(W12_refuses_a_wrong_or_missing_audience),
		cmocka_unit_test(an_audience_may_be_one_text_or_one_of_several),
		cmocka_unit_test(W12_refuses_a_token_that_is_expired_or_not_valid_yet),
		cmocka_unit_test(W12_refuses_times_that_are_missing_or_no_numbers),
		cmocka_unit_test(W12_refuses_a_foreign_subject),
		cmocka_unit_test(W12_refuses_another_issuer),
		cmocka_unit_test(refuses_a_token_that_is_bound_to_no_pod),
		cmocka_unit_test(W12_refuses_json_serialization_and_other_numbers_of_parts),
		cmocka_unit_test(W12_refuses_a_token_within_a_token),
		cmocka_unit_test(W13_refuses_doubled_keys_at_any_depth_and_trailing_bytes),
		cmocka_unit_test(W13_refuses_every_other_spelling_of_base64url),
		cmocka_unit_test(refuses_what_is_too_long),
	};
	return cmocka_run_group_tests(tests, make_signer, free_signer);
}
