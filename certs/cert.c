#include "certs/cert.h"
#include "base/core/check.h"
#include "base/core/escape.h"
#include "certs/boringssl.h"
#include "certs/der.h"
#include "certs/public_key.h"
#include "certs/signature.h"
#include <pthread.h>
#include <stdio.h>

#define CERT_FIX         "reissue the certificate with a certificate authority for SPIFFE"
#define SERIAL_BYTES_MAX 20 /* RFC 5280 4.1.2.2 */

static pthread_once_t pool_once = PTHREAD_ONCE_INIT;
static CRYPTO_BUFFER_POOL *pool;

static void make_pool(void)
{
	pool = CRYPTO_BUFFER_POOL_new();
	CHECK(pool != NULL);
}

CRYPTO_BUFFER_POOL *cert_pool(void)
{
	CHECK(pthread_once(&pool_once, make_pool) == 0);
	return pool;
}

enum err cert_buffer_new(struct span der, const char *which, CRYPTO_BUFFER **out, struct why *why)
{
	if (der.len > CERT_MAX)
		return why_set(why, ERR_MALFORMED, "a certificate of at most 16384 bytes", CERT_FIX, "%s has %zu bytes",
			which, der.len);
	if (!der_is_strict(der))
		return why_set(why, ERR_MALFORMED, "a certificate in DER", CERT_FIX, "%s is not DER (%zu bytes)", which,
			der.len);
	CRYPTO_BUFFER *buffer = CRYPTO_BUFFER_new(der.ptr, der.len, cert_pool());
	CHECK(buffer != NULL);
	*out = buffer;
	return ERR_NONE;
}

static enum err not_svid(struct why *why, const char *expected, const char *which, const char *got)
{
	return why_set(why, ERR_NOT_SVID, expected, CERT_FIX, "%s %s", which, got);
}

struct span cert_serial(const X509 *cert)
{
	const ASN1_INTEGER *serial = X509_get0_serialNumber(cert);
	return span_of(ASN1_STRING_get0_data(serial), (size_t)ASN1_STRING_length(serial));
}

static enum err check_serial(const X509 *cert, const char *which, struct why *why)
{
	struct span serial = cert_serial(cert);
	bool is_zero = true;
	for (size_t i = 0; i < serial.len; i++)
		is_zero = is_zero && serial.ptr[i] == 0;
	if (ASN1_STRING_type(X509_get0_serialNumber(cert)) != V_ASN1_INTEGER || is_zero)
		return not_svid(why, "a positive serial number", which, "has a negative or zero one");
	if (serial.len > SERIAL_BYTES_MAX)
		return not_svid(why, "a serial number of at most 20 bytes", which, "has a longer one");
	return ERR_NONE;
}

static enum err check_signature_algorithm(const X509 *cert, const char *which, struct why *why)
{
	const X509_ALGOR *algorithm;
	X509_get0_signature(NULL, &algorithm, cert);
	if (signature_algorithm_is_allowed(algorithm))
		return ERR_NONE;
	return why_set(why, ERR_WEAK_KEY, "a signature with SHA-256 or better", CERT_FIX, "%s is signed with %s", which,
		signature_algorithm_name(algorithm));
}

static enum err check_key(X509 *cert, const char *which, struct why *why)
{
	struct why inner = {0};
	_cleanup_(EVP_PKEY_freep) EVP_PKEY *key = X509_get_pubkey(cert);
	enum err err = public_key_check_evp(key, &inner);
	ERR_clear_error();
	if (err == ERR_NONE)
		return ERR_NONE;
	return why_set(why, err, inner.expected, inner.fix, "%s: %s", which, inner.got);
}

/* RFC 5280 4.2: no extension more than once; a certificate with an unknown critical extension is refused. */
static enum err check_extensions(const X509 *cert, const char *which, struct why *why)
{
	int num = X509_get_ext_count(cert);
	if (num > CERT_EXTENSIONS_MAX)
		return not_svid(why, "at most 32 extensions", which, "has more");
	for (int i = 0; i < num; i++) {
		const X509_EXTENSION *extension = X509_get_ext(cert, i);
		const ASN1_OBJECT *object = X509_EXTENSION_get_object(extension);
		if (X509_get_ext_by_OBJ(cert, object, i) >= 0)
			return not_svid(why, "each extension once", which, "has one twice");
		if (X509_EXTENSION_get_critical(extension) && !X509_supported_extension(extension))
			return not_svid(why, "no critical extension that is unknown", which, "has one");
	}
	return ERR_NONE;
}

static enum err check_times(const X509 *cert, const char *which, struct why *why)
{
	int64_t from, until;
	if (!ASN1_TIME_to_posix(X509_get0_notBefore(cert), &from) ||
		!ASN1_TIME_to_posix(X509_get0_notAfter(cert), &until) || from > until)
		return why_set(why, ERR_MALFORMED, "notBefore before notAfter", CERT_FIX,
			"%s is never valid: its notAfter precedes its notBefore", which);
	return ERR_NONE;
}

