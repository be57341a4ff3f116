/* One certificate, parsed and sane by itself: what must hold for a leaf, an intermediate and a root alike. Inside certs
 * only; nobody keeps an X509 beyond one call but the bundle, for its roots. */
#pragma once

#include "base/core/err.h"
#include "base/core/span.h"

#define CERT_MAX            16384 /* bytes of one certificate: stops a megabyte of SANs */
#define CERT_EXTENSIONS_MAX 32    /* checked pairwise for duplicates */

struct x509_st;
struct crypto_buffer_st;
struct crypto_buffer_pool_st;

/* The process's one pool of certificates' bytes, made at first use, never freed, safe from any thread: equal
 * certificates are held once, however many sessions show them. */
struct crypto_buffer_pool_st *cert_pool(void);

/* DER into the pool. ERR_MALFORMED when it is empty, larger than CERT_MAX or not DER. `which` names it in *why. */
enum err cert_buffer_new(struct span der, const char *which, struct crypto_buffer_st **out, struct why *why) _must_use_;

/* Parses and checks: v3, positive serial of at most 20 bytes, an allowed key (ERR_WEAK_KEY), a SHA-2 or Ed25519
 * signature (ERR_WEAK_KEY), no extension twice, no critical one that is not understood (ERR_NOT_SVID), sound times. */
enum err cert_parse(
	struct crypto_buffer_st *buffer, const char *which, struct x509_st **out, struct why *why) _must_use_;

/* Seconds since 1970; a certificate from cert_parse() always has both. */
int64_t cert_not_before_s(const struct x509_st *cert);
int64_t cert_not_after_s(const struct x509_st *cert);

/* The subject as text, cut to `cap`, "(empty)" when there is none. For messages. Returns out. */
const char *cert_subject(const struct x509_st *cert, char *out, size_t cap);
