/* One tunnel: a TCP connection, TLS 1.3, HTTP/2, and the streams on it; either end. Inside this folder only: the
 * outside sees tunnel_pool.h and tunnel_server.h.
 *
 * Batches: a round of the loop reads what is ready (tunnel_io.c), and a task at its end pulls, encrypts and writes what
 * came of it (flush) once. A tunnel is freed only by a task of its own, so every callback may end it. */
#pragma once

#include "base/h2/h2_session.h"
#include "sidecar/tunnel/pace.h"
#include "sidecar/tunnel/tunnel_set.h"

enum tunnel_state {
	TUNNEL_CONNECTING,        /* TCP */
	TUNNEL_HANDSHAKING,       /* TLS */
	TUNNEL_AWAITING_SETTINGS, /* the peer's SETTINGS have not arrived: it may still refuse us */
	TUNNEL_OPEN,
	TUNNEL_CLOSING, /* GOAWAY and close_notify are sent; waits for the peer's, so that nothing on its way is lost */
	TUNNEL_CLOSED,
};

/* Inbound streams that the peer gives up before the verdict, for instance because the app does not answer in time. At
 * the limit of HTTP/2 (rapid reset) a tunnel falls with all that is on it; callers that give up in good faith must not
 * take the streams of others with them, so a tunnel takes no new ones long before. */
enum { TUNNEL_ABANDONED_MAX = 500 };

enum { TUNNEL_SILENT_MS = 2000 }; /* with something asked: a suspect */

struct tunnel {
	struct list_link link; /* in its set */
	struct tunnel_set *set;
	enum tunnel_state state;
	bool is_draining;      /* takes no new stream */
	bool drains_once_open; /* inbound: was to drain before it was open; soon after, it does */
	bool was_open;
	bool was_failed_by_peer;
	bool is_withdrawn;         /* its peer's identity is not trusted any more */
	bool is_too_old;           /* max_identity_age */
	bool is_handshake_failure; /* it ended between TCP and SETTINGS */
	bool awaits_ping;
	bool is_greeted; /* inbound: a byte of the ClientHello has come */

	enum err connect_err; /* of a connect() that failed at once */
	struct loop_io io;
	int connecting_fd; /* before TLS owns it; else -1 */
	struct loop_task flush, free_deferred;
	struct loop_timer timer;
	struct tls_session *tls;
	struct h2_session *h2;
	struct credentials *credentials; /* with the SVID that it was opened with */
	uint64_t verified_generation;    /* of the trust that both chains were last verified under */
	struct addr local, remote;
	struct share handshake, of_source, of_identity; /* inbound: its shares of the limits */
	struct share of_windows;                        /* what its streams have of the flow-control memory limit */
	struct spiffe_id expected;                      /* outbound */

	struct list streams;
	unsigned num_streams;
	unsigned num_abandoned;       /* inbound: given up by the peer before the verdict */
	struct stream *answered_last; /* refused ones, to be closed when their answer has left */

	uint64_t handshake_time_ms;             /* TCP stood, and TLS began */
	uint64_t heard_ms, ping_ms, emptied_ms; /* last byte in, PING out, stream ended */
	uint64_t asked_ms;                      /* first byte out since heard_ms; before it: nothing is out */
	uint64_t old_since_ms;                  /* older than max_identity_age, as was reported; 0: not */
	uint64_t drained_ms;                    /* is_draining: since when */
	uint64_t drain_at_ms;                   /* 0: no such time */
	int64_t leave_at_s;                     /* trusted time: GOAWAY, before the identity of either end expires */
	uint64_t busy_until_ms;                 /* one of its streams takes much of it */
	uint64_t rtt_at_ms;
	uint32_t rtt_ms;
	struct pace pace;
	bool waits_to_write; /* the last flush left something */

	struct upstream *upstream; /* the pool's */
	struct list_link sibling;  /* in that one */
};

struct tunnel *tunnel_connect(struct tunnel_set *set, const struct addr *to, const struct spiffe_id *expected);
/* An accepted connection: made, then begun, which adopts fd, or discarded. */
struct tunnel *tunnel_new_inbound(struct tunnel_set *set, const struct addr *from);
void tunnel_begin(struct tunnel *tunnel, int fd);
void tunnel_discard(struct tunnel *tunnel);

/* No new stream; GOAWAY; it closes with its last one. */
void tunnel_drain(struct tunnel *tunnel);
/* It ends now: every stream as a reset. */
void tunnel_lost(struct tunnel *tunnel, const struct why *why);
/* Ends it where what proved its peer was taken back: its root, its certificate by a list, itself by a ban.
 * has_new_anchors: not only bans may have changed. */
void tunnel_judge(struct tunnel *tunnel, bool has_new_anchors);
/* Credentials with the SVID that it was opened with replace those, so that none hold a former trust in memory. false:
 * they have another SVID, or are NULL. */
bool tunnel_follow(struct tunnel *tunnel, struct credentials *credentials);
void tunnel_want_flush(struct tunnel *tunnel);
/* The host whose log `why` may send the reader to: our peer's address and identity. */
void tunnel_name_peer(const struct tunnel *tunnel, struct why *why);
/* Of the share that the peer's identity has of the flow-control memory limit. */
bool tunnel_windows_take(struct tunnel *tunnel, uint32_t bytes);
void tunnel_windows_give(struct tunnel *tunnel, uint32_t bytes);
const struct svid *tunnel_peer(const struct tunnel *tunnel); /* NULL before the handshake */
bool tunnel_is_busy(const struct tunnel *tunnel);
uint32_t tunnel_rtt_ms(struct tunnel *tunnel);     /* the shortest of late, by the kernel, asked now and then */
bool tunnel_may_open(const struct tunnel *tunnel); /* a stream, now */
/* Nothing has been heard for 2 s although the peer's kernel owes us acknowledgments: it may be gone. */
bool tunnel_is_suspect(const struct tunnel *tunnel);
/* The process ends: the peer reads GOAWAY and close_notify, if its socket takes them; then it is lost. */
void tunnel_end(struct tunnel *tunnel, const struct why *why);

/* --- between the files of a tunnel --- */
void tunnel_start(struct tunnel *tunnel, unsigned interest); /* tunnel_io.c: the descriptor of its TLS session */
enum err tunnel_start_tls(struct tunnel *tunnel, int fd, struct why *why) _must_use_; /* tunnel_tls.c; adopts fd */
void tunnel_handshake(struct tunnel *tunnel);
enum err tunnel_start_h2(struct tunnel *tunnel) _must_use_; /* tunnel_h2.c */
void tunnel_rearm(struct tunnel *tunnel);
void tunnel_receive(struct tunnel *tunnel);
