/* The messages of an Istio CA (IstioCertificateService, CreateCertificate) and the service account token that goes with
 * them. Pure. The chain is not validated here: credentials_new() does that. */
#pragma once

#include "sidecar/identity/workload_answer.h"

#define ISTIO_ANSWER_MAX (256u * 1024) /* bytes of a message */
#define ISTIO_TOKEN_MAX  8192          /* bytes; a real one has about 1,200 */

/* The identity of a service account token, "spiffe://DOMAIN/ns/NAMESPACE/sa/ACCOUNT", from its claim `sub`, without
 * verification: the CA does that. ERR_MALFORMED: not a token of Kubernetes. The caller releases *out. */
enum err istio_token_identity(
	struct span token, const struct trust_domain *domain, struct spiffe_id *out, struct why *why) _must_use_;
/* A request for a certificate of `id` for this key, which is valid for ttl_s; appends. */
enum err istio_request_encode(
	const struct private_key *key, const struct spiffe_id *id, uint64_t ttl_s, struct buf *out) _must_use_;
/* The answer to the request for `key`: choice->wanted is the identity that was asked for. ERR_MALFORMED, ERR_TOO_LARGE;
 * ERR_NO_BUNDLE: no root; ERR_WRONG_PEER: another identity; the errors of svid_parse(). *out is untouched then. */
enum err istio_answer_parse(struct span message, struct private_key *key, const struct workload_choice *choice,
	struct workload_answer *out, struct why *why) _must_use_;
