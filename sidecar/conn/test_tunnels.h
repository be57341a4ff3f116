/* For tests: a tunnel pool and inbound streams that the test controls. Their legs are plain sockets; the test has the
 * far ends. */
#pragma once

#include "sidecar/tunnel/pool/tunnel_pool.h"
#include "sidecar/tunnel/tunnel_server.h"

struct stream_attempt {
	struct tunnel_pool *pool;
	struct stream_request request;
	struct spiffe_id expected; /* a copy, as the real one makes */
};

struct tunnel_pool { /* zeroed: fresh */
	struct loop *loop;
	unsigned num_opened, num_canceled, num_tunnels;
	bool opens_tunnels;             /* one for each stream, else none */
	struct stream_attempt *attempt; /* the pending one */
	struct svid *peer;              /* borrowed: the peer of its legs */
	uint64_t answer_ms;             /* how long an answer takes that the test gives */
	struct addr suspect;            /* an endpoint whose tunnels are silent; family 0: none */
};
/* The other sidecar accepts; *out_far is the other end of the stream. */
void test_pool_accept(struct tunnel_pool *pool, int *out_far);
void test_pool_refuse(struct tunnel_pool *pool, unsigned status, const char *reason);
void test_pool_fail(struct tunnel_pool *pool, enum stream_verdict verdict, enum err err, bool by_peer);

struct inbound_stream { /* the test's storage */
	struct loop *loop;
	struct addr authority, local, remote, forwarded; /* family 0: absent */
	struct svid *peer;                               /* borrowed */
	void *arg;
	unsigned num_answers, status; /* 200: accepted */
	char reason[48];
	int far; /* the other end, once accepted; -1 */
};
