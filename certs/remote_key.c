#include "certs/remote_key.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "certs/boringssl.h"
#include <openssl/engine.h>

#define COORDINATE_MAX 48 /* bytes: P-384 */

struct remote {
	remote_sign_fn *sign;
	void *arg;
};

DEFINE_CLEANUP(RSA *, RSA_free)
DEFINE_CLEANUP(ECDSA_SIG *, ECDSA_SIG_free)

static void free_remote(_unused_ void *parent, void *remote, _unused_ CRYPTO_EX_DATA *all, _unused_ int index,
	_unused_ long argl, _unused_ void *argp)
{
	mem_free(remote);
}

/* One index per kind of object and process, as BoringSSL wants it. */
static int ec_index(void)
{
	static int index = -1;
	if (index < 0)
		index = EC_KEY_get_ex_new_index(0, NULL, NULL, NULL, free_remote);
	CHECK(index >= 0);
	return index;
}

static int rsa_index(void)
{
	static int index = -1;
	if (index < 0)
		index = RSA_get_ex_new_index(0, NULL, NULL, NULL, free_remote);
	CHECK(index >= 0);
	return index;
}

static size_t order_size(const EC_KEY *key)
{
	return BN_num_bytes(EC_GROUP_get0_order(EC_KEY_get0_group(key)));
}

static int sign_ec(const uint8_t *digest, size_t digest_len, uint8_t *sig, unsigned *sig_len, EC_KEY *key)
{
	const struct remote *remote = EC_KEY_get_ex_data(key, ec_index());
	_cleanup_(buf_done) struct buf raw = BUF_INIT(2 * COORDINATE_MAX);
	size_t half = order_size(key), max = ECDSA_size(key);
	if (half > COORDINATE_MAX ||
		remote->sign(remote->arg, REMOTE_KEY_ECDSA, span_of(digest, digest_len), &raw) != ERR_NONE ||
		buf_len(&raw) != 2 * half)
		return 0;
	_cleanup_(ECDSA_SIG_freep) ECDSA_SIG *pair = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(buf_span(&raw).ptr, half, NULL), *s = BN_bin2bn(buf_span(&raw).ptr + half, half, NULL);
	CHECK(pair != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(pair, r, s));
	CBB cbb;
	size_t len;
	bool good = CBB_init_fixed(&cbb, sig, max) && ECDSA_SIG_marshal(&cbb, pair) && CBB_finish(&cbb, NULL, &len);
	*sig_len = good ? (unsigned)len : 0;
	return good;
}

static int sign_rsa(
	int nid, const uint8_t *digest, unsigned digest_len, uint8_t *sig, unsigned *sig_len, const RSA *rsa)
{
	const struct remote *remote = RSA_get_ex_data(rsa, rsa_index());
	_cleanup_(buf_done) struct buf raw = BUF_INIT(REMOTE_SIGNATURE_MAX);
	uint8_t *input;
	size_t input_len;
	int is_allocated;
	if (!RSA_add_pkcs1_prefix(&input, &input_len, &is_allocated, nid, digest, digest_len))
		return 0;
	enum err err = remote->sign(remote->arg, REMOTE_KEY_RSA, span_of(input, input_len), &raw);
	if (is_allocated)
		OPENSSL_free(input);
	if (err != ERR_NONE || buf_len(&raw) != RSA_size(rsa))
		return 0;
	memcpy(sig, buf_span(&raw).ptr, buf_len(&raw));
	*sig_len = (unsigned)buf_len(&raw);
	return 1;
}

static const ECDSA_METHOD ec_method = {.common = {.is_static = 1}, .sign = sign_ec, .flags = ECDSA_FLAG_OPAQUE};
static const RSA_METHOD rsa_method = {.common = {.is_static = 1}, .sign = sign_rsa, .flags = RSA_FLAG_OPAQUE};

static bool set_ec(ENGINE *engine, EVP_PKEY *public, struct remote *remote, EVP_PKEY *out)
{
	const EC_KEY *from = EVP_PKEY_get0_EC_KEY(public);
	if (!ENGINE_set_ECDSA_method(engine, &ec_method, sizeof ec_method))
		return false;
	_cleanup_(EC_KEY_freep) EC_KEY *key = EC_KEY_new_method(engine);
	return key != NULL && EC_KEY_set_group(key, EC_KEY_get0_group(from)) &&
	       EC_KEY_set_public_key(key, EC_KEY_get0_public_key(from)) &&
	       EC_KEY_set_ex_data(key, ec_index(), remote) && EVP_PKEY_set1_EC_KEY(out, key);
}

static bool set_rsa(ENGINE *engine, EVP_PKEY *public, struct remote *remote, EVP_PKEY *out)
{
	const RSA *from = EVP_PKEY_get0_RSA(public);
	if (!ENGINE_set_RSA_method(engine, &rsa_method, sizeof rsa_method))
		return false;
	_cleanup_(RSA_freep) RSA *rsa = RSA_new_method(engine);
	BIGNUM *n = BN_dup(RSA_get0_n(from)), *e = BN_dup(RSA_get0_e(from));
	CHECK(rsa != NULL && n != NULL && e != NULL && RSA_set0_key(rsa, n, e, NULL));
	return RSA_set_ex_data(rsa, rsa_index(), remote) && EVP_PKEY_set1_RSA(out, rsa);
}

static EVP_PKEY *public_of(struct span certificate_der)
{
	const uint8_t *at = certificate_der.ptr;
	_cleanup_(X509_freep) X509 *x509 = d2i_X509(NULL, &at, (long)certificate_der.len);
	return x509 == NULL ? NULL : X509_get_pubkey(x509);
}

enum err remote_key_new(
	struct span certificate_der, remote_sign_fn *sign, void *arg, struct private_key **out, struct why *why)
{
	_cleanup_(EVP_PKEY_freep) EVP_PKEY *public = public_of(certificate_der);
	RETURN_IF_ERR(public_key_check_evp(public, why));
	int kind = EVP_PKEY_id(public);
	if (kind != EVP_PKEY_EC && kind != EVP_PKEY_RSA)
		return why_set(why, ERR_WEAK_KEY, "a P-256, P-384 or RSA key", "make the key of one of these kinds",
			"the key in the token is of another kind");
	struct remote *remote = mem_new(struct remote); /* freed with BoringSSL's object */
	*remote = (struct remote){sign, arg};
	ENGINE *engine = ENGINE_new();
	EVP_PKEY *evp = EVP_PKEY_new();
	CHECK(engine != NULL && evp != NULL);
	CHECK(kind == EVP_PKEY_EC ? set_ec(engine, public, remote, evp) : set_rsa(engine, public, remote, evp));
	ENGINE_free(engine);
	*out = private_key_adopt_evp(evp);
	return ERR_NONE;
}
