#include "certs/crl.h"
#include "base/core/check.h"
#include "certs/boringssl.h"
#include "certs/der.h"
#include "certs/signature.h"

#define NUMBER_MAX   20 /* bytes, RFC 5280 5.2.3 */
#define CRL_EXPECTED "an X.509 revocation list in DER, version 2, with nextUpdate, key identifier and number"
#define CRL_FIX      "let the certificate authority publish a new list"

static enum err refuse(struct why *why, enum err err, const char *got)
{
	ERR_clear_error();
	return why_set(why, err, CRL_EXPECTED, CRL_FIX, "%s", got);
}

static bool is_signature_allowed(const X509_CRL *crl)
{
	const X509_ALGOR *algorithm;
	X509_CRL_get0_signature(crl, NULL, &algorithm);
	return signature_algorithm_is_allowed(algorithm);
}

static AUTHORITY_KEYID *authority_of(const X509_CRL *crl)
{
	return X509_CRL_get_ext_d2i(crl, NID_authority_key_identifier, NULL, NULL);
}

static ASN1_INTEGER *number_of(const X509_CRL *crl)
{
	return X509_CRL_get_ext_d2i(crl, NID_crl_number, NULL, NULL);
}

/* RFC 5280 5.2.1 and 5.2.3: without them two keys of one name, and two lists of one key, cannot be distinguished. */
static bool has_key_and_number(const X509_CRL *crl)
{
	_cleanup_(AUTHORITY_KEYID_freep) AUTHORITY_KEYID *key = authority_of(crl);
	_cleanup_(ASN1_INTEGER_freep) ASN1_INTEGER *number = number_of(crl);
	return key != NULL && key->keyid != NULL && number != NULL && ASN1_STRING_type(number) == V_ASN1_INTEGER &&
	       ASN1_STRING_length(number) <= NUMBER_MAX;
}

/* Critical extensions limit the list's scope (delta
 * lists, one kind of certificate) and are not supported: refused. */
static bool has_critical_extension(const X509_CRL *crl)
{
	for (int i = 0; i < X509_CRL_get_ext_count(crl); i++)
		if (X509_EXTENSION_get_critical(X509_CRL_get_ext(crl, i)))
			return true;
	return false;
}

/* removeFromCRL cancels an entry of another list: only a delta list may contain it (RFC 5280 5.3.1). In a full list
 * BoringSSL would treat the certificate as not revoked. */
static bool has_remove_from_crl(X509_CRL *crl)
{
	const STACK_OF(X509_REVOKED) *entries = X509_CRL_get_REVOKED(crl);
	for (size_t i = 0; i < sk_X509_REVOKED_num(entries); i++) {
		int critical;
		ASN1_ENUMERATED *reason =
			X509_REVOKED_get_ext_d2i(sk_X509_REVOKED_value(entries, i), NID_crl_reason, &critical, NULL);
		bool is_remove = reason != NULL && ASN1_ENUMERATED_get(reason) == CRL_REASON_REMOVE_FROM_CRL;
		ASN1_ENUMERATED_free(reason);
		if (is_remove)
			return true;
	}
	return false;
}

static enum err check_sane(X509_CRL *crl, struct why *why)
{
	int64_t this_update, next_update;
	if (X509_CRL_get_version(crl) != X509_CRL_VERSION_2)
		return refuse(why, ERR_UNSUPPORTED, "the list has an older version");
	if (X509_NAME_entry_count(X509_CRL_get_issuer(crl)) == 0)
		return refuse(why, ERR_MALFORMED, "the list has no issuer");
	if (X509_CRL_get0_nextUpdate(crl) == NULL)
		return refuse(why, ERR_UNSUPPORTED, "the list has no nextUpdate");
	if (!ASN1_TIME_to_posix(X509_CRL_get0_lastUpdate(crl), &this_update) ||
		!ASN1_TIME_to_posix(X509_CRL_get0_nextUpdate(crl), &next_update) || this_update > next_update)
		return refuse(why, ERR_MALFORMED, "the list's nextUpdate precedes its thisUpdate");
	if (!is_signature_allowed(crl))
		return refuse(why, ERR_UNSUPPORTED, "the list has another signature algorithm");
	if (has_critical_extension(crl))
		return refuse(why, ERR_UNSUPPORTED, "the list has a limited scope (critical extension)");
	if (has_remove_from_crl(crl))
		return refuse(why, ERR_MALFORMED, "the list is a full one with an entry removeFromCRL");
	if (!has_key_and_number(crl))
		return refuse(why, ERR_UNSUPPORTED, "the list has no authorityKeyIdentifier or no CRL number");
	return ERR_NONE;
}

enum err crl_parse(struct span der, X509_CRL **out, struct why *why)
{
	if (der.len > CRL_MAX)
		return refuse(why, ERR_TOO_LARGE, "the list is larger than 1 MiB");
	if (!der_is_strict(der))
		return refuse(why, ERR_MALFORMED, "the list is not DER");
	const uint8_t *at = der.ptr;
	_cleanup_(X509_CRL_freep) X509_CRL *crl = d2i_X509_CRL(NULL, &at, (long)der.len);
	if (crl == NULL || at != der.ptr + der.len)
		return refuse(why, ERR_MALFORMED, "the list does not parse");
	RETURN_IF_ERR(check_sane(crl, why));
	*out = TAKE_PTR(crl);
	return ERR_NONE;
}

int64_t crl_next_update_s(const X509_CRL *crl)
{
	int64_t seconds;
	CHECK(ASN1_TIME_to_posix(X509_CRL_get0_nextUpdate(crl), &seconds)); /* check_sane() checked it */
	return seconds;
}

bool crl_has_same_issuer(const X509_CRL *a, const X509_CRL *b)
{
	_cleanup_(AUTHORITY_KEYID_freep) AUTHORITY_KEYID *key_a = authority_of(a), *key_b = authority_of(b);
	CHECK(key_a != NULL && key_b != NULL); /* check_sane() checked it */
	return X509_NAME_cmp(X509_CRL_get_issuer(a), X509_CRL_get_issuer(b)) == 0 &&
	       ASN1_OCTET_STRING_cmp(key_a->keyid, key_b->keyid) == 0;
}

bool crl_is_newer(const X509_CRL *crl, const X509_CRL *than)
{
	_cleanup_(ASN1_INTEGER_freep) ASN1_INTEGER *number = number_of(crl), *before = number_of(than);
	CHECK(number != NULL && before != NULL);
	return ASN1_INTEGER_cmp(number, before) > 0;
}

bool crl_is_of(const X509_CRL *crl, X509 *authority)
{
	_cleanup_(AUTHORITY_KEYID_freep) AUTHORITY_KEYID *key = authority_of(crl);
	const ASN1_OCTET_STRING *own = X509_get0_subject_key_id(authority);
	CHECK(key != NULL);
	return X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_subject_name(authority)) == 0 &&
	       (own == NULL || ASN1_OCTET_STRING_cmp(own, key->keyid) == 0);
}

bool crl_is_genuine(X509_CRL *crl, X509 *authority)
{
	/* RFC 5280 6.3.3 (f); without keyUsage every use is allowed. */
	return (X509_get_key_usage(authority) & KU_CRL_SIGN) != 0 && signature_of_crl_is_by(crl, authority);
}
