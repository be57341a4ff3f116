#include "control/issue/certificate.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include <openssl/bn.h>
#include <openssl/bytestring.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

DEFINE_CLEANUP(X509 *, X509_free)
DEFINE_CLEANUP(EVP_PKEY *, EVP_PKEY_free)
DEFINE_CLEANUP(ASN1_BIT_STRING *, ASN1_BIT_STRING_free)
DEFINE_CLEANUP(ASN1_OCTET_STRING *, ASN1_OCTET_STRING_free)
DEFINE_CLEANUP(AUTHORITY_KEYID *, AUTHORITY_KEYID_free)
DEFINE_CLEANUP(EXTENDED_KEY_USAGE *, EXTENDED_KEY_USAGE_free)
DEFINE_CLEANUP(ASN1_TIME *, ASN1_TIME_free)
DEFINE_CLEANUP(ASN1_INTEGER *, ASN1_INTEGER_free)
DEFINE_CLEANUP(BIGNUM *, BN_free)
DEFINE_CLEANUP(GENERAL_NAMES *, GENERAL_NAMES_free)

static bool is_leaf(const struct certificate_spec *spec)
{
	return spec->kind == CERTIFICATE_LEAF || spec->kind == CERTIFICATE_WEB;
}

static enum err decode(struct span der, X509 **out)
{
	const uint8_t *at = der.ptr;
	if (der.len == 0 || der.len > CERTIFICATE_MAX)
		return ERR_MALFORMED;
	X509 *x509 = d2i_X509(NULL, &at, (long)der.len);
	if (x509 == NULL || at != der.ptr + der.len) {
		X509_free(x509);
		return ERR_MALFORMED;
	}
	*out = x509;
	return ERR_NONE;
}

/* 128 random bits, positive and never zero (RFC 5280 4.1.2.2), so that two issuers need no common counter. */
static bool set_serial(X509 *x509)
{
	uint8_t bytes[16];
	RAND_bytes(bytes, sizeof bytes);
	bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40);
	_cleanup_(BN_freep) BIGNUM *number = BN_bin2bn(bytes, sizeof bytes, NULL);
	_cleanup_(ASN1_INTEGER_freep) ASN1_INTEGER *serial = number == NULL ? NULL : BN_to_ASN1_INTEGER(number, NULL);
	return serial != NULL && X509_set_serialNumber(x509, serial);
}

static bool set_validity(X509 *x509, const struct certificate_spec *spec)
{
	_cleanup_(ASN1_TIME_freep) ASN1_TIME *from = ASN1_TIME_set_posix(NULL, spec->not_before_s);
	_cleanup_(ASN1_TIME_freep) ASN1_TIME *to = ASN1_TIME_set_posix(NULL, spec->not_after_s);
	return from != NULL && to != NULL && X509_set1_notBefore(x509, from) && X509_set1_notAfter(x509, to);
}

static bool set_names(X509 *x509, const struct certificate_spec *spec, X509 *issuer)
{
	X509_NAME *subject = X509_get_subject_name(x509); /* empty for a leaf */
	if (!is_leaf(spec) && !X509_NAME_add_entry_by_NID(
				      subject, NID_commonName, MBSTRING_UTF8, (const uint8_t *)spec->name, -1, -1, 0))
		return false;
	return X509_set_issuer_name(x509, issuer == NULL ? subject : X509_get_subject_name(issuer));
}

static bool set_key(X509 *x509, struct span spki)
{
	CBS cbs;
	CBS_init(&cbs, spki.ptr, spki.len);
	_cleanup_(EVP_PKEY_freep) EVP_PKEY *key = EVP_parse_public_key(&cbs);
	return key != NULL && CBS_len(&cbs) == 0 && X509_set_pubkey(x509, key);
}

