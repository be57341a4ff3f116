#include "certs/signature.h"
#include "certs/digest.h"
#include <string.h>

#define REMEMBERED                                                                                                     \
	64 /* the oldest is replaced; a trust state has at most 32 roots per trust domain, usually 1 or 2              \
	    */

struct pair {
	uint8_t authority[DIGEST_LEN], object[DIGEST_LEN];
};

static _Thread_local struct {
	struct pair pairs[REMEMBERED];
	size_t num, next;
	unsigned num_computed;
} memory;

static bool is_remembered(const struct pair *pair)
{
	for (size_t i = 0; i < memory.num; i++)
		if (memcmp(&memory.pairs[i], pair, sizeof(*pair)) == 0)
			return true;
	return false;
}

static void remember(const struct pair *pair)
{
	memory.pairs[memory.next] = *pair;
	memory.next = (memory.next + 1) % REMEMBERED;
	memory.num += memory.num < REMEMBERED;
}

/* The outcome of a computation that the caller made. */
static bool note(const struct pair *pair, bool is_hashed, int verified)
{
	memory.num_computed++;
	ERR_clear_error();
	if (verified == 1 && is_hashed)
		remember(pair);
	return verified == 1;
}

/* --- algorithms --- */

static int nid_of(const X509_ALGOR *algorithm)
{
	const ASN1_OBJECT *object;
	X509_ALGOR_get0(&object, NULL, NULL, algorithm);
	return OBJ_obj2nid(object);
}

static bool is_sha2(const EVP_MD *digest)
{
	return digest != NULL && (digest == EVP_sha256() || digest == EVP_sha384() || digest == EVP_sha512());
}

/* Up to the hash of the mask and the salt's length. */
static bool split_pss(const ASN1_STRING *parameters, CBS *out_hash, CBS *out_mask_hash, uint64_t *out_salt_len)
{
	static const uint8_t mgf1[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08};
	static const uint8_t trailer[] = {0xa3, 0x03, 0x02, 0x01, 0x01}; /* the default: some write it */
	const unsigned tag = CBS_ASN1_CONTEXT_SPECIFIC | CBS_ASN1_CONSTRUCTED;
	CBS in, all, mask, id, salt;
	CBS_init(&in, ASN1_STRING_get0_data(parameters), (size_t)ASN1_STRING_length(parameters));
	return CBS_get_asn1(&in, &all, CBS_ASN1_SEQUENCE) && CBS_get_asn1(&all, out_hash, tag | 0) &&
	       CBS_get_asn1(&all, &mask, tag | 1) && CBS_get_asn1(&mask, out_mask_hash, CBS_ASN1_SEQUENCE) &&
	       CBS_get_asn1(out_mask_hash, &id, CBS_ASN1_OBJECT) && CBS_mem_equal(&id, mgf1, sizeof(mgf1)) &&
	       CBS_get_asn1(&all, &salt, tag | 2) && CBS_get_asn1_uint64(&salt, out_salt_len) &&
	       (CBS_len(&all) == 0 || CBS_mem_equal(&all, trailer, sizeof(trailer)));
}

/* RFC 4055 3.1. BoringSSL would refuse the others when it verifies: of a list too late, which would be accepted and
 * then refuse nothing. */
static bool is_pss_allowed(const X509_ALGOR *algorithm)
{
	int type;
	const void *value;
	CBS hash, mask_hash;
	uint64_t salt_len;
	X509_ALGOR_get0(NULL, &type, &value, algorithm);
	if (type != V_ASN1_SEQUENCE || !split_pss(value, &hash, &mask_hash, &salt_len))
		return false;
	const EVP_MD *digest = EVP_parse_digest_algorithm(&hash);
	bool is_allowed =
		is_sha2(digest) && EVP_parse_digest_algorithm(&mask_hash) == digest && salt_len == EVP_MD_size(digest);
	ERR_clear_error();
	return is_allowed;
}

bool signature_algorithm_is_allowed(const X509_ALGOR *algorithm)
{
	switch (nid_of(algorithm)) {
	case NID_ecdsa_with_SHA256:
	case NID_ecdsa_with_SHA384:
	case NID_ecdsa_with_SHA512:
	case NID_sha256WithRSAEncryption:
	case NID_sha384WithRSAEncryption:
	case NID_sha512WithRSAEncryption:
	case NID_ED25519:
		return true;
	case NID_rsassaPss:
		return is_pss_allowed(algorithm);
	}
	return false;
}

const char *signature_algorithm_name(const X509_ALGOR *algorithm)
{
	int nid = nid_of(algorithm);
	const char *name = nid == NID_undef ? NULL : OBJ_nid2ln(nid);
	if (nid == NID_rsassaPss)
		return "RSASSA-PSS of another hash, mask or salt than a SHA-2 hash, MGF1 over it and a salt of its "
		       "length";
	return name != NULL ? name : "an unknown algorithm";
}

/* --- signatures --- */

bool signature_of_cert_is_by(const X509 *cert, X509 *authority)
{
	struct pair pair;
	bool is_hashed = X509_digest(authority, EVP_sha256(), pair.authority, NULL) == 1 &&
			 X509_digest(cert, EVP_sha256(), pair.object, NULL) == 1;
	if (is_hashed && is_remembered(&pair))
		return true;
	_cleanup_(EVP_PKEY_freep) EVP_PKEY *key = X509_get_pubkey(authority);
	return note(&pair, is_hashed, key != NULL ? X509_verify((X509 *)cert, key) : 0);
}

bool signature_of_crl_is_by(X509_CRL *crl, X509 *authority)
{
	struct pair pair;
	bool is_hashed = X509_digest(authority, EVP_sha256(), pair.authority, NULL) == 1 &&
			 X509_CRL_digest(crl, EVP_sha256(), pair.object, NULL) == 1;
	if (is_hashed && is_remembered(&pair))
		return true;
	_cleanup_(EVP_PKEY_freep) EVP_PKEY *key = X509_get_pubkey(authority);
	return note(&pair, is_hashed, key != NULL ? X509_CRL_verify(crl, key) : 0);
}

unsigned signature_num_computed(void)
{
	return memory.num_computed;
}
