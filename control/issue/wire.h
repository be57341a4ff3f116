/* What issuer and signer say to each other over their socket pair: one datagram a message, both ends the same binary.
 * Pure. The signer trusts no length in it. */
#pragma once

#include "base/core/buf.h"

#define WIRE_MAX       32768 /* bytes a message */
#define WIRE_CERTS_MAX 4

/* JUDGE: would INTRODUCE be taken? NOTE: the store has come this far. */
enum wire_kind { WIRE_INTRODUCE = 1, WIRE_LEAF, WIRE_CONTROL, WIRE_JUDGE, WIRE_NOTE, WIRE_LOOK };

struct wire_request {
	uint32_t kind; /* enum wire_kind */
	uint64_t id;   /* the answer carries it */
	uint64_t epoch;
	uint64_t incarnation, revision; /* of the store: JUDGE, INTRODUCE, NOTE */
	int64_t ttl_s;
	struct span spiffe_id, spki;
};

/* JUDGE, INTRODUCE, LOOK: bootstrap root, root, intermediate. LEAF: leaf, intermediate. CONTROL: leaf, bootstrap root.
 * NOTE: none. */
struct wire_answer {
	uint64_t id;
	uint32_t err;     /* enum err */
	struct span text; /* why */
	struct span certs[WIRE_CERTS_MAX];
	uint32_t num_certs;
};

enum err wire_request_encode(const struct wire_request *request, struct buf *out) _must_use_;
enum err wire_request_parse(struct span bytes, struct wire_request *out) _must_use_; /* borrows from bytes */
enum err wire_answer_encode(const struct wire_answer *answer, struct buf *out) _must_use_;
enum err wire_answer_parse(struct span bytes, struct wire_answer *out) _must_use_;