static bool add_name(X509 *x509, const struct certificate_spec *spec)
{
	struct span text = spec->kind == CERTIFICATE_WEB ? spec->dns : spec->uri;
	if (text.len == 0)
		return true;
	_cleanup_(GENERAL_NAMES_freep) GENERAL_NAMES *names = GENERAL_NAMES_new();
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_IA5STRING *value = ASN1_IA5STRING_new();
	if (names == NULL || name == NULL || value == NULL || !sk_GENERAL_NAME_push(names, name))
		return false;
	GENERAL_NAME_set0_value(name, spec->kind == CERTIFICATE_WEB ? GEN_DNS : GEN_URI, value);
	if (!ASN1_STRING_set(value, text.ptr, (ossl_ssize_t)text.len))
		return false;
	/* RFC 5280 4.2.1.6: critical when the subject is empty. */
	return X509_add1_ext_i2d(x509, NID_subject_alt_name, names, is_leaf(spec), 0);
}

static bool add_basic_constraints(X509 *x509, const struct certificate_spec *spec)
{
	BASIC_CONSTRAINTS *constraints = BASIC_CONSTRAINTS_new();
	bool good = constraints != NULL;
	if (good && !is_leaf(spec)) {
		constraints->ca = ASN1_BOOLEAN_TRUE;
		constraints->pathlen = ASN1_INTEGER_new();
		good = constraints->pathlen != NULL &&
		       ASN1_INTEGER_set_uint64(constraints->pathlen, spec->kind == CERTIFICATE_ROOT ? 1 : 0);
	}
	good = good && X509_add1_ext_i2d(x509, NID_basic_constraints, constraints, 1, 0);
	BASIC_CONSTRAINTS_free(constraints);
	return good;
}

static bool add_key_usage(X509 *x509, const struct certificate_spec *spec)
{
	_cleanup_(ASN1_BIT_STRING_freep) ASN1_BIT_STRING *usage = ASN1_BIT_STRING_new();
	/* RFC 5280 4.2.1.3: digitalSignature is bit 0, keyCertSign 5, cRLSign 6. */
	bool good = usage != NULL &&
		    (is_leaf(spec) ? ASN1_BIT_STRING_set_bit(usage, 0, 1)
				   : ASN1_BIT_STRING_set_bit(usage, 5, 1) && ASN1_BIT_STRING_set_bit(usage, 6, 1));
	return good && X509_add1_ext_i2d(x509, NID_key_usage, usage, 1, 0);
}

static bool add_extended_key_usage(X509 *x509, const struct certificate_spec *spec)
{
	if (!is_leaf(spec))
		return true;
	_cleanup_(EXTENDED_KEY_USAGE_freep) EXTENDED_KEY_USAGE *usage = EXTENDED_KEY_USAGE_new();
	/* These objects are static: freeing the list does not free them. */
	return usage != NULL && sk_ASN1_OBJECT_push(usage, OBJ_nid2obj(NID_server_auth)) &&
	       (spec->kind == CERTIFICATE_WEB || sk_ASN1_OBJECT_push(usage, OBJ_nid2obj(NID_client_auth))) &&
	       X509_add1_ext_i2d(x509, NID_ext_key_usage, usage, 0, 0);
}

static bool add_key_ids(X509 *x509, const X509 *issuer)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned len;
	_cleanup_(ASN1_OCTET_STRING_freep) ASN1_OCTET_STRING *own = ASN1_OCTET_STRING_new();
	if (own == NULL || !X509_pubkey_digest(x509, EVP_sha1(), digest, &len) ||
		!ASN1_OCTET_STRING_set(own, digest, (int)len) ||
		!X509_add1_ext_i2d(x509, NID_subject_key_identifier, own, 0, 0))
		return false;
	if (issuer == NULL)
		return true;
	_cleanup_(AUTHORITY_KEYID_freep) AUTHORITY_KEYID *above = AUTHORITY_KEYID_new();
	const ASN1_OCTET_STRING *issuers = X509_get0_subject_key_id((X509 *)(uintptr_t)issuer);
	if (issuers == NULL) /* an authority of the operator's without one; verifiers then go by the name */
		return true;
	if (above == NULL || (above->keyid = ASN1_OCTET_STRING_dup(issuers)) == NULL)
		return false;
	return X509_add1_ext_i2d(x509, NID_authority_key_identifier, above, 0, 0);
}

