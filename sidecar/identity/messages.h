/* Converts between the messages of the identity services and this program's structs; their generated code is used only
 * in messages_up.c, messages_down.c, trust_parse.c and, for what is kept, kept_identity.c. All input is bounded and
 * checked here, so that no caller handles raw bytes. */
#pragma once

#include "base/core/addr.h"
#include "base/health/sidecar_health.h"
#include "certs/bundle.h"
#include "certs/svid.h"
#include "sidecar/identity/state_folder.h"
#include "sidecar/identity/token.h"

#define ATTEST_PATH        "/handfast.v1.Enrollment/Attest"
#define IDENTITY_PATH      "/handfast.v1.Identity/Stream"
#define ATTEST_MESSAGE_MAX 16384

/* --- up --- */

enum attestation_kind {
	ATTESTATION_JOIN_TOKEN,
	ATTESTATION_KEY,
	ATTESTATION_KUBERNETES,
	ATTESTATION_X509,
	ATTESTATION_UNIX_PEER
};
#define X509_CHAIN_MAX 8

struct attestation { /* borrowed; proven anew on each connection */
	enum attestation_kind kind;
	const struct token *token; /* ATTESTATION_JOIN_TOKEN */
	struct span kubernetes;    /* ATTESTATION_KUBERNETES: the projected token */
	struct {                   /* ATTESTATION_X509: a machine certificate, DER, leaf first */
		struct span chain[X509_CHAIN_MAX];
		size_t num_chain;
		struct span signature;
	} x509;
};

/* A certificate request: attestation data, CSR, attestation key, and the proof that is bound to this connection. */
struct certificate_request { /* spans are borrowed */
	uint64_t id;         /* on the stream; the answer carries it */
	struct attestation attestation;
	struct span csr, attestation_key, proof;
};

enum err message_attest_encode(
	const struct certificate_request *request, const char *release, struct buf *out) _must_use_;
struct hello {
	const char *release;
	bool is_draining; /* sent again when it changes */
	uint32_t zone;    /* of this host (base/core/zone.h); 0: none */
	struct ip_addr addresses[2];
	size_t num_addresses;         /* of this host, one per family */
	struct sidecar_health health; /* sent again when it changes */
};
enum err message_hello_encode(const struct hello *hello, struct buf *out) _must_use_;
enum err message_renew_encode(const struct certificate_request *request, struct buf *out) _must_use_;
/* refused NULL: an ack; else a nack with that reason. */
enum err message_trust_ack_encode(struct epoch epoch, const char *refused, struct buf *out) _must_use_;
/* The proof: certificate_request.h. */
enum err message_claim_encode(struct span attestation_key, struct span proof, struct buf *out) _must_use_;
enum err message_release_encode(struct buf *out) _must_use_;

#define REPORT_ROWS_MAX 64
struct report_row {     /* borrowed; SeenPeer of identity.proto */
	const char *id; /* "": none */
	struct addr address;
	bool is_outbound, is_encrypted;
	const char *reason, *detail, *fix; /* "": no failure */
	uint64_t num;
	int64_t first_ms, last_ms;
};
struct report {
	struct report_row rows[REPORT_ROWS_MAX];
	size_t num_rows;
	uint32_t num_left_out;
	uint32_t strict_ready_ports[REPORT_ROWS_MAX], plaintext_ports[REPORT_ROWS_MAX];
	size_t num_strict_ready_ports, num_plaintext_ports;
};
enum err message_report_encode(const struct report *report, struct buf *out) _must_use_;

/* --- down --- */

struct trust { /* zeroed is valid to trust_done() */
	struct epoch epoch;
	struct bundle_set *bundles; /* NULL: not usable; why has the reason */
	uint8_t pins[STATE_PINS_MAX][DIGEST_LEN];
	size_t num_pins;
	struct buf encoded; /* as it was received, to be kept; empty: too large for that */
	struct why detail;
};
#define TRUST_ENCODED_MAX (6u << 20)
void trust_done(struct trust *trust);

struct attest_answer { /* zeroed is valid to attest_answer_done() */
	struct svid *svid;
	struct trust trust;
	int64_t server_time_ms;
	bool streams_here; /* the connection has the identity now */
};
void attest_answer_done(struct attest_answer *answer);
/* The answer must have a bundle of `own` with at least one root. */
enum err message_attest_answer_parse(
	struct span bytes, const struct trust_domain *own, struct attest_answer *out, struct why *why) _must_use_;

enum identity_down_kind { DOWN_TRUST, DOWN_RENEWED, DOWN_SLOT, DOWN_CLAIM, DOWN_UNKNOWN };
struct identity_down { /* zeroed is valid to identity_down_done() */
	enum identity_down_kind kind;
	int64_t server_time_ms; /* 0: absent */
	uint32_t report_each_s; /* DOWN_TRUST; 0: no report is wanted */
	struct trust trust;     /* DOWN_TRUST; DOWN_RENEWED: has_trust */
	bool has_trust;         /* the SVID is valid in this trust state */
	uint64_t request_id;    /* DOWN_RENEWED */
	struct svid *svid;      /* DOWN_RENEWED; NULL: refused, or not usable; why has the reason */
	uint32_t after_ms;      /* DOWN_RENEWED, DOWN_CLAIM: retry after; DOWN_SLOT: renew within */
	struct addr claimed;    /* DOWN_CLAIM: as the server observed it */
	bool is_claim_held;
	struct why detail;
};
void identity_down_done(struct identity_down *down);
/* ERR_MALFORMED, ERR_TOO_LARGE: the bytes are no such message, and the caller ends the stream. A well-formed message
 * with a wrong value has its reason in `why`, so that the caller can send a nack. Messages of a later release:
 * DOWN_UNKNOWN. */
enum err message_identity_down_parse(
	struct span bytes, const struct trust_domain *own, struct identity_down *out, struct why *why) _must_use_;
