#include "control/federate/bundle_jwks.h"

#include "base/core/base64.h"
#include "base/core/mem.h"
#include "certs/test_ca.h"
#include <setjmp.h>
#include <stdarg.h>
/* cmocka requires the two above */
#include <cmocka.h>

#define X  "gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0"
#define Y  "SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps"
#define JK "{\"kty\":\"EC\",\"use\":\"jwt-svid\",\"crv\":\"P-256\",\"x\":\"" X "\",\"y\":\"" Y "\",\"kid\":\"k1\"}"

static char *root_text(const struct test_cert *root)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT(8192);
	assert_int_equal(base64_encode(test_cert_der(root), &text), ERR_NONE);
	return mem_strdup(buf_cstr(&text));
}

static struct test_cert *make_root(enum test_key_kind key)
{
	struct test_cert_spec spec = test_ca_spec("spiffe://partner.test");
	spec.key = key;
	return test_cert_new(&spec, NULL);
}

static void reads_roots_keys_sequence_and_hint(void **state)
{
	(void)state;
	struct test_cert *root = make_root(TEST_KEY_P256);
	_cleanup_(mem_freep) char *der = root_text(root);
	_cleanup_(mem_freep) char *text = mem_printf("{\"spiffe_sequence\":17,\"spiffe_refresh_hint\":300,\"keys\":["
						     "{\"kty\":\"EC\",\"use\":\"x509-svid\",\"x5c\":[\"%s\"]}," JK "]}",
		der);
	_cleanup_(jwks_bundle_done) struct jwks_bundle bundle = {0};
	assert_int_equal(jwks_bundle_parse(span_of_str(text), &bundle, NULL), ERR_NONE);
	assert_true(bundle.has_sequence);
	assert_int_equal(bundle.sequence, 17);
	assert_int_equal(bundle.refresh_hint_s, 300);
	assert_int_equal(bundle.num_roots, 1);
	assert_true(span_eq(bundle.roots[0], test_cert_der(root)));
	assert_int_equal(bundle.num_jwt_keys, 1);
	assert_string_equal(bundle.jwt_keys[0].kid, "k1");
	assert_int_equal(bundle.num_skipped, 0);
	test_cert_free(root);
}

static void what_is_unknown_is_skipped(void **state)
{
	(void)state;
	static const char text[] =
		"{\"keys\":[{\"kty\":\"oct\",\"use\":\"x509-svid\",\"x5c\":1},{\"use\":\"jwt-svid\"},{\"kty\":\"EC\"},"
		"{\"kty\":\"RSA\",\"use\":\"sig\"},{\"kty\":\"RSA\",\"use\":\"jwt-svid\",\"kid\":\"r\",\"n\":\"x\"}],"
		"\"more\":1}";
	_cleanup_(jwks_bundle_done) struct jwks_bundle bundle = {0};
	assert_int_equal(jwks_bundle_parse(span_of_str(text), &bundle, NULL), ERR_NONE);
	assert_int_equal(bundle.num_roots + bundle.num_jwt_keys, 0);
	assert_int_equal(bundle.num_skipped, 5);
	assert_false(bundle.has_sequence);
}

