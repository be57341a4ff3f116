/* The parts of a certificate request: a new key (per renewal; it never leaves the process), its CSR, and a signature by
 * the attestation key that is bound to this TLS connection. */
#pragma once

#include "base/tls/tls_session.h"
#include "certs/private_key.h"
#include "certs/web_identity.h"
#include "sidecar/identity/messages.h"

/* What the control plane's refusal expects of an identity that is banned (control/attest/attest.h). */
#define ATTEST_BANNED_EXPECTED "an identity that is not banned"
#define ATTEST_EXPORTER_LABEL  "EXPORTER-handfast-attest"

struct fresh_request { /* zeroed is valid to fresh_request_done() */
	struct private_key *key;
	struct buf csr, attestation_key, proof;
	uint8_t exported[32]; /* by this connection for this CSR: what the proof signs */
};

enum err fresh_request_make(
	struct tls_session *session, const struct private_key *attestation_key, struct fresh_request *out) _must_use_;
void fresh_request_done(struct fresh_request *request);

/* The message that claims the local address of this connection: it needs a proof, an SVID alone claims nothing. */
enum err claim_make(
	struct tls_session *session, const struct private_key *attestation_key, struct buf *out_message) _must_use_;

/* The attestation data that is available now. Files are read at each use: a join token is consumed once, a projected
 * token rotates. */
struct attestation_files { /* paths are borrowed; NULL: none */
	const char *token_file, *kubernetes_token_file;
	const char *x509_certificate_file, *x509_key_file; /* both or none */
	bool unix_peer;                                    /* this process is the proof: its user, group and unit */
};
struct attestation_data { /* zeroed is valid to attestation_data_done(); wiped */
	struct token token;
	bool has_token;
	struct buf kubernetes;
	uint8_t token_hash[DIGEST_LEN]; /* of the token's id */
	struct web_identity *machine;   /* NULL: none */
	struct buf signature;           /* by its key */
};
/* A projected token, or a machine certificate, if one is configured; else a join token that is not consumed yet; else
 * the attestation key. A stream accepts no join token (`may_join` false). */
enum err attestation_gather(const struct attestation_files *files, const struct enrolled_state *state, bool may_join,
	struct attestation_data *data, struct attestation *out, struct why *why) _must_use_;
/* What must be signed anew for each request: `out` of attestation_gather() is complete with it. */
enum err attestation_sign(const struct fresh_request *request, struct attestation_data *data, struct attestation *out,
	struct why *why) _must_use_;
/* Of what is read again for each request, when this one is encoded. */
void attestation_data_wipe(struct attestation_data *data);
void attestation_data_done(struct attestation_data *data);
