#include "sidecar/identity/certificate_request.h"

#include "base/core/check.h"
#include "certs/csr.h"

#define CLAIM_PROOF_CONTEXT "handfast.v1.AddressClaim"

enum { SPKI_MAX = 1024, PROOF_MAX = 256 };

/* Signs what this connection exports for the SHA-256 of `about`: the proof is invalid on any other connection. */
static enum err make_proof(struct tls_session *session, const struct private_key *attestation_key, struct span about,
	uint8_t out_exported[32], struct buf *out_proof)
{
	uint8_t context[DIGEST_LEN];
	digest_sha256(about, context);
	RETURN_IF_ERR(
		tls_session_export(session, ATTEST_EXPORTER_LABEL, span_of(context, sizeof(context)), out_exported));
	return private_key_sign(attestation_key, span_of(out_exported, 32), out_proof);
}

enum err claim_make(struct tls_session *session, const struct private_key *attestation_key, struct buf *out_message)
{
	_cleanup_(buf_done) struct buf key = BUF_INIT(SPKI_MAX), proof = BUF_INIT(PROOF_MAX);
	uint8_t exported[32];
	RETURN_IF_ERR(private_key_public(attestation_key, &key));
	RETURN_IF_ERR(make_proof(session, attestation_key, SPAN_LITERAL(CLAIM_PROOF_CONTEXT), exported, &proof));
	return message_claim_encode(buf_span(&key), buf_span(&proof), out_message);
}

enum err fresh_request_make(
	struct tls_session *session, const struct private_key *attestation_key, struct fresh_request *out)
{
	_cleanup_(fresh_request_done) struct fresh_request request = {
		.key = private_key_generate(),
		.csr = BUF_INIT(CSR_MAX),
		.attestation_key = BUF_INIT(SPKI_MAX),
		.proof = BUF_INIT(PROOF_MAX),
	};
	RETURN_IF_ERR(csr_encode(request.key, &request.csr));
	RETURN_IF_ERR(private_key_public(attestation_key, &request.attestation_key));
	RETURN_IF_ERR(make_proof(session, attestation_key, buf_span(&request.csr), request.exported, &request.proof));
	*out = request;
	request = (struct fresh_request){0};
	return ERR_NONE;
}

void fresh_request_done(struct fresh_request *request)
{
	private_key_unref(request->key);
	buf_done(&request->csr);
	buf_done(&request->attestation_key);
	buf_done(&request->proof);
	*request = (struct fresh_request){0};
}
