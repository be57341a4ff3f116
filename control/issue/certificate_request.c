#include "control/issue/certificate_request.h"
#include "base/core/check.h"
#include "base/core/hex.h"
#include "base/core/mem.h"
#include "certs/digest.h"
#include <openssl/nid.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#define NAME_BYTES 6 /* of the key's digest: enough that no two requests have one name */

DEFINE_CLEANUP(X509_REQ *, X509_REQ_free)
DEFINE_CLEANUP(X509 *, X509_free)
DEFINE_CLEANUP(ASN1_OCTET_STRING *, ASN1_OCTET_STRING_free)
DEFINE_CLEANUP(X509_NAME *, X509_NAME_free)
DEFINE_CLEANUP(GENERAL_NAMES *, GENERAL_NAMES_free)
DEFINE_CLEANUP(BASIC_CONSTRAINTS *, BASIC_CONSTRAINTS_free)
DEFINE_CLEANUP(ASN1_BIT_STRING *, ASN1_BIT_STRING_free)

/* An authority may refuse a second certificate of the same subject, as `openssl ca` does. */
static bool set_subject(X509_REQ *request, const struct private_key *key)
{
	_cleanup_(buf_done) struct buf spki = BUF_INIT(1024);
	uint8_t digest[DIGEST_LEN];
	char digits[2 * NAME_BYTES + 1];
	if (private_key_public(key, &spki) != ERR_NONE)
		return false;
	digest_sha256(buf_span(&spki), digest);
	hex_format(span_of(digest, NAME_BYTES), digits);
	_cleanup_(mem_freep) char *common = mem_printf("intermediate %s", digits);
	_cleanup_(X509_NAME_freep) X509_NAME *name = X509_NAME_new();
	return name != NULL &&
	       X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8, (const uint8_t *)common, -1, -1, 0) &&
	       X509_REQ_set_subject_name(request, name);
}

static bool add_name(STACK_OF(X509_EXTENSION) * *extensions, const char *trust_domain)
{
	_cleanup_(mem_freep) char *uri = mem_printf("spiffe://%s", trust_domain);
	_cleanup_(GENERAL_NAMES_freep) GENERAL_NAMES *names = GENERAL_NAMES_new();
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_IA5STRING *value = ASN1_IA5STRING_new();
	if (names == NULL || name == NULL || value == NULL || !sk_GENERAL_NAME_push(names, name))
		return false;
	GENERAL_NAME_set0_value(name, GEN_URI, value);
	return ASN1_STRING_set(value, uri, -1) &&
	       X509V3_add1_i2d(extensions, NID_subject_alt_name, names, 0, X509V3_ADD_APPEND);
}

static bool add_authority(STACK_OF(X509_EXTENSION) * *extensions)
{
	_cleanup_(BASIC_CONSTRAINTS_freep) BASIC_CONSTRAINTS *constraints = BASIC_CONSTRAINTS_new();
	_cleanup_(ASN1_BIT_STRING_freep) ASN1_BIT_STRING *usage = ASN1_BIT_STRING_new();
	if (constraints == NULL || usage == NULL)
		return false;
	constraints->ca = ASN1_BOOLEAN_TRUE;
	constraints->pathlen = ASN1_INTEGER_new();
	/* RFC 5280 4.2.1.3: keyCertSign is bit 5, cRLSign 6. */
	return constraints->pathlen != NULL && ASN1_INTEGER_set_uint64(constraints->pathlen, 0) &&
	       ASN1_BIT_STRING_set_bit(usage, 5, 1) && ASN1_BIT_STRING_set_bit(usage, 6, 1) &&
	       X509V3_add1_i2d(extensions, NID_basic_constraints, constraints, 1, X509V3_ADD_APPEND) &&
	       X509V3_add1_i2d(extensions, NID_key_usage, usage, 1, X509V3_ADD_APPEND);
}

/* RFC 5280 4.2.1.2; the same value as in authorities of our own. */
static bool add_key_id(STACK_OF(X509_EXTENSION) * *extensions, const struct private_key *key)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned len;
	_cleanup_(X509_freep) X509 *carrier = X509_new();
	_cleanup_(ASN1_OCTET_STRING_freep) ASN1_OCTET_STRING *id = ASN1_OCTET_STRING_new();
	return carrier != NULL && id != NULL && X509_set_pubkey(carrier, private_key_get0_evp(key)) &&
	       X509_pubkey_digest(carrier, EVP_sha1(), digest, &len) && ASN1_OCTET_STRING_set(id, digest, (int)len) &&
	       X509V3_add1_i2d(extensions, NID_subject_key_identifier, id, 0, X509V3_ADD_APPEND);
}

static bool fill(X509_REQ *request, const struct private_key *key, const char *trust_domain)
{
	STACK_OF(X509_EXTENSION) *extensions = NULL;
	EVP_PKEY *evp = private_key_get0_evp(key);
	bool good = X509_REQ_set_version(request, X509_REQ_VERSION_1) && set_subject(request, key) &&
		    X509_REQ_set_pubkey(request, evp) && add_authority(&extensions) &&
		    add_name(&extensions, trust_domain) && add_key_id(&extensions, key) &&
		    X509_REQ_add_extensions(request, extensions) && X509_REQ_sign(request, evp, EVP_sha256()) > 0;
	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	return good;
}

enum err certificate_request_make(
	const struct private_key *key, const char *trust_domain, struct buf *out_der, struct why *why)
{
	_cleanup_(X509_REQ_freep) X509_REQ *request = X509_REQ_new();
	uint8_t *room;
	if (request == NULL || !fill(request, key, trust_domain))
		return why_set(why, ERR_CRYPTO, "a request that BoringSSL can make", "report this as a defect",
			"the library returned an error");
	int len = i2d_X509_REQ(request, NULL);
	CHECK(len > 0);
	RETURN_IF_ERR(buf_reserve(out_der, (size_t)len, &room));
	CHECK(i2d_X509_REQ(request, &room) == len);
	buf_commit(out_der, (size_t)len);
	return ERR_NONE;
}
