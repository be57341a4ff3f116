/* The identity client's struct, shared by its files: identity_client.c decides the next action, enroll.c attests,
 * identity_stream.c sends and receives on the stream, identity_snapshot.c creates and publishes credentials,
 * identity_kept.c keeps them for a restart without a control plane. Only files
 * of this folder include this header. */
#pragma once

#include "sidecar/identity/certificate_request.h"
#include "sidecar/identity/claim_retry.h"
#include "sidecar/identity/control_link.h"
#include "sidecar/identity/identity_client.h"
#include "sidecar/identity/kept.h"
#include "sidecar/identity/kept_identity.h"
#include "sidecar/identity/redial.h"
#include "sidecar/identity/renew.h"
#include <time.h>

/* One attempt to reach the control plane, from the dial to the end of its connection. */
enum identity_state {
	IDENTITY_WAITING,      /* no connection; the dial timer runs */
	IDENTITY_ATTESTING,    /* a connection without an SVID, for one Attest call; then streams, or another one */
	IDENTITY_ATTEST_ENDED, /* the call succeeded or failed; a task closes the connection */
	IDENTITY_CONNECTING,   /* a connection with the SVID */
	IDENTITY_STREAMING,    /* the identity stream is open, and discovery shares the connection */
	IDENTITY_TRUSTED,      /* the stream has brought the trust state */
	IDENTITY_STREAM_ENDED, /* the stream or its connection failed; a task closes the connection */
};

struct identity_failure {
	enum redial_cause cause;
	uint32_t retry_after_ms;
	struct why detail;
};

struct identity_client {
	struct identity_options options;
	struct control_link *link;
	struct bootstrap_pins pins;
	struct trusted_time time;
	struct renew renew;
	struct redial redial;
	struct timespec token_changed; /* the token file's time of change when it was last inspected */
	struct loop_timer dial_timer, tick;

	/* The credentials in use. They stay after they have expired: their bundles and identity limit what may follow.
	 */
	struct credentials *credentials;
	struct bundle_set *retained_bans; /* bans and revoked serials that a new incarnation of the control plane lacks;
					     NULL: none */
	struct retained_bans retained_counts; /* of that set */
	bool is_published; /* on_credentials() has them; false: it was called with NULL, or not yet */
	bool must_attest;  /* the control plane refused the SVID */
	bool is_withdrawn; /* the certificate in use, or one above it, by the newest trust state */
	bool is_banned; /* by a trust state or a refusal, and since then no certificate and no trust state without it */
	struct enrolled_state unstored; /* is_unstored: what the state folder could not take */
	struct why unstored_detail;     /* and why */
	bool is_unstored,
		is_unconfirmed; /* the trust state in use has pins, and waits for that before it is confirmed */

	struct kept identity_file;    /* of what is kept */
	struct kept_identity earlier; /* of before the restart, until there is another */
	bool is_kept_tried, is_earlier_good;
	struct buf trust_encoded; /* the trust state in use; empty: not to be kept */

	/* The current attempt or stream. */
	struct rpc_call *call; /* Attest or the identity stream; NULL: none */
	bool streams_here;     /* Attest was answered, and has not ended yet: then its connection carries the streams */
	enum identity_state state;
	struct identity_failure failure;
	struct loop_task give_up; /* closes the connection outside of its callbacks, then dials again */
	struct loop_task attested;
	struct fresh_request pending; /* the pending request; key NULL: none */
	struct attestation_data data;
	uint64_t request_id, request_deadline_ms;

	struct claimed_address claimed;
	struct claim_retry claim_retry;
	struct address_claim *
		other; /* claims this host's address of the family that the stream does not use; NULL: not configured */
	bool is_released;
	bool is_draining;
	struct sidecar_health health, shown_health; /* now; as the last hello had it */
	uint64_t health_due_ms;                     /* not before, another hello for it */
	uint32_t report_each_s;                     /* as the control plane of this stream wants it */
	struct why last_failure;
};

/* identity_snapshot.c: whether the control plane may know that this trust state is in use: its pins are on the disk. */
bool identity_may_confirm(struct identity_client *client, const struct trust *trust);
/* About once per second: tries again to store. True: a trust state that waited for that may be confirmed. */
bool identity_store_again(struct identity_client *client);
/* identity_stream.c */
void identity_stream_confirm(struct identity_client *client);

/* The only place that changes the state: a transition that its table does not have ends the process. */
void identity_enter(struct identity_client *client, enum identity_state next);
struct renew_now identity_now(const struct identity_client *client);
/* Ends this attempt or stream; redial.h decides when to try again. Safe in any callback. */
void identity_fail(
	struct identity_client *client, enum redial_cause cause, uint32_t retry_after_ms, const struct why *why);

/* enroll.c: one Attest call on the new connection. Ends in one of the next two, or in identity_fail(). */
void identity_enroll(struct identity_client *client);
void identity_attested(struct identity_client *client);      /* dials again, with the SVID */
void identity_start_streams(struct identity_client *client); /* on the connection that is up */

/* identity_stream.c */
void identity_stream_open(struct identity_client *client);
void identity_stream_renew(struct identity_client *client);
void identity_stream_poll(struct identity_client *client); /* checks the timeout of a renewal */

/* identity_snapshot.c: adopts; NULL: none. */
void identity_set_retained(struct identity_client *client, struct bundle_set *retained);
/* identity_snapshot.c: each function verifies before anything changes. */
/* may_jump: there is no published identity that another time could make expire. */
void identity_receive_time(struct identity_client *client, int64_t server_time_ms, bool may_jump);
enum err identity_use_svid(
	struct identity_client *client, struct svid *svid, struct private_key *key, struct why *why) _must_use_;
/* The same, with the trust state in which it is valid. */
enum err identity_use_both(struct identity_client *client, struct svid *svid, struct trust *trust,
	struct private_key *key, struct why *why) _must_use_;
enum err identity_use_answer(struct identity_client *client, struct attest_answer *answer, struct private_key *key,
	struct why *why) _must_use_;
enum err identity_use_trust(struct identity_client *client, struct trust *trust, struct why *why) _must_use_;
bool identity_is_banned(const struct identity_client *client); /* enroll.c */
void identity_note_refusal(struct identity_client *client, const struct why *why);
/* Nothing of what was kept is used any more but its bans, here and after a restart, until a certificate or a trust
 * state is kept. */
void identity_kept_withdraw(struct identity_client *client);
/* The own certificate, or one above it, is withdrawn. */
bool identity_is_withdrawn(enum err err);
void identity_publish(struct identity_client *client, struct credentials *fresh);

/* identity_kept.c */
void identity_kept_load(struct identity_client *client);
/* Before they are published. trust NULL: as before; else what is kept of it is taken. */
void identity_keep(struct identity_client *client, struct credentials *fresh, struct trust *trust);
void identity_kept_poll(struct identity_client *client);
void identity_kept_flush(struct identity_client *client); /* at the end */
/* In an outage: publishes what was kept, once; calls on_outage(). */
void identity_kept_use(struct identity_client *client);

/* identity_snapshot.c: withdraws expired credentials; publishes them again if they are valid after a clock was set
 * back. */
void identity_check_expiry(struct identity_client *client);
