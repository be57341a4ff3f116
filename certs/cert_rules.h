/* The X509-SVID rules for one certificate: what a leaf must be, what a signing certificate must be (X509-SVID 3, 4,
 * 5.2, and stricter: see README.md). The library checks none of them. Inside certs only. */
#pragma once

#include "certs/spiffe_id.h"

/* Names in one certificate, and constraints in one: the library compares every one with every other. */
#define CERT_NAMES_MAX       64
#define CERT_CONSTRAINTS_MAX 64

struct x509_st;

/* Exactly one URI SAN, which is a SPIFFE ID with a path; SAN critical if the subject is empty; cA false; critical
 * keyUsage with digitalSignature and without keyCertSign, cRLSign; extendedKeyUsage, if any, with both TLS purposes.
 * Else ERR_NOT_SVID. *out_id is the caller's to release. */
enum err cert_check_leaf(struct x509_st *cert, struct spiffe_id *out_id, struct why *why) _must_use_;

/* cA true, keyCertSign (a root may leave keyUsage out), a subject, no name constraint of a kind that nobody checks;
 * its SPIFFE ID, if it has one, is the bare trust domain `domain`. Else ERR_NOT_SVID. */
enum err cert_check_issuer(
	struct x509_st *cert, bool is_root, struct span domain, const char *which, struct why *why) _must_use_;
