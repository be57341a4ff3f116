/* How often somebody may attest (W11, W23, L5): per address, per IPv6 /64 with a larger allowance, and per attestation
 * key for a key that has attested before. So a stranger slows neither the sidecars of other addresses nor, in its own
 * network, those that are known. Pure. */
#pragma once

#include "base/core/addr.h"
#include "certs/digest.h"
#include <stdbool.h>
#include <stdint.h>

#define ENROLL_NETWORK_ALLOWANCE 16 /* a /64's rate, in those of one address */

struct enroll_limit;

enum enroll_answer {
	ENROLL_YES,
	ENROLL_IF_KNOWN, /* read what it says: only an attestation key that is known may go on, by its own rate */
	ENROLL_NO,       /* not even that */
};

struct enroll_limit *enroll_limit_new(uint32_t per_second, uint64_t seed);
void enroll_limit_free(struct enroll_limit *limit);
enum enroll_answer enroll_limit_take(struct enroll_limit *limit, const struct ip_addr *source, uint64_t now_ms);
/* After ENROLL_IF_KNOWN; the caller knows that the key has attested before. */
bool enroll_limit_take_key(struct enroll_limit *limit, const uint8_t key_hash[DIGEST_LEN], uint64_t now_ms);
