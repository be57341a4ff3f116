/* The identity from the CA of an Istio mesh (decision 089): a projected volume with what each workload of Istio has, a
 * token for that CA and the roots of the mesh, which istiod writes into each namespace. */
#include "control/kube/inject_private.h"

#define FOLDER "/run/handfast-istio"
#define SOURCE "HANDFAST_SIDECAR_IDENTITY_SOURCE"

enum { TOKEN_TTL_S = 43200 }; /* as Istio's own */

bool inject_wants_istio(const struct injection *injection)
{
	return injection->wants.istio_ca != NULL;
}

json_t *inject_istio_volume(void)
{
	json_t *token = json_pack("{s:{s:s, s:i, s:s}}", "serviceAccountToken", "audience", "istio-ca",
		"expirationSeconds", (int)TOKEN_TTL_S, "path", "token");
	json_t *roots = json_pack("{s:{s:s, s:[{s:s, s:s}]}}", "configMap", "name", "istio-ca-root-cert", "items",
		"key", "root-cert.pem", "path", "root-cert.pem");
	return json_pack("{s:s, s:{s:[o, o]}}", "name", INJECT_ISTIO_VOLUME, "projected", "sources", token, roots);
}

void inject_istio_sidecar(const struct injection *injection, json_t *env, json_t *mounts)
{
	inject_put_env(env, SOURCE, "istio_ca");
	inject_put_env(env, "HANDFAST_SIDECAR_IDENTITY_ISTIO_ADDRESS", injection->wants.istio_ca);
	inject_put_env(env, "HANDFAST_SIDECAR_IDENTITY_ISTIO_ROOT_FILE", FOLDER "/root-cert.pem");
	inject_put_env(env, "HANDFAST_SIDECAR_IDENTITY_ISTIO_TOKEN_FILE", FOLDER "/token");
	CHECK(json_array_append_new(mounts, json_pack("{s:s, s:s, s:b}", "name", INJECT_ISTIO_VOLUME, "mountPath",
						    FOLDER, "readOnly", 1)) == 0);
}

enum err inject_check_istio(struct injection *injection)
{
	if (!inject_wants_istio(injection) || !inject_wants_agent(injection))
		return ERR_NONE;
	return inject_refuse(injection, "one source of the identity",
		"remove one of the annotations " INJECT_ANNOTATIONS "istio-ca and " INJECT_ANNOTATIONS "agent-socket",
		"both are given");
}
