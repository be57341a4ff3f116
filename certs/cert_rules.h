/* The X509-SVID rules for leaves and signing certificates (X509-SVID 3, 4, 5.2, and stricter: see certs/README.md).
 * BoringSSL checks none of them. Private to certs. */
#pragma once

#include "certs/spiffe_id.h"

/* Maximum of names and of name constraints per certificate: BoringSSL compares each with each. */
#define CERT_NAMES_MAX       64
#define CERT_CONSTRAINTS_MAX 64

struct x509_st;

/* Exactly one URI SAN, which is a SPIFFE ID with a path; SAN critical if the subject is empty; cA false; critical
 * keyUsage with digitalSignature and without keyCertSign, cRLSign; extendedKeyUsage, if any, with both TLS purposes.
 * Else ERR_NOT_SVID. The caller releases *out_id. */
enum err cert_check_leaf(struct x509_st *cert, struct spiffe_id *out_id, struct why *why) _must_use_;

/* cA true, keyCertSign (a root may omit keyUsage), a subject, no name constraint of an unchecked kind; its SPIFFE ID,
 * if any, is the bare trust domain `domain`. Else ERR_NOT_SVID. */
enum err cert_check_issuer(
	struct x509_st *cert, bool is_root, struct span domain, const char *which, struct why *why) _must_use_;
