#include "base/core/mem.h"
#include "control/kube/jwks.h"
#include "control/kube/test_token.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the headers above */
#include <cmocka.h>

struct fixture {
	struct test_signer *rsa, *ec;
	struct jwks both;
};

static int set_up(void **state)
{
	struct fixture *fixture = mem_new(struct fixture);
	fixture->rsa = test_signer_new("rsa-1", WEB_SIGNATURE_RS256, 2048);
	fixture->ec = test_signer_new("ec-1", WEB_SIGNATURE_ES256, 0);
	_cleanup_(mem_freep) char *first = test_signer_row(fixture->rsa), *second = test_signer_row(fixture->ec);
	_cleanup_(mem_freep) char *set = mem_printf("{\"keys\":[%s,%s]}", first, second);
	assert_int_equal(jwks_parse(span_of_str(set), &fixture->both, NULL), ERR_NONE);
	assert_int_equal(fixture->both.num, 2);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	test_signer_free(fixture->rsa);
	test_signer_free(fixture->ec);
	jwks_done(&fixture->both);
	mem_free(fixture);
	return 0;
}

static enum err verify(const struct jwks *jwks, const char *token)
{
	_cleanup_(jwt_done) struct jwt jwt = {0};
	assert_int_equal(jwt_parse(span_of_str(token), &jwt, NULL), ERR_NONE);
	return jwks_verify(jwks, &jwt, NULL);
}

static enum err verify_header(const struct fixture *fixture, const struct test_signer *signer, const char *header)
{
	struct test_claims claims = test_claims();
	_cleanup_(mem_freep) char *json = test_claims_json(&claims);
	_cleanup_(mem_freep) char *token = test_signer_sign(signer, header, json);
	return verify(&fixture->both, token);
}

static enum err parse(const char *json, size_t *out_num)
{
	_cleanup_(jwks_done) struct jwks jwks = {0};
	enum err err = jwks_parse(span_of_str(json), &jwks, NULL);
	*out_num = jwks.num;
	return err;
}

static void tokens_of_both_kinds_verify_by_their_own_key(void **state)
{
	struct fixture *fixture = *state;
	struct test_claims claims = test_claims();
	_cleanup_(mem_freep) char *by_rsa = test_signer_token(fixture->rsa, &claims);
	_cleanup_(mem_freep) char *by_ec = test_signer_token(fixture->ec, &claims);
	assert_int_equal(verify(&fixture->both, by_rsa), ERR_NONE);
	assert_int_equal(verify(&fixture->both, by_ec), ERR_NONE);
	assert_true(jwks_has(&fixture->both, "rsa-1"));
	assert_false(jwks_has(&fixture->both, "rsa-2"));
}

/* The bytes that are verified are those that the claims were parsed from. */
static void W13_refuses_any_changed_byte(void **state)
{
	struct fixture *fixture = *state;
	struct test_claims claims = test_claims();
	_cleanup_(mem_freep) char *token = test_signer_token(fixture->rsa, &claims);
	for (size_t i = 0; i < strlen(token); i++) {
		_cleanup_(jwt_done) struct jwt jwt = {0};
		char before = token[i];
		if (before == '.')
			continue;
		token[i] = before == 'A' ? 'B' : 'A';
		assert_true(jwt_parse(span_of_str(token), &jwt, NULL) != ERR_NONE ||
			    jwks_verify(&fixture->both, &jwt, NULL) != ERR_NONE);
		token[i] = before;
	}
	assert_int_equal(verify(&fixture->both, token), ERR_NONE);
}

static void W12_refuses_an_unknown_kid_and_another_keys_signature(void **state)
{
	struct fixture *fixture = *state;
	struct test_signer *stranger = test_signer_new("ec-1", WEB_SIGNATURE_ES256, 0);
	struct test_claims claims = test_claims();
	_cleanup_(mem_freep) char *forged = test_signer_token(stranger, &claims);
	assert_int_equal(verify(&fixture->both, forged), ERR_CRYPTO);
	test_signer_free(stranger);
	assert_int_equal(verify_header(fixture, fixture->ec, "{\"alg\":\"ES256\",\"kid\":\"ec-2\"}"), ERR_NOT_FOUND);
}

