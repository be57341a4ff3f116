/* From settings and resolutions to discovery.proto. Pure. */
#pragma once

#include "base/core/buf.h"
#include "control/distribute/encode_policy.h"
#include "control/registry/registry.h"

/* DiscoveryDown with the networks and the policy of the workload. */
enum err encode_mesh_state(const struct mesh_state *state, struct buf *out) _must_use_;
/* DiscoveryDown with one answer. */
#define ANSWER_DIGEST_LEN 16
struct answer_mark {
	uint64_t version;
	const uint8_t *digest; /* ANSWER_DIGEST_LEN; NULL: none */
};
enum err encode_answer(const struct addr *destination, const struct resolution *resolution, struct answer_mark mark,
	struct buf *out) _must_use_;
/* What that has before each answer, for a message with several: DiscoveryDown with answers of `len` bytes in all. */
#define ANSWERS_PREFIX_MAX 11
size_t encode_answers_prefix(size_t len, uint8_t out[ANSWERS_PREFIX_MAX]);

#define SUBSCRIBE_MAX 1024 /* destinations per message */

enum discovery_kind { DISCOVERY_HELLO, DISCOVERY_SUBSCRIBE, DISCOVERY_UNSUBSCRIBE, DISCOVERY_ACK };
struct discovery_up { /* a message of a sidecar */
	enum discovery_kind kind;
	uint32_t protocol_version; /* hello */
	char **services;           /* hello: names; owned, and each of them */
	size_t num_services;
	struct addr *destinations; /* subscribe, unsubscribe; owned */
	size_t num_destinations;
	uint8_t *known; /* subscribe: ANSWER_DIGEST_LEN bytes per destination, zeros: none; owned, NULL: none at all */
	uint64_t version;         /* ack */
	char refused_reason[256]; /* ack: "" when in use */
};
enum err discovery_up_parse(struct span bytes, struct discovery_up *out, struct why *why) _must_use_;
void discovery_up_done(struct discovery_up *up);
