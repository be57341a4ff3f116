#include "certs/web_key_members.h"
#include "certs/boringssl.h"
#include "certs/public_key.h"

DEFINE_CLEANUP(BIGNUM *, BN_free)

static void put_number(const BIGNUM *number, size_t len, struct buf *out)
{
	uint8_t *room;
	CHECK(buf_reserve(out, len, &room) == ERR_NONE && BN_bn2bin_padded(room, len, number));
	buf_commit(out, len);
}

static void put_point(const EC_KEY *key, struct web_key_members *out)
{
	const EC_GROUP *group = EC_KEY_get0_group(key);
	_cleanup_(BN_freep) BIGNUM *x = BN_new();
	_cleanup_(BN_freep) BIGNUM *y = BN_new();
	size_t len = (EC_GROUP_get_degree(group) + 7) / 8;
	CHECK(x != NULL && y != NULL);
	CHECK(EC_POINT_get_affine_coordinates_GFp(group, EC_KEY_get0_public_key(key), x, y, NULL));
	put_number(x, len, &out->first);
	put_number(y, len, &out->second);
}

static void put_rsa(const RSA *key, struct web_key_members *out)
{
	const BIGNUM *n = RSA_get0_n(key), *e = RSA_get0_e(key);
	put_number(n, BN_num_bytes(n), &out->first);
	put_number(e, BN_num_bytes(e), &out->second);
}

static bool put_key(EVP_PKEY *key, struct web_key_members *out)
{
	size_t len = 32;
	uint8_t *room;
	switch (EVP_PKEY_id(key)) {
	case EVP_PKEY_EC:
		out->kty = "EC";
		out->crv = EVP_PKEY_bits(key) == 256 ? "P-256" : "P-384";
		put_point(EVP_PKEY_get0_EC_KEY(key), out);
		return true;
	case EVP_PKEY_RSA:
		out->kty = "RSA";
		put_rsa(EVP_PKEY_get0_RSA(key), out);
		return true;
	case EVP_PKEY_ED25519:
		out->kty = "OKP";
		out->crv = "Ed25519";
		CHECK(buf_reserve(&out->first, len, &room) == ERR_NONE && EVP_PKEY_get_raw_public_key(key, room, &len));
		buf_commit(&out->first, len);
		return true;
	}
	return false;
}

enum err web_key_members_of(struct span certificate_der, struct web_key_members *out, struct why *why)
{
	const uint8_t *at = certificate_der.ptr;
	_cleanup_(X509_freep) X509 *certificate = d2i_X509(NULL, &at, (long)certificate_der.len);
	_cleanup_(EVP_PKEY_freep) EVP_PKEY *key = certificate == NULL ? NULL : X509_get_pubkey(certificate);
	struct web_key_members members = {
		.first = BUF_INIT(WEB_KEY_MEMBER_MAX), .second = BUF_INIT(WEB_KEY_MEMBER_MAX)};
	ERR_clear_error();
	if (key == NULL)
		return why_set(why, ERR_MALFORMED, "a certificate (DER)", "find out which file it comes from",
			"the certificate cannot be parsed");
	RETURN_IF_ERR(public_key_check_evp(key, why));
	CHECK(put_key(key, &members)); /* it is of an allowed kind */
	*out = members;
	return ERR_NONE;
}

void web_key_members_done(struct web_key_members *members)
{
	buf_done(&members->first);
	buf_done(&members->second);
}