static void a_bad_entry_spoils_the_bundle(void **state)
{
	(void)state;
	static const char *const texts[] = {"", "[]", "{}", "{\"keys\":{}}", "{\"keys\":[1]}", "{\"keys\":[]} x",
		"{\"keys\":[],\"spiffe_sequence\":-1}", "{\"keys\":[],\"spiffe_sequence\":1.5}",
		"{\"keys\":[],\"spiffe_sequence\":\"1\"}", "{\"keys\":[],\"spiffe_refresh_hint\":[]}",
		"{\"keys\":[],\"spiffe_sequence\":18446744073709551616}",
		"{\"keys\":[{\"kty\":\"EC\",\"use\":\"x509-svid\"}]}",
		"{\"keys\":[{\"kty\":\"EC\",\"use\":\"x509-svid\",\"x5c\":\"AAAA\"}]}",
		"{\"keys\":[{\"kty\":\"EC\",\"use\":\"x509-svid\",\"x5c\":[\"AAAA\",\"AAAA\"]}]}",
		"{\"keys\":[{\"kty\":\"EC\",\"use\":\"x509-svid\",\"x5c\":[\"%\"]}]}",
		"{\"keys\":[{\"kty\":\"EC\",\"use\":\"x509-svid\",\"x5c\":[\"\"]}]}",
		"{\"keys\":[{\"kty\":\"EC\",\"use\":\"jwt-svid\",\"crv\":\"P-256\",\"x\":\"" X "\",\"y\":\"" Y "\"}]}",
		"{\"keys\":[{\"kty\":\"EC\",\"use\":\"jwt-svid\",\"crv\":\"P-256\",\"x\":\"" X "\",\"y\":\"" X
		"\",\"kid\":\"a\"}]}",
		"{\"keys\":[{\"kty\":\"EC\",\"use\":\"jwt-svid\",\"crv\":\"P-256\",\"x\":\"" X "\",\"kid\":\"a\"}]}",
		"{\"keys\":[{\"kty\":\"EC\",\"use\":\"jwt-svid\",\"crv\":\"P-256\",\"x\":\"" X "\",\"y\":\"" Y
		"\",\"kid\":\"a\\nb\"}]}",
		"{\"keys\":[" JK "," JK "]}"};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct jwks_bundle bundle = {0};
		struct why why = {0};
		enum err err = jwks_bundle_parse(span_of_str(texts[i]), &bundle, &why);
		if (err == ERR_NONE)
			print_error("accepted: %s\n", texts[i]);
		assert_int_not_equal(err, ERR_NONE);
		assert_true(why.got[0] != '\0' && why.expected[0] != '\0' && why.fix[0] != '\0');
	}
}

static void too_many_roots_and_too_long_a_text_are_refused(void **state)
{
	(void)state;
	_cleanup_(buf_done) struct buf text = BUF_INIT(JWKS_TEXT_MAX + 2);
	struct jwks_bundle bundle = {0};
	assert_int_equal(buf_append_str(&text, "{\"keys\":["), ERR_NONE);
	for (unsigned i = 0; i < JWKS_ROOTS_MAX + 1; i++)
		assert_int_equal(buf_printf(&text, "%s{\"kty\":\"EC\",\"use\":\"x509-svid\",\"x5c\":[\"AA%02u\"]}",
					 i == 0 ? "" : ",", i),
			ERR_NONE);
	assert_int_equal(buf_append_str(&text, "]}"), ERR_NONE);
	assert_int_equal(jwks_bundle_parse(buf_span(&text), &bundle, NULL), ERR_LIMIT);
	while (buf_len(&text) <= JWKS_TEXT_MAX)
		assert_int_equal(buf_append_str(&text, " "), ERR_NONE);
	assert_int_equal(jwks_bundle_parse(buf_span(&text), &bundle, NULL), ERR_TOO_LARGE);
}

static bool has_root(const struct jwks_bundle *bundle, struct span der)
{
	for (size_t i = 0; i < bundle->num_roots; i++)
		if (span_eq(bundle->roots[i], der))
			return true;
	return false;
}

