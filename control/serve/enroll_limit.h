/* Rates of attestation (W11, W23, finding L5): per address, per IPv6 /64 with a larger allowance, and per attestation
 * key for a key that has attested before. A stranger slows neither the sidecars of other addresses nor the known
 * sidecars of its own network. Pure. */
#pragma once

#include "base/core/addr.h"
#include "certs/digest.h"
#include <stdbool.h>
#include <stdint.h>

#define ENROLL_NETWORK_ALLOWANCE 16 /* the rate of a /64, as a multiple of the rate of one address */

struct enroll_limit;

enum enroll_answer {
	ENROLL_YES,
	ENROLL_IF_KNOWN, /* parse the request: only a known attestation key may go on, by its own rate */
	ENROLL_NO,       /* refuse without parsing */
};

struct enroll_limit *enroll_limit_new(uint32_t per_second, uint64_t seed);
void enroll_limit_free(struct enroll_limit *limit);
enum enroll_answer enroll_limit_take(struct enroll_limit *limit, const struct ip_addr *source, uint64_t now_ms);
/* After ENROLL_IF_KNOWN, for a key that has attested before. */
bool enroll_limit_take_key(struct enroll_limit *limit, const uint8_t key_hash[DIGEST_LEN], uint64_t now_ms);
