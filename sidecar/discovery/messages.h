/* Converts between discovery.proto and this program's structs, and checks every field; only messages_*.[ch] use its
 * generated code. Pure. */
#pragma once

#include "base/core/buf.h"
#include "policy/policy.h"
#include "sidecar/route/endpoint.h"

#define ANSWERS_MAX 1024 /* per message */

enum discovery_down_kind { DISCOVERY_DOWN_MESH, DISCOVERY_DOWN_ANSWERS };
struct discovery_down {
	enum discovery_down_kind kind;
	uint64_t version;               /* of the mesh's state, or of the last answer */
	struct mesh_networks *networks; /* mesh: references */
	struct policy *policy;
	struct answer *answers[ANSWERS_MAX]; /* answers: references */
	size_t num_answers;
};
/* ERR_MALFORMED, ERR_TOO_LARGE with *why; *out is then empty. */
enum err discovery_down_parse(struct span bytes, const struct trust_domain *own_domain, struct discovery_down *out,
	struct why *why) _must_use_;
void discovery_down_done(struct discovery_down *down);

/* An answer as a message of its own, as discovery_down_parse() reads it: to be kept. */
enum err discovery_answer_encode(const struct answer *answer, struct buf *out) _must_use_;

#define NAMED_SERVICES_MAX 64 /* per stream */
/* services: names, borrowed; the mesh's state then has their addresses. */
enum err discovery_hello_encode(
	const char *release, const char *const *services, size_t num_services, struct buf *out) _must_use_;
#define SUBSCRIBE_BATCH 512 /* destinations per message, at most */
/* known: the answer that is in use for each destination, borrowed, NULL: none; NULL for all: none at all. */
enum err discovery_subscribe_encode(
	const struct addr *destinations, const struct answer *const *known, size_t num, struct buf *out) _must_use_;
enum err discovery_unsubscribe_encode(const struct addr *destination, struct buf *out) _must_use_;
enum err discovery_ack_encode(
	uint64_t version, const char *refused_reason, struct buf *out) _must_use_; /* NULL: an ack; else a nack */
