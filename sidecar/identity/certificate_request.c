#include "sidecar/identity/certificate_request.h"

#include "base/core/check.h"
#include "certs/csr.h"

enum { SPKI_MAX = 1024, PROOF_MAX = 256 };

static enum err make_proof(
	struct tls_session *session, const struct private_key *attestation_key, struct fresh_request *request)
{
	uint8_t context[DIGEST_LEN], exported[32];
	digest_sha256(buf_span(&request->csr), context);
	RETURN_IF_ERR(tls_session_export(session, ATTEST_EXPORTER_LABEL, span_of(context, sizeof(context)), exported));
	return private_key_sign(attestation_key, span_of(exported, sizeof(exported)), &request->proof);
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
	RETURN_IF_ERR(make_proof(session, attestation_key, &request));
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
