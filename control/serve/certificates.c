/* Every certificate of the control plane and every root of the mesh, for metrics, status and conditions. */
#include "control/serve/serve_private.h"

static void each_root(const struct serve *serve, bool is_active, serve_certificate_fn *each, void *arg)
{
	const struct rotation_roots *roots = rotation_roots(serve->options.rotation);
	const struct rotation_state *state = rotation_state_of(serve->options.rotation);
	for (size_t i = 0; i < roots->num_all; i++) {
		uint8_t sha256[DIGEST_LEN];
		bool is_retired = i >= roots->num_all - roots->num_retired;
		digest_sha256(roots->der[i], sha256);
		if ((memcmp(sha256, state->active, DIGEST_LEN) == 0) != is_active)
			continue;
		each(arg,
			is_active                             ? "root"
			: is_retired                          ? "retired_root"
			: state->phase == ROTATION_PUBLISHING ? "next_root"
							      : "former_root",
			roots->der[i]);
	}
}

static void each_if(serve_certificate_fn *each, void *arg, const char *kind, struct span der)
{
	if (der.len > 0)
		each(arg, kind, der);
}

void serve_each_certificate(const struct serve *serve, serve_certificate_fn *each, void *arg)
{
	const struct bootstrap_state *bootstrap = bootstrap_state_of(serve->options.bootstrap);
	const struct svid *own = server_identity_svid(serve->options.identity);
	each(arg, "bootstrap_root", bootstrap_active(serve->options.bootstrap));
	each_root(serve, true, each, arg);
	if (serve->num_authorities > SERVE_INTERMEDIATE)
		each_if(each, arg, "intermediate", buf_span(&serve->authorities[SERVE_INTERMEDIATE].der));
	each_if(each, arg, "next_bootstrap_root", buf_span(&bootstrap->next));
	each_if(each, arg, "former_bootstrap_root", buf_span(&bootstrap->former));
	each_root(serve, false, each, arg);
	if (own != NULL)
		each(arg, "server", svid_cert(own, 0));
}
