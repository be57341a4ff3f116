#include "control/attest/join_token.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the four above */
#include <cmocka.h>

static const uint8_t secret[JOIN_TOKEN_SECRET_LEN] = "0123456789abcdef0123456789abcde";
static const uint8_t key[DIGEST_LEN] = {1}, other_key[DIGEST_LEN] = {2};

static struct join_token make_token(void)
{
	struct join_token token = {.not_before_s = 100, .not_after_s = 200, .num_networks = 1};
	assert_int_equal(spiffe_id_parse(SPAN_LITERAL("spiffe://td/a"), &token.id, NULL), ERR_NONE);
	assert_int_equal(network_parse(SPAN_LITERAL("192.0.2.0/24"), &token.networks[0]), ERR_NONE);
	digest_sha256(span_of(secret, sizeof secret), token.secret_hash);
	return token;
}

static struct join_token_use make_use(void)
{
	struct join_token_use use = {.secret = span_of(secret, sizeof secret), .key_hash = key, .now_s = 150};
	assert_int_equal(ip_addr_parse(SPAN_LITERAL("192.0.2.5"), &use.source), ERR_NONE);
	return use;
}

static void serves_the_first_key_and_from_then_on_that_key_only(void **state)
{
	(void)state;
	_cleanup_(join_token_done) struct join_token token = make_token();
	struct join_token_use use = make_use();
	bool binds = false;
	assert_int_equal(join_token_check(&token, &use, &binds, NULL), ERR_NONE);
	assert_true(binds);
	token.is_bound = true;
	memcpy(token.key_hash, key, DIGEST_LEN);
	assert_int_equal(join_token_check(&token, &use, &binds, NULL), ERR_NONE);
	assert_false(binds);
	use.now_s = 100000;
	assert_int_equal(join_token_check(&token, &use, &binds, NULL), ERR_NONE);
	use.key_hash = other_key;
	assert_int_equal(join_token_check(&token, &use, &binds, NULL), ERR_DENIED); /* W9 */
}

static void W11_refuses_wrong_secret_time_and_network(void **state)
{
	(void)state;
	_cleanup_(join_token_done) struct join_token token = make_token();
	struct join_token_use use = make_use();
	bool binds;
	use.secret = SPAN_LITERAL("");
	assert_int_equal(join_token_check(&token, &use, &binds, NULL), ERR_DENIED);
	use.secret = span_of(secret, sizeof secret - 1);
	assert_int_equal(join_token_check(&token, &use, &binds, NULL), ERR_DENIED);
	use = make_use();
	use.now_s = 200;
	assert_int_equal(join_token_check(&token, &use, &binds, NULL), ERR_EXPIRED);
	use.now_s = 99;
	assert_int_equal(join_token_check(&token, &use, &binds, NULL), ERR_NOT_YET_VALID);
	use = make_use();
	assert_int_equal(ip_addr_parse(SPAN_LITERAL("198.51.100.1"), &use.source), ERR_NONE);
	assert_int_equal(join_token_check(&token, &use, &binds, NULL), ERR_DENIED);
}

static void W11_a_stored_token_reads_back_the_same(void **state)
{
	(void)state;
	_cleanup_(join_token_done) struct join_token token = make_token(), back = {0};
	_cleanup_(buf_done) struct buf record = BUF_INIT(1024);
	token.is_bound = true;
	memcpy(token.key_hash, key, DIGEST_LEN);
	assert_int_equal(join_token_encode(&token, &record), ERR_NONE);
	assert_null(memmem(buf_span(&record).ptr, buf_len(&record), secret, 16)); /* W11: only a hash at rest */
	assert_int_equal(join_token_parse(buf_span(&record), &back), ERR_NONE);
	assert_true(spiffe_id_eq(&token.id, &back.id) && back.is_bound && back.num_networks == 1);
	assert_memory_equal(back.key_hash, key, DIGEST_LEN);
	assert_int_equal(back.not_after_s, 200);
}

static void a_line_is_four_parts_of_base64url(void **state)
{
	(void)state;
	_cleanup_(buf_done) struct buf line = BUF_INIT(JOIN_TOKEN_LINE_MAX);
	assert_int_equal(join_token_line(SPAN_LITERAL("foob"), SPAN_LITERAL("foo"), key, &line), ERR_NONE);
	assert_string_equal(buf_cstr(&line), "hf1.Zm9vYg.Zm9v.AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(serves_the_first_key_and_from_then_on_that_key_only),
		cmocka_unit_test(W11_refuses_wrong_secret_time_and_network),
		cmocka_unit_test(W11_a_stored_token_reads_back_the_same),
		cmocka_unit_test(a_line_is_four_parts_of_base64url),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
