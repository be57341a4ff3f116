/* The parts of identity_client: identity_client.c decides what to do next, enroll.c attests, identity_stream.c speaks
 * on the stream, identity_snapshot.c makes and publishes credentials. For this folder alone. */
#pragma once

#include "sidecar/identity/certificate_request.h"
#include "sidecar/identity/claim_retry.h"
#include "sidecar/identity/control_link.h"
#include "sidecar/identity/identity_client.h"
#include "sidecar/identity/redial.h"
#include "sidecar/identity/renew.h"
#include <time.h>

struct identity_failure {
	enum redial_cause cause;
	uint32_t retry_after_ms;
	struct why why;
};

struct identity_client {
	struct identity_options options;
	struct control_link *link;
	struct bootstrap_pins pins;
	struct trusted_time time;
	struct renew renew;
	struct redial redial;
	struct timespec token_changed; /* the token file, when it was looked at last */
	struct loop_timer dial_timer, tick;

	/* What is in use. Kept when it has expired: its bundles and identity still tell what may follow. */
	struct credentials *credentials;
	struct bundle_set *kept_bans; /* that a new incarnation of the control plane does not name; NULL: none */
	bool is_published;            /* the outside has it; false: it was told that there is none */
	bool must_attest;             /* the control plane refused the SVID that we have */

	/* The attempt or stream that stands now. */
	struct rpc_call *call; /* Attest or the identity stream; NULL: none */
	bool is_stream, has_trust;
	bool is_shared; /* on_connection() gave the connection to others */
	bool has_failed;
	struct identity_failure failure;
	struct loop_task give_up; /* cuts outside of the connection's own callbacks, then dials again */
	struct loop_task attested;
	struct fresh_request pending; /* the request under way; key NULL: none */
	struct attestation_data held;
	uint64_t request_id, request_deadline_ms;

	struct claimed_address claimed;
	struct claim_retry claim_retry;
	struct address_claim
		*other; /* claims our address of the family that the stream does not use; NULL: not wanted */
	bool is_released;
	bool is_draining;
	struct why last_failure;
};

struct renew_now identity_now(const struct identity_client *client);
/* This attempt or stream is over; the next try comes by redial.h. Safe in any callback. */
void identity_fail(
	struct identity_client *client, enum redial_cause cause, uint32_t retry_after_ms, const struct why *why);

/* enroll.c: one Attest on the connection that just came up. Ends in identity_attested() or identity_fail(). */
void identity_enroll(struct identity_client *client);
void identity_attested(struct identity_client *client);

/* identity_stream.c */
void identity_stream_open(struct identity_client *client);
void identity_stream_wish(struct identity_client *client); /* to claim our address or, when so told, to release it */
void identity_stream_hello(struct identity_client *client);
void identity_stream_renew(struct identity_client *client);
void identity_stream_poll(struct identity_client *client); /* an answer that does not come */

/* identity_snapshot.c: each verifies before anything changes. */
/* may_jump: there is no identity that another time could end. */
void identity_hear_time(struct identity_client *client, int64_t server_time_ms, bool may_jump);
enum err identity_use_svid(
	struct identity_client *client, struct svid *svid, struct private_key *key, struct why *why) _must_use_;
enum err identity_use_answer(struct identity_client *client, struct attest_answer *answer, struct private_key *key,
	struct why *why) _must_use_;
enum err identity_use_trust(struct identity_client *client, struct trust *trust, struct why *why) _must_use_;
void identity_judge_expiry(struct identity_client *client); /* withdraws what has expired; and back, when a clock was */
