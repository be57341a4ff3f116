/* Makes one certificate with the profile of its kind (RFC 5280, X509-SVID 4). Does not decide which identity may have
 * one. */
#pragma once

#include "base/core/buf.h"
#include "certs/private_key.h"

#define CERTIFICATE_MAX 4096 /* bytes, DER */

enum certificate_kind {
	CERTIFICATE_ROOT,         /* CA, may have one CA below it */
	CERTIFICATE_BOOTSTRAP,    /* CA, signs leaves only */
	CERTIFICATE_INTERMEDIATE, /* CA, signs leaves only */
	CERTIFICATE_LEAF,         /* an X509-SVID: empty subject, one URI */
	CERTIFICATE_WEB,          /* a web server's: empty subject, one DNS name; no SVID */
};

struct certificate_spec {
	enum certificate_kind kind;
	const char *name; /* CAs: the subject's common name, at most 64 bytes */
	struct span uri;  /* the one URI SAN */
	struct span dns;  /* CERTIFICATE_WEB: the one DNS name */
	struct span spki; /* DER */
	int64_t not_before_s, not_after_s;
	struct span issuer; /* DER; empty: self-signed */
	const struct private_key *issuer_key;
};

enum err certificate_make(const struct certificate_spec *spec, struct buf *out_der, struct why *why) _must_use_;
enum err certificate_validity(struct span der, int64_t *out_not_before_s, int64_t *out_not_after_s) _must_use_;
#define CERTIFICATE_SERIAL_MAX 20 /* bytes */
enum err certificate_serial(
	struct span der, uint8_t out[CERTIFICATE_SERIAL_MAX], size_t *out_len) _must_use_; /* big-endian */
/* ERR_KEY_MISMATCH: the certificate's public key is not this key's. */
enum err certificate_matches(struct span der, const struct private_key *key) _must_use_;
/* Whether the issuer's key has signed it. */
enum err certificate_is_signed_by(struct span der, struct span issuer) _must_use_;