static bool add_extensions(X509 *x509, const struct certificate_spec *spec, const X509 *issuer)
{
	return add_basic_constraints(x509, spec) && add_key_usage(x509, spec) && add_extended_key_usage(x509, spec) &&
	       add_key_ids(x509, issuer) && add_name(x509, spec);
}

static enum err encode(X509 *x509, struct buf *out)
{
	int len = i2d_X509(x509, NULL);
	if (len <= 0 || len > CERTIFICATE_MAX)
		return ERR_TOO_LARGE;
	uint8_t *room;
	RETURN_IF_ERR(buf_reserve(out, (size_t)len, &room));
	CHECK(i2d_X509(x509, &room) == len);
	buf_commit(out, (size_t)len);
	return ERR_NONE;
}

enum err certificate_make(const struct certificate_spec *spec, struct buf *out_der, struct why *why)
{
	CHECK(spec->issuer_key != NULL);
	CHECK(is_leaf(spec) ? spec->issuer.len > 0 : spec->name != NULL);
	_cleanup_(X509_freep) X509 *x509 = X509_new();
	_cleanup_(X509_freep) X509 *issuer = NULL;
	if (spec->issuer.len > 0)
		RETURN_IF_ERR(decode(spec->issuer, &issuer));
	bool good = x509 != NULL && X509_set_version(x509, X509_VERSION_3) && set_serial(x509) &&
		    set_validity(x509, spec) && set_names(x509, spec, issuer) && set_key(x509, spec->spki) &&
		    add_extensions(x509, spec, issuer) &&
		    X509_sign(x509, private_key_get0_evp(spec->issuer_key), EVP_sha256()) > 0;
	if (!good)
		return why_set(why, ERR_CRYPTO, "a certificate that BoringSSL can make", "report this as a defect",
			"the library returned an error");
	return encode(x509, out_der);
}

enum err certificate_validity(struct span der, int64_t *out_not_before_s, int64_t *out_not_after_s)
{
	_cleanup_(X509_freep) X509 *x509 = NULL;
	RETURN_IF_ERR(decode(der, &x509));
	int64_t from, to;
	if (!ASN1_TIME_to_posix(X509_get0_notBefore(x509), &from) || !ASN1_TIME_to_posix(X509_get0_notAfter(x509), &to))
		return ERR_MALFORMED;
	*out_not_before_s = from;
	*out_not_after_s = to;
	return ERR_NONE;
}

enum err certificate_serial(struct span der, uint8_t out[CERTIFICATE_SERIAL_MAX], size_t *out_len)
{
	_cleanup_(X509_freep) X509 *x509 = NULL;
	RETURN_IF_ERR(decode(der, &x509));
	const ASN1_INTEGER *serial = X509_get0_serialNumber(x509);
	int len = ASN1_STRING_length(serial);
	if (len <= 0 || len > CERTIFICATE_SERIAL_MAX)
		return ERR_MALFORMED;
	memcpy(out, ASN1_STRING_get0_data(serial), (size_t)len);
	*out_len = (size_t)len;
	return ERR_NONE;
}

enum err certificate_matches(struct span der, const struct private_key *key)
{
	_cleanup_(X509_freep) X509 *x509 = NULL;
	RETURN_IF_ERR(decode(der, &x509));
	return X509_check_private_key(x509, private_key_get0_evp(key)) == 1 ? ERR_NONE : ERR_KEY_MISMATCH;
}

enum err certificate_is_signed_by(struct span der, struct span issuer)
{
	_cleanup_(X509_freep) X509 *x509 = NULL;
	_cleanup_(X509_freep) X509 *above = NULL;
	RETURN_IF_ERR(decode(der, &x509));
	RETURN_IF_ERR(decode(issuer, &above));
	_cleanup_(EVP_PKEY_freep) EVP_PKEY *key = X509_get_pubkey(above);
	return key != NULL && X509_verify(x509, key) == 1 ? ERR_NONE : ERR_UNTRUSTED;
}
