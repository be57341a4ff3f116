/* For tests: the other end of a tunnel, played frame by frame by the test: as a client towards the world's server, or
 * as a server towards its pool. */
#pragma once

#include "base/h2/h2_session.h"
#include "sidecar/tunnel/test_world.h"

#define RAW_ID "spiffe://td.test/raw" /* of peers that the test plays as a client */

#define PEER_HEADER(name, value)                                                                                       \
	{                                                                                                              \
		SPAN_LITERAL(name), SPAN_LITERAL(value)                                                                \
	}

enum { PEER_STREAMS_MAX = 256 };

struct peer_stream {
	int32_t id;
	unsigned status; /* of the answer, client */
	char reason[48];
	struct buf received;
	bool has_ended, is_closed;
	uint32_t error;
};

struct peer {
	struct world *world;
	struct tls_session *tls;
	struct h2_session *h2;
	struct credentials *credentials;
	bool is_deaf; /* reads nothing */
	bool is_lost; /* the other end closed or cut it */
	bool has_goaway;
	struct why detail;
	struct peer_stream streams[PEER_STREAMS_MAX];
	unsigned num_streams;
	struct span body; /* of its answers, with their end; empty: an answer has none and stays open */
};

/* Connects to the world's server with these credentials, or as RAW_ID. */
struct peer *peer_connect(struct world *world, struct credentials *credentials);
struct peer *peer_connect_raw(struct world *world);
/* Takes the tunnel that the world's pool opens next, in place of the world's server; `limits`: of the peer. */
struct peer *peer_serve(struct world *world, struct credentials *credentials, const struct h2_limits *limits);
/* Begins a call and serves its tunnel as SERVER_ID; fails the cmocka test if its CONNECT does not arrive. */
struct peer *peer_serve_call(struct world *world, struct call **out_call);
void peer_free(struct peer *peer);
void peer_pump(struct peer *peer);

#define PEER_UNTIL(peer, condition)                                                                                    \
	({                                                                                                             \
		for (unsigned i_ = 0; i_ < 2000 && !(condition); i_++) {                                               \
			world_wait((peer)->world, i_);                                                                 \
			peer_pump(peer);                                                                               \
		}                                                                                                      \
		(condition);                                                                                           \
	})

struct peer_stream *peer_open(struct peer *peer, const struct h2_header *headers, size_t num_headers, bool end_stream);
struct peer_stream *peer_open_connect(struct peer *peer); /* CONNECT 10.0.0.1:80, which stays open */
void peer_answer_whole(struct peer *peer, struct peer_stream *stream, struct span body); /* 200, and the end */
void peer_answer(struct peer *peer, struct peer_stream *stream, const char *status);
