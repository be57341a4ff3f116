/* The messages between issuer and signer over their socket pair: one datagram per message, both ends are the same
 * binary. Pure. The signer checks every length. */
#pragma once

#include "base/core/buf.h"

#define WIRE_MAX       32768 /* bytes per message */
#define WIRE_CERTS_MAX 4

/* JUDGE: would INTRODUCE be accepted? NOTE: the present revision of the store. */
enum wire_kind { WIRE_INTRODUCE = 1, WIRE_LEAF, WIRE_CONTROL, WIRE_JUDGE, WIRE_NOTE, WIRE_AUTHORITIES };

struct wire_request {
	uint32_t kind; /* enum wire_kind */
	uint64_t id;   /* repeated in the answer */
	uint64_t epoch;
	uint64_t incarnation, revision; /* of the store: JUDGE, INTRODUCE, NOTE */
	int64_t ttl_s;
	struct span spiffe_id, spki;
};

/* JUDGE, INTRODUCE, AUTHORITIES: bootstrap root, root, intermediate. LEAF: leaf, intermediate. CONTROL: leaf, bootstrap
 * root. NOTE: none. */
struct wire_answer {
	uint64_t id;
	uint32_t err;     /* enum err */
	struct span text; /* the reason */
	struct span certs[WIRE_CERTS_MAX];
	uint32_t num_certs;
};

enum err wire_request_encode(const struct wire_request *request, struct buf *out) _must_use_;
enum err wire_request_parse(struct span bytes, struct wire_request *out) _must_use_; /* borrows from bytes */
enum err wire_answer_encode(const struct wire_answer *answer, struct buf *out) _must_use_;
enum err wire_answer_parse(struct span bytes, struct wire_answer *out) _must_use_;
