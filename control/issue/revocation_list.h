/* Makes a revocation list (CRL) by the rules that certs/crl.h demands of one (RFC 5280 5): version 2,
 * authorityKeyIdentifier, CRL number, nextUpdate, no critical extension. Pure. */
#pragma once

#include "base/core/buf.h"
#include "certs/private_key.h"

#define REVOCATION_LIST_ENTRIES_MAX 512
#define REVOCATION_LIST_MAX         (24u * 1024) /* bytes: 40 per entry, and the rest */

/* Entries as bytes: the length of the serial (one byte, 1 to 20), the serial (big-endian), the time of the revocation
 * in seconds since 1970 (8 bytes of this machine). ERR_MALFORMED: no serial of that length. */
enum err revocation_list_put_entry(struct buf *entries, struct span serial, int64_t since_s) _must_use_;

struct revocation_list_spec {
	struct span issuer; /* DER; its keyUsage allows lists */
	const struct private_key *issuer_key;
	int64_t this_update_s, next_update_s;
	uint64_t number;
	struct span entries; /* empty: a list that names nothing */
};
/* Appends DER. ERR_UNSUPPORTED: the issuer's keyUsage has no cRLSign; ERR_LIMIT: too many entries; ERR_MALFORMED. */
enum err revocation_list_make(const struct revocation_list_spec *spec, struct buf *out_der, struct why *why) _must_use_;
