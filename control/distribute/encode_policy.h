/* The policy of one workload, as its sidecar gets it: what the settings and other sources have for it, merged, in
 * discovery.proto's form. Pure. Also for `handfast policy check --file`, which decides by what would be sent. */
#pragma once

#include "base/core/buf.h"
#include "control/distribute/policy_source.h"

#define NAMED_SERVICES_MAX 64
struct named_service { /* borrowed */
	const char *name;
	struct ip_addr ip;
};

struct mesh_state { /* borrowed */
	const struct control_config *config;
	const struct policy_found *found; /* for the workload; NULL: none */
	const struct spiffe_id *id;       /* the workload */
	uint64_t version;
	const struct named_service *services; /* that its sidecar asked for by name */
	size_t num_services;                  /* at most NAMED_SERVICES_MAX */
	uint32_t zone;                        /* of the sidecar's host; 0: not known */
};
/* discovery.proto's Policy; ERR_LIMIT: more than `out` may hold. */
enum err encode_policy(const struct mesh_state *state, struct buf *out) _must_use_;
/* Whether the section is for the workload. */
bool encode_policy_names(const struct config_workload *workload, const struct spiffe_id *id);