/* W12: a token does not choose the algorithm of its key. */
static void W12_refuses_the_algorithm_of_another_key(void **state)
{
	struct fixture *fixture = *state;
	assert_int_equal(verify_header(fixture, fixture->rsa, "{\"alg\":\"ES256\",\"kid\":\"rsa-1\"}"), ERR_DENIED);
	assert_int_equal(verify_header(fixture, fixture->ec, "{\"alg\":\"RS256\",\"kid\":\"ec-1\"}"), ERR_DENIED);
	assert_int_equal(verify_header(fixture, fixture->rsa, "{\"alg\":\"ES256\",\"kid\":\"ec-1\"}"), ERR_CRYPTO);
}

static void keys_that_cannot_be_used_do_not_disable_the_others(void **state)
{
	struct fixture *fixture = *state;
	struct test_signer *weak = test_signer_new("weak", WEB_SIGNATURE_RS256, 1024);
	_cleanup_(mem_freep) char *good = test_signer_row(fixture->ec), *small = test_signer_row(weak);
	const char *others[] = {small, "7", "{}", "{\"kid\":\"a\",\"kty\":\"oct\",\"k\":\"AAAA\"}",
		"{\"kid\":\"b\",\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"AA\",\"y\":\"AA\"}",
		"{\"kid\":\"c\",\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}",
		"{\"kid\":\"d\",\"kty\":\"RSA\",\"n\":\"!\",\"e\":\"AQAB\"}", "{\"kid\":\"\",\"kty\":\"RSA\"}",
		"{\"kid\":\"e\",\"use\":\"enc\",\"kty\":\"RSA\"}", "{\"kid\":\"f\",\"alg\":\"RS512\",\"kty\":\"RSA\"}"};
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		size_t num = 0;
		_cleanup_(mem_freep) char *mixed = mem_printf("{\"keys\":[%s,%s]}", others[i], good);
		assert_int_equal(parse(mixed, &num), ERR_NONE);
		assert_int_equal(num, 1);
		_cleanup_(mem_freep) char *alone = mem_printf("{\"keys\":[%s]}", others[i]);
		assert_int_equal(parse(alone, &num), ERR_NOT_FOUND);
	}
	test_signer_free(weak);
}

static void refuses_sets_that_are_none(void **state)
{
	struct fixture *fixture = *state;
	_cleanup_(mem_freep) char *row = test_signer_row(fixture->ec);
	_cleanup_(mem_freep) char *twice = mem_printf("{\"keys\":[%s,%s]}", row, row);
	_cleanup_(mem_freep) char *trailing = mem_printf("{\"keys\":[%s]}x", row);
	_cleanup_(mem_freep) char *doubled = mem_printf("{\"keys\":[],\"keys\":[%s]}", row);
	const char *refused[] = {
		"", "{", "[]", "{}", "{\"keys\":{}}", twice, trailing, doubled, "{\"kind\":\"Status\",\"code\":406}"};
	size_t num;
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		assert_int_equal(parse(refused[i], &num), ERR_MALFORMED);
	_cleanup_(buf_done) struct buf many = BUF_INIT(JWKS_MAX);
	assert_int_equal(buf_append_str(&many, "{\"keys\":[7"), ERR_NONE);
	for (unsigned i = 0; i < JWKS_KEYS_MAX; i++)
		assert_int_equal(buf_append_str(&many, ",7"), ERR_NONE);
	assert_int_equal(buf_append_str(&many, "]}"), ERR_NONE);
	assert_int_equal(parse(buf_cstr(&many), &num), ERR_TOO_LARGE);
	_cleanup_(mem_freep) char *huge = mem_printf("%*s", JWKS_MAX + 1, "{}");
	assert_int_equal(parse(huge, &num), ERR_TOO_LARGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tokens_of_both_kinds_verify_by_their_own_key),
		cmocka_unit_test(W13_refuses_any_changed_byte),
		cmocka_unit_test(W12_refuses_an_unknown_kid_and_another_keys_signature),
		cmocka_unit_test(W12_refuses_the_algorithm_of_another_key),
		cmocka_unit_test(keys_that_cannot_be_used_do_not_disable_the_others),
		cmocka_unit_test(refuses_sets_that_are_none),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