static void what_is_written_is_read_again(void **state)
{
	(void)state;
	static const enum test_key_kind kinds[] = {TEST_KEY_P256, TEST_KEY_P384, TEST_KEY_RSA_2048, TEST_KEY_ED25519};
	_cleanup_(jwks_bundle_done) struct jwks_bundle first = {
		.has_sequence = true, .sequence = 5, .refresh_hint_s = 60};
	_cleanup_(jwks_bundle_done) struct jwks_bundle second = {0};
	_cleanup_(jwks_bundle_done) struct jwks_bundle keys = {0};
	_cleanup_(buf_done) struct buf text = BUF_INIT(JWKS_TEXT_MAX);
	for (size_t i = 0; i < 4; i++) {
		struct test_cert *root = make_root(kinds[i]);
		assert_int_equal(jwks_bundle_add_root(&first, test_cert_der(root)), ERR_NONE);
		assert_int_equal(jwks_bundle_add_root(&first, test_cert_der(root)), ERR_NONE); /* once */
		test_cert_free(root);
	}
	assert_int_equal(jwks_bundle_parse(SPAN_LITERAL("{\"keys\":[" JK "]}"), &keys, NULL), ERR_NONE);
	assert_int_equal(
		jwks_bundle_add_jwt_key(&first, "k1", span_of(keys.jwt_keys[0].spki, WEB_KEY_P256_SPKI_LEN)), ERR_NONE);
	assert_int_equal(jwks_bundle_encode(&first, &text), ERR_NONE);
	assert_int_equal(jwks_bundle_parse(buf_span(&text), &second, NULL), ERR_NONE);
	assert_int_equal(second.sequence, 5);
	assert_int_equal(second.refresh_hint_s, 60);
	assert_int_equal(second.num_roots, 4);
	for (size_t i = 0; i < 4; i++)
		assert_true(has_root(&second, first.roots[i]));
	assert_memory_equal(&first.jwt_keys[0], &second.jwt_keys[0], sizeof(first.jwt_keys[0]));
}

/* Many partners list what a map has: anew in each answer. */
static void another_order_is_no_change(void **state)
{
	(void)state;
	_cleanup_(jwks_bundle_done) struct jwks_bundle one = {0}, two = {0}, first = {0}, second = {0}, keys = {0};
	_cleanup_(buf_done) struct buf text = BUF_INIT(JWKS_TEXT_MAX), other = BUF_INIT(JWKS_TEXT_MAX);
	struct test_cert *roots[] = {make_root(TEST_KEY_P256), make_root(TEST_KEY_P384)};
	assert_int_equal(jwks_bundle_parse(SPAN_LITERAL("{\"keys\":[" JK "]}"), &keys, NULL), ERR_NONE);
	struct span spki = span_of(keys.jwt_keys[0].spki, WEB_KEY_P256_SPKI_LEN);
	static const char *const kids[] = {"k1", "k2"};
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(jwks_bundle_add_root(&one, test_cert_der(roots[i])), ERR_NONE);
		assert_int_equal(jwks_bundle_add_root(&two, test_cert_der(roots[1 - i])), ERR_NONE);
		assert_int_equal(jwks_bundle_add_jwt_key(&one, kids[i], spki), ERR_NONE);
		assert_int_equal(jwks_bundle_add_jwt_key(&two, kids[1 - i], spki), ERR_NONE);
	}
	test_cert_free(roots[0]);
	test_cert_free(roots[1]);
	assert_int_equal(jwks_bundle_encode(&one, &text), ERR_NONE);
	assert_int_equal(jwks_bundle_encode(&two, &other), ERR_NONE);
	assert_false(span_eq(buf_span(&text), buf_span(&other)));
	assert_int_equal(jwks_bundle_parse(buf_span(&text), &first, NULL), ERR_NONE);
	assert_int_equal(jwks_bundle_parse(buf_span(&other), &second, NULL), ERR_NONE);
	for (size_t i = 0; i < 2; i++) {
		assert_true(span_eq(first.roots[i], second.roots[i]));
		assert_string_equal(first.jwt_keys[i].kid, second.jwt_keys[i].kid);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_roots_keys_sequence_and_hint),
		cmocka_unit_test(what_is_unknown_is_skipped),
		cmocka_unit_test(a_bad_entry_spoils_the_bundle),
		cmocka_unit_test(too_many_roots_and_too_long_a_text_are_refused),
		cmocka_unit_test(what_is_written_is_read_again),
		cmocka_unit_test(another_order_is_no_change),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
