/* The other side signs with the key that a test authority made. */
#include "certs/boringssl.h"
#include "certs/remote_key.h"
#include "certs/test_ca.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the four above */
#include <cmocka.h>

struct world {
	EVP_PKEY *evp;
	enum err result;
	unsigned num_calls;
};

static enum err sign_ec(const struct world *world, struct span digest, struct buf *out)
{
	const EC_KEY *key = EVP_PKEY_get0_EC_KEY(world->evp);
	size_t half = BN_num_bytes(EC_GROUP_get0_order(EC_KEY_get0_group(key)));
	ECDSA_SIG *pair = ECDSA_do_sign(digest.ptr, digest.len, key);
	const BIGNUM *r, *s;
	uint8_t *room;
	assert_non_null(pair);
	ECDSA_SIG_get0(pair, &r, &s);
	assert_int_equal(buf_reserve(out, 2 * half, &room), ERR_NONE);
	assert_true(BN_bn2bin_padded(room, half, r) && BN_bn2bin_padded(room + half, half, s));
	buf_commit(out, 2 * half);
	ECDSA_SIG_free(pair);
	return ERR_NONE;
}

static enum err sign(void *arg, enum remote_key_kind kind, struct span input, struct buf *out)
{
	struct world *world = arg;
	uint8_t signature[REMOTE_SIGNATURE_MAX];
	size_t len;
	world->num_calls++;
	if (world->result != ERR_NONE)
		return world->result;
	if (kind == REMOTE_KEY_ECDSA)
		return sign_ec(world, input, out);
	assert_true(RSA_sign_raw(EVP_PKEY_get0_RSA(world->evp), &len, signature, sizeof signature, input.ptr, input.len,
		RSA_PKCS1_PADDING));
	return buf_append(out, span_of(signature, len));
}

static bool signs(const struct private_key *key, EVP_PKEY *public)
{
	static const uint8_t message[] = "message";
	uint8_t signature[REMOTE_SIGNATURE_MAX];
	size_t len = sizeof signature;
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool good = EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, private_key_get0_evp(key)) == 1 &&
		    EVP_DigestSign(context, signature, &len, message, sizeof message) == 1;
	EVP_MD_CTX_free(context);
	if (!good)
		return false;
	context = EVP_MD_CTX_new();
	assert_int_equal(EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, public), 1);
	assert_int_equal(EVP_DigestVerify(context, signature, len, message, sizeof message), 1);
	EVP_MD_CTX_free(context);
	return true;
}

static void the_other_side_signs_with_each_kind_of_key(void **state)
{
	static const enum test_key_kind kinds[] = {TEST_KEY_P256, TEST_KEY_P384, TEST_KEY_RSA_2048};
	(void)state;
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		struct test_cert_spec spec = test_ca_spec("root");
		spec.key = kinds[i];
		_cleanup_(test_cert_freep) struct test_cert *cert = test_cert_new(&spec, NULL);
		_cleanup_(private_key_unrefp) struct private_key *key = NULL;
		struct world world = {.evp = test_cert_get0_evp(cert)};
		assert_int_equal(remote_key_new(test_cert_der(cert), sign, &world, &key, NULL), ERR_NONE);
		assert_true(signs(key, world.evp));
		assert_int_equal(world.num_calls, 1);
		world.result = ERR_UNAVAILABLE;
		assert_false(signs(key, world.evp));
		ERR_clear_error();
	}
}

static void other_kinds_are_refused(void **state)
{
	struct test_cert_spec spec = test_ca_spec("root");
	struct private_key *key = NULL;
	struct world world = {0};
	(void)state;
	spec.key = TEST_KEY_ED25519;
	_cleanup_(test_cert_freep) struct test_cert *cert = test_cert_new(&spec, NULL);
	assert_int_equal(remote_key_new(test_cert_der(cert), sign, &world, &key, NULL), ERR_WEAK_KEY);
	assert_int_equal(remote_key_new(SPAN_LITERAL("none"), sign, &world, &key, NULL), ERR_WEAK_KEY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_other_side_signs_with_each_kind_of_key),
		cmocka_unit_test(other_kinds_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
