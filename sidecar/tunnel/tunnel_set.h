/* The tunnels of one pool or one server, what they share, and what is done with all of them: counted, listed, drained.
 * Inside this folder only. */
#pragma once

#include "base/core/buf.h"
#include "base/core/list.h"
#include "sidecar/tunnel/tunnel_options.h"

struct tunnel;
struct stream;
struct h2_header;

struct tunnel_hooks { /* the callbacks of the pool or the server */
	/* TLS is done, and the peer's identity is proven; servers. An error ends the tunnel. */
	enum err (*on_identified)(struct tunnel *tunnel, struct why *why);
	void (*on_open)(struct tunnel *tunnel);
	/* Out of the set, its streams are cut, about to be freed. */
	void (*on_closed)(struct tunnel *tunnel, const struct why *why);
	void (*on_room)(struct tunnel *tunnel); /* a stream ended, or no more may be opened */
	void (*on_request)(struct tunnel *tunnel, int32_t stream_id, const struct h2_header *headers,
		size_t num_headers);                                                                   /* servers */
	void (*on_answer)(struct stream *stream, const struct h2_header *headers, size_t num_headers); /* clients */
	/* Bytes for a stream that awaits its answer, as a leg's pull. */
	enum io_result (*pull_early)(struct stream *stream, uint8_t *to, size_t cap, size_t *out_len);
	/* A stream ended before its answer. `why`: NULL when its tunnel goes on. */
	void (*on_unanswered_end)(struct stream *stream, uint32_t error, const struct why *why);
};

enum { TUNNEL_IN_LEN = 128 * 1024 };

struct tunnel_set {
	struct loop *loop;
	struct tls_context *context;
	struct tls_scratch *scratch;
	struct verify_cache *verify_cache;
	struct flow_control_memory *budget;
	const struct trusted_time *time;
	struct tunnel_limits limits; /* no zeroes */
	struct tunnel_observer observer;
	bool outbound;
	bool is_draining; /* accepted tunnels, too, are soon to send GOAWAY */
	const struct tunnel_hooks *hooks;
	void *owner;

	struct credentials *credentials; /* NULL: none */
	struct bundle_set *judged;       /* what the tunnels' peers were last judged by; NULL: none yet */
	struct list tunnels;
	unsigned num_tunnels, num_streams;
	struct shares *windows;  /* the flow-control memory limit, by the peer's identity */
	unsigned num_handshaken; /* inbound handshakes that were worked on in this round */
	struct loop_task round;  /* counts them anew */
	struct loop_timer ages;  /* identity_age.h */
	uint64_t shed_ms;        /* when streams were last inspected because of the memory limit */
	uint8_t *in;             /* plaintext under way; between two calls it holds nothing */
	struct buf out;          /* frames under way, likewise */
};

/* For its owner, the pool (outbound) or the server, which also has the storage. */
void tunnel_set_init(struct tunnel_set *set, const struct tunnel_options *options, const struct tunnel_hooks *hooks,
	void *owner, bool outbound);
void tunnel_set_done(struct tunnel_set *set); /* cuts what is left */
void tunnel_set_add(struct tunnel_set *set, struct tunnel *tunnel);
void tunnel_set_remove(struct tunnel *tunnel);
/* Those of another SVID drain; those whose peer the new trust refuses end. */
void tunnel_set_credentials(struct tunnel_set *set, struct credentials *credentials);
void tunnel_set_drain(struct tunnel_set *set);
/* Handshakes yield to what is established: false when this round has worked on enough of them. */
bool tunnel_set_may_handshake(struct tunnel_set *set);
int64_t tunnel_set_oldest_identity_s(const struct tunnel_set *set);
void tunnel_set_each(const struct tunnel_set *set, tunnel_each_fn *each, void *arg);
int64_t tunnel_set_now_s(const struct tunnel_set *set); /* trusted time */
/* The memory limit is reached: the longest-unread streams of the identity that holds most of it are reset. */
void tunnel_set_shed(struct tunnel_set *set);
/* The share of this tunnel's identity is used up: its longest-unread stream is reset. */
void tunnel_set_shed_peer(struct tunnel *tunnel);
