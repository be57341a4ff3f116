/* The messages between issuer and signer over their socket pair: one datagram per message, both ends are the same
 * binary. Pure. The signer checks every length. */
#pragma once

#include "base/core/buf.h"

#define WIRE_MAX       32768 /* bytes per message */
#define WIRE_CERTS_MAX 4

/* JUDGE: would INTRODUCE be accepted? NOTE: the present revision of the store. PREPARE_ROOT to RENEW_INTERMEDIATE
 * replace authorities, JWT_KEYS and JWT_SIGN are for JWT-SVIDs, REQUEST_INTERMEDIATE to IMPORT_FILES for an authority
 * of the operator's, FEDERATION for the bundle endpoint, LIST for revocation lists: see authority.h. */
enum wire_kind {
	WIRE_INTRODUCE = 1,
	WIRE_LEAF,
	WIRE_CONTROL,
	WIRE_JUDGE,
	WIRE_NOTE,
	WIRE_AUTHORITIES,
	WIRE_PREPARE_ROOT,
	WIRE_ADOPT_ROOT,
	WIRE_ACTIVATE_ROOT,
	WIRE_FORGET_ROOT,
	WIRE_RENEW_INTERMEDIATE,
	WIRE_JWT_KEYS,
	WIRE_JWT_SIGN,
	WIRE_REQUEST_INTERMEDIATE,
	WIRE_IMPORT,
	WIRE_IMPORT_FILES,
	WIRE_PREPARE_BOOTSTRAP,
	WIRE_USE_BOOTSTRAP,
	WIRE_FEDERATION,
	WIRE_LIST
};

struct wire_request {
	uint32_t kind; /* enum wire_kind */
	uint64_t id;   /* repeated in the answer */
	uint64_t epoch;
	uint64_t incarnation, revision; /* of the store: JUDGE, INTRODUCE, NOTE */
	int64_t ttl_s;
	uint64_t above; /* LIST: the number of the last one */
	struct span spiffe_id, spki;
	struct span certificate,
		sealed; /* ADOPT_ROOT, USE_BOOTSTRAP; IMPORT: PEM, as `certificate`; LIST: entries, as `sealed` */
	struct span cross, former; /* USE_BOOTSTRAP */
	struct span sha256;   /* ACTIVATE_ROOT, FORGET_ROOT; IMPORT, IMPORT_FILES: the root that it must be; LIST: the
				 authority */
	struct span audience; /* JWT_SIGN: issuer_sign_jwt() */
};

/* JUDGE, INTRODUCE, AUTHORITIES, ACTIVATE_ROOT, RENEW_INTERMEDIATE: bootstrap root, root, intermediate (empty: none
 * yet). LEAF, FEDERATION: leaf, intermediate, the authorities between it and the root. CONTROL: leaf, bootstrap root;
 * or leaf, cross-signed successor, successor, former bootstrap root. PREPARE_BOOTSTRAP: the successor, the cross-signed
 * one, and its sealed key. PREPARE_ROOT: the next root, and its sealed key. JWT_KEYS: two public keys. JWT_SIGN: the
 * token, as `sealed`. REQUEST_INTERMEDIATE: the request, as `sealed`. LIST: the list, as `sealed`. IMPORT,
 * IMPORT_FILES: root, intermediate. Others: none. */
struct wire_answer {
	uint64_t id;
	uint32_t err;     /* enum err */
	struct span text; /* the reason */
	struct span certs[WIRE_CERTS_MAX];
	uint32_t num_certs;
	struct span sealed;
};

enum err wire_request_encode(const struct wire_request *request, struct buf *out) _must_use_;
enum err wire_request_parse(struct span bytes, struct wire_request *out) _must_use_; /* borrows from bytes */
enum err wire_answer_encode(const struct wire_answer *answer, struct buf *out) _must_use_;
enum err wire_answer_parse(struct span bytes, struct wire_answer *out) _must_use_;
