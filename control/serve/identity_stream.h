/* One identity stream, for identity_service.c (messages, renewals, trust) and claims.c (addresses). */
#pragma once

#include "base/core/list.h"
#include "control/serve/messages.h"
#include "control/serve/serve_private.h"

struct identity_stream {
	struct list_link link;
	struct serve *serve;
	struct rpc_call *call; /* NULL: closed */
	struct sidecar *sidecar;
	bool has_hello, proves_claims, takes_lists;
	/* claims.c */
	bool holds_address, is_draining;
	uint32_t zone;                     /* of the sidecar; 0: none */
	struct registry_attempt *claiming; /* under way; NULL: none */
	bool was_refused;                  /* its last claim: tried again when the address becomes free */
	bool must_review;
	bool must_release;            /* once the claim under way is stored */
	uint8_t key_hash[DIGEST_LEN]; /* of the attestation key that proved the last claim */
	uint64_t since_ms;
	bool is_copied;
	struct epoch acked;
	char release[65];
	struct sidecar_health health;
	struct list renewals; /* under way */
	struct buf report;    /* the last message with one, as it came; empty: none, or it gave way */
	struct share report_share;
	size_t num_seen, num_ports; /* rows in it */
	bool is_report_left_out;
	uint64_t report_ms; /* when the last one came; 0: none has */
};
/* err: of encoding the message. A stream that cannot take it is ended. */
void identity_stream_send(struct identity_stream *stream, enum err err, const struct buf *message);

/* identity_trust.c. Once it has its hello. */
void identity_stream_send_trust(struct identity_stream *stream);

void identity_stream_end(
	struct identity_stream *stream, enum rpc_status status, const char *message, uint32_t retry_ms);

/* send_away.c. True: this stream has ended. */
bool send_away_stream(struct identity_stream *stream);

/* claims.c. An error ends the stream: more changes than a sidecar needs. */
enum err claims_claim(struct identity_stream *stream, const struct identity_up *up, struct why *why) _must_use_;
enum err claims_release(struct identity_stream *stream, struct why *why) _must_use_;
/* What hello reports; in force from when this stream holds its address. */
enum err claims_set_hello(struct identity_stream *stream, uint32_t zone, bool is_draining, struct why *why) _must_use_;
void claims_stream_gone(struct identity_stream *stream);
