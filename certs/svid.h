/* X509-SVID: a chain, leaf first, whose leaf carries a SPIFFE ID (X509-SVID 2 and 4). Immutable and refcounted.
 * Parsing checks the leaf (X509-SVID 5.2 and stricter) but does not validate the chain: see verify.h. */
#pragma once

#include "base/core/buf.h"
#include "certs/spiffe_id.h"

#define SVID_CHAIN_MAX 4 /* certificates, leaf included: bounds the cost of a chain */

struct svid;

/* chain: DER, leaf first, 1..SVID_CHAIN_MAX certificates. */
enum err svid_parse(const struct span *chain, size_t num_chain, struct svid **out, struct why *why) _must_use_;
struct svid *svid_ref(struct svid *svid);
void svid_unref(struct svid *svid);
DEFINE_CLEANUP(struct svid *, svid_unref)

const struct spiffe_id *svid_id(const struct svid *svid);
int64_t svid_not_before_s(const struct svid *svid); /* the leaf's */
int64_t svid_not_after_s(const struct svid *svid);  /* the earliest of the chain */
struct span svid_serial(const struct svid *svid);   /* big-endian magnitude, borrowed */
size_t svid_num_chain(const struct svid *svid);
struct span svid_cert(const struct svid *svid, size_t i); /* DER, borrowed */
const uint8_t *svid_chain_hash(const struct svid *svid);  /* SHA-256 over the chain's DER, 32 bytes */
bool svid_eq(const struct svid *a, const struct svid *b); /* the same chain, and so the same key */
enum err svid_public_key(const struct svid *svid, struct buf *out_spki_der) _must_use_;
struct crypto_buffer_st *svid_get0_buffer(
	const struct svid *svid, size_t i); /* for base/tls: from the process's pool */
/* The same hash as svid_chain_hash(). */
void svid_digest_chain(const struct span *chain, size_t num_chain, uint8_t out[32]);
/* The name of certificate i in messages: "the leaf", "certificate 2 of the chain". Static. */
const char *svid_place(size_t i);
