/* Parsing of one certificate, with the checks common to leaves, intermediates and roots. Private to certs. An X509
 * lives for one call only, except the roots of a bundle, and the last CERT_KEPT_MAX of the process: a chain is read
 * twice (rules, path), and most chains have the authorities of the one before. Only what depends on the bytes alone is
 * kept, never a verdict. */
#pragma once

#include "base/core/err.h"
#include "base/core/span.h"

#define CERT_MAX            16384 /* bytes of one certificate: stops a megabyte of SANs */
#define CERT_EXTENSIONS_MAX 32    /* checked pairwise for duplicates */

#define CERT_KEPT_MAX 8

struct x509_st;
struct crypto_buffer_st;
struct crypto_buffer_pool_st;

/* The process's pool of certificate bytes, created at first use, never freed, thread-safe: equal certificates are
 * stored once for all sessions. */
struct crypto_buffer_pool_st *cert_pool(void);

/* Adds DER to the pool. ERR_MALFORMED when it is empty, larger than CERT_MAX or not DER. `which` names it in *why. */
enum err cert_buffer_new(struct span der, const char *which, struct crypto_buffer_st **out, struct why *why) _must_use_;

/* Parses and checks: v3, positive serial of at most 20 bytes, an allowed key (ERR_WEAK_KEY), a signature of
 * those of signature_algorithm_is_allowed() (ERR_WEAK_KEY), no duplicate extension, no unknown critical extension
 * (ERR_NOT_SVID), notBefore before notAfter. */
enum err cert_parse(
	struct crypto_buffer_st *buffer, const char *which, struct x509_st **out, struct why *why) _must_use_;

/* Of bytes that cert_parse() has accepted: not checked again. Freed by the caller; shared, so not to be changed. */
struct x509_st *cert_parse_again(struct crypto_buffer_st *buffer);

/* Seconds since 1970; a certificate from cert_parse() always has both. */
int64_t cert_not_before_s(const struct x509_st *cert);
int64_t cert_not_after_s(const struct x509_st *cert);
struct span cert_serial(const struct x509_st *cert); /* borrowed; big-endian */

/* The subject as text, cut to `cap`, "(empty)" when there is none. For messages. Returns out. */
const char *cert_subject(const struct x509_st *cert, char *out, size_t cap);
/* What a message calls it: an SVID has no subject, but its SPIFFE ID. "subject NAME", else the first URI SAN, cut to
 * `cap`. Returns out. */
const char *cert_name(const struct x509_st *cert, char *out, size_t cap);
