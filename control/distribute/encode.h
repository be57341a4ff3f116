/* From settings and resolutions to discovery.proto; the only file of the control plane that uses its generated code.
 * Pure. */
#pragma once

#include "base/core/buf.h"
#include "control/distribute/policy_source.h"
#include "control/registry/registry.h"

struct mesh_state { /* borrowed */
	const struct control_config *config;
	const struct policy_found *found; /* for the workload; NULL: none */
	const struct spiffe_id *id;       /* the workload */
	uint64_t version;
};
/* DiscoveryDown with the networks and the policy of the workload. */
enum err encode_mesh_state(const struct mesh_state *state, struct buf *out) _must_use_;
/* DiscoveryDown with one answer. */
enum err encode_answer(const struct addr *destination, const struct resolution *resolution, uint64_t version,
	struct buf *out) _must_use_;

#define SUBSCRIBE_MAX 1024 /* destinations per message */

enum discovery_kind { DISCOVERY_HELLO, DISCOVERY_SUBSCRIBE, DISCOVERY_UNSUBSCRIBE, DISCOVERY_ACK };
struct discovery_up { /* a message of a sidecar */
	enum discovery_kind kind;
	uint32_t protocol_version; /* hello */
	struct addr *destinations; /* subscribe, unsubscribe; owned */
	size_t num_destinations;
	uint64_t version;         /* ack */
	char refused_reason[256]; /* ack: "" when in use */
};
enum err discovery_up_parse(struct span bytes, struct discovery_up *out, struct why *why) _must_use_;
void discovery_up_done(struct discovery_up *up);
