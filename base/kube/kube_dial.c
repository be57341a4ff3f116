#include "base/kube/kube_dial.h"
#include "base/kube/kube_config_private.h"

/* The file is read anew: the authority may have been rotated. Where it cannot be read, what was read first holds. */
static enum err load(void *arg, struct web_roots **out_roots, struct web_identity **out_identity, struct why *why)
{
	const struct kube_config *config = arg;
	_cleanup_(web_roots_freep) struct web_roots *roots = NULL;
	_cleanup_(buf_done) struct buf fresh = {0};
	struct span pem = buf_span(&config->ca_pem);
	if (config->ca_file != NULL && kube_config_read(config->ca_file, &fresh, NULL) == ERR_NONE)
		pem = buf_span(&fresh);
	RETURN_IF_ERR(web_roots_parse(pem, &roots, why));
	if (buf_len(&config->client_chain_pem) > 0)
		RETURN_IF_ERR(web_identity_parse(
			buf_span(&config->client_chain_pem), buf_span(&config->client_key_pem), out_identity, why));
	*out_roots = TAKE_PTR(roots);
	return ERR_NONE;
}

struct web_peer kube_dial_peer(const struct kube_config *config)
{
	return (struct web_peer){.host = config->host,
		.port = config->port,
		.name_servers = config->name_servers,
		.server_name = config->server_name,
		.load = load,
		.arg = (void *)(uintptr_t)config,
		.texts = {"an API server that listens", "check that the API server runs, and the network to it",
			"an address of the API server", "check its name in the kubeconfig, and the DNS"}};
}