static enum err check_sane(X509 *cert, const char *which, struct why *why)
{
	if (X509_get_version(cert) != X509_VERSION_3)
		return not_svid(why, "an X.509 version 3 certificate", which, "is of an older version");
	RETURN_IF_ERR(check_serial(cert, which, why));
	RETURN_IF_ERR(check_times(cert, which, why));
	RETURN_IF_ERR(check_key(cert, which, why));
	RETURN_IF_ERR(check_signature_algorithm(cert, which, why));
	RETURN_IF_ERR(check_extensions(cert, which, why));
	/* Last, because it is the least specific check. */
	if ((X509_get_extension_flags(cert) & EXFLAG_INVALID) != 0) {
		ERR_clear_error();
		return why_set(
			why, ERR_MALFORMED, "well-formed extensions", CERT_FIX, "%s has a malformed extension", which);
	}
	return ERR_NONE;
}

/* --- the last ones --- */

static struct {
	pthread_mutex_t mutex;
	struct {
		X509 *cert; /* NULL: free. It has a reference to its bytes, so their address is not used again */
		const CRYPTO_BUFFER *of;
		bool is_in_use; /* found again since the last turn */
	} places[CERT_KEPT_MAX];
	size_t next;
} kept = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static X509 *find_kept(const CRYPTO_BUFFER *buffer)
{
	X509 *found = NULL;
	CHECK(pthread_mutex_lock(&kept.mutex) == 0);
	for (size_t i = 0; i < CERT_KEPT_MAX && found == NULL; i++)
		if (kept.places[i].of == buffer && kept.places[i].cert != NULL) {
			found = kept.places[i].cert;
			kept.places[i].is_in_use = true;
			CHECK(X509_up_ref(found));
		}
	CHECK(pthread_mutex_unlock(&kept.mutex) == 0);
	return found;
}

/* In the place of one that was not found again for a whole turn: a stream of leaves does not replace authorities. */
static void keep(const CRYPTO_BUFFER *buffer, X509 *cert)
{
	CHECK(pthread_mutex_lock(&kept.mutex) == 0);
	for (; kept.places[kept.next].is_in_use; kept.next = (kept.next + 1) % CERT_KEPT_MAX)
		kept.places[kept.next].is_in_use = false;
	X509 *before = kept.places[kept.next].cert;
	CHECK(X509_up_ref(cert));
	kept.places[kept.next].cert = cert;
	kept.places[kept.next].of = buffer;
	kept.next = (kept.next + 1) % CERT_KEPT_MAX;
	CHECK(pthread_mutex_unlock(&kept.mutex) == 0);
	X509_free(before);
}

X509 *cert_parse_again(CRYPTO_BUFFER *buffer)
{
	X509 *cert = find_kept(buffer);
	if (cert == NULL)
		cert = X509_parse_from_buffer(buffer);
	CHECK(cert != NULL); /* cert_parse() parsed it */
	return cert;
}

enum err cert_parse(CRYPTO_BUFFER *buffer, const char *which, X509 **out, struct why *why)
{
	*out = find_kept(buffer);
	if (*out != NULL)
		return ERR_NONE;
	_cleanup_(X509_freep) X509 *cert = X509_parse_from_buffer(buffer); /* refuses trailing bytes */
	ERR_clear_error();
	if (cert == NULL)
		return why_set(why, ERR_MALFORMED, "an X.509 certificate", CERT_FIX, "%s does not parse (%zu bytes)",
			which, CRYPTO_BUFFER_len(buffer));
	RETURN_IF_ERR(check_sane(cert, which, why));
	keep(buffer, cert);
	*out = TAKE_PTR(cert);
	return ERR_NONE;
}

static int64_t posix_time(const ASN1_TIME *time)
{
	int64_t seconds;
	CHECK(ASN1_TIME_to_posix(time, &seconds)); /* check_times() checked it */
	return seconds;
}

int64_t cert_not_before_s(const X509 *cert)
{
	return posix_time(X509_get0_notBefore(cert));
}

int64_t cert_not_after_s(const X509 *cert)
{
	return posix_time(X509_get0_notAfter(cert));
}

static bool first_uri(const X509 *cert, char *out, size_t cap)
{
	_cleanup_(GENERAL_NAMES_freep) GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	ERR_clear_error();
	for (size_t i = 0; names != NULL && i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		if (name->type != GEN_URI)
			continue;
		const ASN1_IA5STRING *uri = name->d.uniformResourceIdentifier;
		escape_ascii(span_of(ASN1_STRING_get0_data(uri), (size_t)ASN1_STRING_length(uri)), out, cap);
		return true;
	}
	return false;
}

const char *cert_name(const X509 *cert, char *out, size_t cap)
{
	static const char before[] = "subject ";
	CHECK(cap > sizeof(before));
	if (X509_NAME_entry_count(X509_get_subject_name(cert)) == 0 && first_uri(cert, out, cap))
		return out;
	memcpy(out, before, sizeof(before));
	cert_subject(cert, out + sizeof(before) - 1, cap - sizeof(before) + 1);
	return out;
}

const char *cert_subject(const X509 *cert, char *out, size_t cap)
{
	CHECK(cap > 0);
	const X509_NAME *name = X509_get_subject_name(cert);
	int common = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
	if (common < 0)
		common = X509_NAME_entry_count(name) - 1; /* no common name: any attribute */
	_cleanup_(OPENSSL_freep) uint8_t *text = NULL;
	int len = -1;
	if (common >= 0)
		len = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, common)));
	ERR_clear_error();
	if (len <= 0)
		snprintf(out, cap, "(empty)");
	else
		snprintf(out, cap, "%.*s", len, (const char *)text);
	return out;
}
