/* Enrollment and Identity messages as plain structs. Of this folder only their files and those of the messages of
 * operators (operator_messages.h, operator_settings.h, reach_message.h) use generated code. Pure. */
#pragma once

#include "base/health/sidecar_health.h"
#include "control/attest/attest.h"
#include "control/serve/trust.h"

struct pb_arena;

struct attest_up { /* AttestRequest; spans live in the arena */
	struct pb_arena *arena;
	struct attest_request request; /* the caller fills exported and source, which are of the connection */
	uint32_t protocol_version;
	struct span release;
	bool takes_lists;        /* as in identity_up */
	bool opens_streams_here; /* on the connection of its attestation */
};
enum err attest_up_parse(struct span bytes, struct attest_up *out, struct why *why) _must_use_;
void attest_up_done(struct attest_up *up);

#define FEATURE_CLAIM_PROOF      "claim-proof"
#define FEATURE_ATTESTED_STREAMS "attested-streams"
#define CLAIM_PROOF_CONTEXT      "handfast.v1.AddressClaim"

enum identity_kind { IDENTITY_HELLO, IDENTITY_RENEW, IDENTITY_ACK, IDENTITY_CLAIM, IDENTITY_RELEASE, IDENTITY_REPORT };
struct identity_up { /* IdentityUp; spans live in the arena */
	struct pb_arena *arena;
	enum identity_kind kind;
	uint32_t protocol_version;    /* hello */
	struct span release;          /* hello */
	bool is_draining;             /* hello */
	struct sidecar_health health; /* hello */
	uint32_t zone;                /* hello; 0: none */
	struct ip_addr addresses[2];  /* hello; of the sidecar's host */
	size_t num_addresses;
	bool proves_claims;                 /* hello */
	bool takes_lists;                   /* hello; a revocation list refuses what it names, and nothing else */
	struct span attestation_key, proof; /* claim; empty: none */
	uint64_t request_id;                /* renew */
	struct attest_request renew;        /* renew; as above */
	struct epoch acked;                 /* ack */
	struct span refused_reason;         /* ack; empty: in use */
};
enum err identity_up_parse(struct span bytes, struct identity_up *out, struct why *why) _must_use_;
void identity_up_done(struct identity_up *up);

struct seen_peer {      /* borrowed; what a sidecar reports of connections, none of it checked */
	struct span id; /* empty: none */
	struct addr address;
	bool is_outbound, is_encrypted;
	struct span reason, detail, fix;
	uint64_t num;
	int64_t first_ms, last_ms;
};
typedef void seen_peer_fn(void *arg, const struct seen_peer *seen);
typedef void seen_port_fn(void *arg, uint16_t port, bool plaintext);
/* The parts of a message with a report; at most 64 of each, a malformed one is left out. False: it is none. */
bool identity_report_each(struct span message, seen_peer_fn *each, seen_port_fn *each_port, void *arg);

/* JwtRequest: the audiences, one per line. */
enum err jwt_up_parse(struct span bytes, struct buf *out_audience, struct why *why) _must_use_;
enum err jwt_down_encode(struct span token, struct buf *out) _must_use_;

#define MESSAGE_OUT_MAX (8u * 1024 * 1024) /* a trust state with very many bans */

struct svid_down {
	const struct span *chain;
	size_t num_chain;
	const struct trust *trust; /* NULL: the receiver has it */
	bool takes_lists;          /* the receiver */
	bool streams_here;         /* to an attestation: its connection has the identity now */
};
enum err attest_down_encode(
	const struct trust *trust, const struct svid_down *svid, int64_t now_ms, struct buf *out) _must_use_;
/* takes_lists: of the receivers; others get no revocation list. report_each_s: the sidecars report whom they talk to;
 * 0: they do not. */
enum err identity_trust_encode(const struct trust *trust, bool takes_lists, uint32_t report_each_s, int64_t now_ms,
	struct buf *out) _must_use_;
/* svid NULL: refused, for the reason in why. */
enum err identity_renewed_encode(uint64_t request_id, const struct svid_down *svid, const char *refused_reason,
	uint32_t retry_after_ms, int64_t now_ms, struct buf *out) _must_use_;
enum err identity_slot_encode(uint32_t within_ms, int64_t now_ms, struct buf *out) _must_use_;
/* refused_reason NULL: granted. retry_after_ms: when refused. */
enum err identity_claim_encode(const struct ip_addr *ip, const char *refused_reason, uint32_t retry_after_ms,
	int64_t now_ms, struct buf *out) _must_use_;
