#include "sidecar/identity/istio_refusal.h"

#define FIX_LOG "inspect the log of istiod"

struct refusal {
	enum rpc_status status;
	enum err err;
	const char *expected, *fix;
};

static const struct refusal refusals[] = {
	{RPC_UNAUTHENTICATED, ERR_DENIED, "a token that the cluster of the Istio CA takes, for its audience",
		"mount a projected token for the audience istio-ca, let identity.istio_cluster be istiod's clusterID, "
		"and inspect the log of istiod"},
	{RPC_PERMISSION_DENIED, ERR_DENIED, "an account that may have this identity",
		"let identity.spiffe_id be that of the token, or remove it"},
	{RPC_INVALID_ARGUMENT, ERR_MALFORMED, "a request that the Istio CA signs",
		"lower identity.istio_ttl to MAX_WORKLOAD_CERT_TTL of istiod, and see its log"},
	{RPC_UNIMPLEMENTED, ERR_UNSUPPORTED, "an Istio CA",
		"let identity.istio_address lead to istiod's port 15012, or to the CA of its caAddress"},
	{RPC_DEADLINE_EXCEEDED, ERR_TIMEOUT, "an answer within 10 s",
		"see whether istiod reaches the API server of the cluster, which checks the token"},
	{RPC_RESOURCE_EXHAUSTED, ERR_LIMIT, "an Istio CA that takes requests", FIX_LOG},
	{RPC_OK, ERR_MALFORMED, "an answer with a certificate", FIX_LOG},
};

enum err istio_refusal_why(enum rpc_status status, const char *message, const char *token_file, struct why *why)
{
	static const struct refusal otherwise = {RPC_UNAVAILABLE, ERR_UNAVAILABLE, "an Istio CA that answers", FIX_LOG};
	const struct refusal *found = &otherwise;
	struct why base;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		if (refusals[i].status == status)
			found = &refusals[i];
	why_set(&base, found->err, found->expected, found->fix,
		"the Istio CA refused the request with the token of %.128s", token_file);
	return rpc_status_why(status, message, &base, why);
}
