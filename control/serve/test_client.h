/* For tests: the client of test_serve.h, as a sidecar uses the streams port. */
#pragma once

#include "base/pb/unpack.h"
#include "certs/bundle.h"
#include "control/serve/test_serve.h"
#include "proto/handfast/v1/identity.pb-c.h"

/* In place of the connection before it, with the SVID if there is one; returns when it is established or closed. */
void world_connect(struct world *world);
void world_disconnect(struct world *world);

/* An answer is counted in num_messages, and the last one is kept; the end sets is_over and status. world_renew() keeps
 * the answer to the renewal, whatever else is sent meanwhile. */
struct rpc_call *world_call(struct world *world, const char *path, struct span message);
struct rpc_call *world_open_stream(struct world *world); /* of the Identity service, with a hello */
void world_wait_for_messages(struct world *world, unsigned num);
const Handfast__V1__IdentityDown *world_read_answer(struct world *world, struct pb_arena **out_arena);

/* Proves the attestation key on this connection, or on another one, over the hash of a text. */
void world_prove(
	struct world *world, bool on_this_connection, struct span context_text, struct buf *key, struct buf *proof);
/* The same for a CSR of the leaf key. */
void world_encode_proof(
	struct world *world, bool on_this_connection, struct buf *key, struct buf *csr, struct buf *proof);
void world_attest(struct world *world, bool on_this_connection); /* with the token; the result is in status */
void world_keep_svid(struct world *world);                       /* of the answer, for the next connection */
void world_enroll(struct world *world);                          /* connects, attests, and keeps the SVID */
void world_replace_key(struct private_key **key);
/* On a stream that is open, with the leaf key: whether there is a certificate in the answer. */
bool world_renew(struct world *world, struct rpc_call *stream);
void world_acknowledge(struct rpc_call *stream, struct epoch epoch); /* the trust state */
