#include "control/issue/revocation_list.h"
#include "base/core/check.h"
#include "control/issue/certificate.h"
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

#define SERIAL_MAX CERTIFICATE_SERIAL_MAX

DEFINE_CLEANUP(X509 *, X509_free)
DEFINE_CLEANUP(X509_CRL *, X509_CRL_free)
DEFINE_CLEANUP(X509_REVOKED *, X509_REVOKED_free)
DEFINE_CLEANUP(ASN1_TIME *, ASN1_TIME_free)
DEFINE_CLEANUP(ASN1_INTEGER *, ASN1_INTEGER_free)
DEFINE_CLEANUP(AUTHORITY_KEYID *, AUTHORITY_KEYID_free)
DEFINE_CLEANUP(BIGNUM *, BN_free)

enum err revocation_list_put_entry(struct buf *entries, struct span serial, int64_t since_s)
{
	const uint8_t len = (uint8_t)serial.len;
	if (serial.len == 0 || serial.len > SERIAL_MAX)
		return ERR_MALFORMED;
	RETURN_IF_ERR(buf_append(entries, span_of(&len, 1)));
	RETURN_IF_ERR(buf_append(entries, serial));
	return buf_append(entries, span_of(&since_s, sizeof since_s));
}

static bool set_times(X509_CRL *crl, const struct revocation_list_spec *spec)
{
	_cleanup_(ASN1_TIME_freep) ASN1_TIME *from = ASN1_TIME_set_posix(NULL, spec->this_update_s);
	_cleanup_(ASN1_TIME_freep) ASN1_TIME *to = ASN1_TIME_set_posix(NULL, spec->next_update_s);
	return from != NULL && to != NULL && X509_CRL_set1_lastUpdate(crl, from) && X509_CRL_set1_nextUpdate(crl, to);
}

/* RFC 5280 5.2.1: the issuer's own identifier, or where it has none the one that 4.2.1.2 (1) describes. */
static bool add_authority_key(X509_CRL *crl, X509 *issuer)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned len;
	const ASN1_OCTET_STRING *own = X509_get0_subject_key_id(issuer);
	_cleanup_(AUTHORITY_KEYID_freep) AUTHORITY_KEYID *above = AUTHORITY_KEYID_new();
	if (above == NULL || (above->keyid = ASN1_OCTET_STRING_new()) == NULL)
		return false;
	bool good = own != NULL
			    ? ASN1_OCTET_STRING_set(above->keyid, ASN1_STRING_get0_data(own), ASN1_STRING_length(own))
			    : X509_pubkey_digest(issuer, EVP_sha1(), digest, &len) &&
				      ASN1_OCTET_STRING_set(above->keyid, digest, (int)len);
	return good && X509_CRL_add1_ext_i2d(crl, NID_authority_key_identifier, above, 0, 0);
}

static bool add_number(X509_CRL *crl, uint64_t value)
{
	_cleanup_(ASN1_INTEGER_freep) ASN1_INTEGER *number = ASN1_INTEGER_new();
	return number != NULL && ASN1_INTEGER_set_uint64(number, value) &&
	       X509_CRL_add1_ext_i2d(crl, NID_crl_number, number, 0, 0);
}

static bool add_entry(X509_CRL *crl, struct span serial, int64_t since_s)
{
	_cleanup_(BN_freep) BIGNUM *value = BN_bin2bn(serial.ptr, serial.len, NULL);
	_cleanup_(ASN1_INTEGER_freep) ASN1_INTEGER *number = value == NULL ? NULL : BN_to_ASN1_INTEGER(value, NULL);
	_cleanup_(ASN1_TIME_freep) ASN1_TIME *since = ASN1_TIME_set_posix(NULL, since_s);
	_cleanup_(X509_REVOKED_freep) X509_REVOKED *entry = X509_REVOKED_new();
	if (number == NULL || since == NULL || entry == NULL || !X509_REVOKED_set_serialNumber(entry, number) ||
		!X509_REVOKED_set_revocationDate(entry, since) || !X509_CRL_add0_revoked(crl, entry))
		return false;
	entry = NULL; /* the list has it */
	return true;
}

static enum err add_entries(X509_CRL *crl, const struct revocation_list_spec *spec, struct why *why)
{
	struct span rest = spec->entries;
	for (size_t num = 0; rest.len > 0; num++) {
		size_t len = rest.ptr[0];
		int64_t since_s;
		if (num == REVOCATION_LIST_ENTRIES_MAX)
			return why_set(why, ERR_LIMIT, "at most 512 revoked certificates in a list",
				"revoke their intermediate: `handfast revoke --intermediate`", "there are more");
		if (len == 0 || len > SERIAL_MAX || rest.len < 1 + len + sizeof since_s)
			return why_set(why, ERR_MALFORMED, "serials of 1 to 20 bytes", "report this as a defect",
				"entry %zu is malformed", num + 1);
		memcpy(&since_s, rest.ptr + 1 + len, sizeof since_s);
		/* Not after the list itself, whatever the clock was (RFC 5280 5.3). */
		if (since_s > spec->this_update_s)
			since_s = spec->this_update_s;
		if (!add_entry(crl, span_of(rest.ptr + 1, len), since_s))
			return why_set(why, ERR_CRYPTO, "an entry that BoringSSL can make", "report this as a defect",
				"entry %zu is refused", num + 1);
		rest = span_from(rest, 1 + len + sizeof since_s);
	}
	return ERR_NONE;
}

static enum err encode(X509_CRL *crl, struct buf *out)
{
	uint8_t *der = NULL;
	int len = i2d_X509_CRL(crl, &der);
	if (len <= 0)
		return ERR_CRYPTO;
	enum err err = buf_append(out, span_of(der, (size_t)len));
	OPENSSL_free(der);
	return err;
}

static enum err read_issuer(const struct revocation_list_spec *spec, X509 **out, struct why *why)
{
	const uint8_t *at = spec->issuer.ptr;
	*out = d2i_X509(NULL, &at, (long)spec->issuer.len);
	if (*out == NULL)
		return why_set(
			why, ERR_MALFORMED, "the issuer's certificate", "report this as a defect", "it does not parse");
	if ((X509_get_key_usage(*out) & KU_CRL_SIGN) != 0)
		return ERR_NONE;
	/* RFC 5280 6.3.3 (f): no verifier would take the list. */
	return why_set(why, ERR_UNSUPPORTED, "an intermediate whose keyUsage has cRLSign",
		"have it signed with keyUsage=critical,keyCertSign,cRLSign",
		"the keyUsage of the operator's intermediate allows no revocation lists");
}

enum err revocation_list_make(const struct revocation_list_spec *spec, struct buf *out_der, struct why *why)
{
	_cleanup_(X509_freep) X509 *issuer = NULL;
	_cleanup_(X509_CRL_freep) X509_CRL *crl = X509_CRL_new();
	CHECK(spec->issuer_key != NULL && spec->this_update_s < spec->next_update_s);
	RETURN_IF_ERR(read_issuer(spec, &issuer, why));
	bool good = crl != NULL && X509_CRL_set_version(crl, X509_CRL_VERSION_2) &&
		    X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer)) && set_times(crl, spec) &&
		    add_authority_key(crl, issuer) && add_number(crl, spec->number);
	if (good)
		RETURN_IF_ERR(add_entries(crl, spec, why));
	good = good && X509_CRL_sort(crl) &&
	       X509_CRL_sign(crl, private_key_get0_evp(spec->issuer_key), EVP_sha256()) > 0;
	if (!good)
		return why_set(why, ERR_CRYPTO, "a revocation list that BoringSSL can make", "report this as a defect",
			"the library returned an error");
	return encode(crl, out_der);
}
