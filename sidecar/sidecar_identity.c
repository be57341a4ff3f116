/* Where the identity comes from: the control plane (identity_client.h), or a Workload API (identity.source:
 * workload_api), with a connection to the control plane for Discovery alone. */
#include "base/core/log.h"
#include "base/core/mem.h"
#include "sidecar/identity/discovery_link.h"
#include "sidecar/identity/workload_source.h"
#include "sidecar/sidecar_private.h"

struct sidecar_source {
	struct workload_source *api;
	struct discovery_link *link;
	struct identity_options options;
};

static void on_credentials(void *arg, struct credentials *credentials)
{
	const struct sidecar_source *source = arg;
	source->options.on_credentials(source->options.arg, credentials);
	discovery_link_set_credentials(source->link, credentials);
}

static void on_event(void *arg, enum identity_event event, const struct why *why)
{
	const struct sidecar_source *source = arg;
	source->options.on_event(source->options.arg, event, why);
}

static enum err link_make(const struct identity_options *options, struct sidecar_source *source, struct why *why)
{
	return discovery_link_new(
		&(struct discovery_link_options){
			.loop = options->loop,
			.context = options->context,
			.state = options->state,
			.trust_domain = options->trust_domain,
			.address = options->address,
			.bootstrap_root_sha256 = options->bootstrap_root_sha256,
			.on_connection = options->on_connection,
			.on_event = options->on_event,
			.arg = options->arg,
		},
		&source->link, why);
}

static enum err source_make(struct sidecar *sidecar, const struct identity_options *options, struct why *why)
{
	struct sidecar_source *source = mem_new(struct sidecar_source);
	sidecar->source = source;
	source->options = *options;
	RETURN_IF_ERR(link_make(options, source, why));
	source->api = workload_source_new(&(struct workload_source_options){
		.loop = options->loop,
		.socket = sidecar->config->source_socket,
		.trust_domain = options->trust_domain,
		.spiffe_id = sidecar->config->source_spiffe_id,
		.on_credentials = on_credentials,
		.on_event = on_event,
		.arg = source,
	});
	return ERR_NONE;
}

enum err sidecar_identity_new(struct sidecar *sidecar, const struct identity_options *options, struct why *why)
{
	if (sidecar->config->source_socket == NULL)
		return identity_client_new(options, &sidecar->identity, why);
	return source_make(sidecar, options, why);
}

void sidecar_identity_start(struct sidecar *sidecar)
{
	if (sidecar->identity != NULL)
		identity_client_start(sidecar->identity);
	else
		workload_source_start(sidecar->source->api);
}

void sidecar_identity_free(struct sidecar *sidecar)
{
	if (sidecar->identity != NULL)
		identity_client_free(sidecar->identity);
	if (sidecar->source == NULL)
		return;
	workload_source_free(sidecar->source->api);
	discovery_link_free(sidecar->source->link);
	mem_free(sidecar->source);
}

const struct why *sidecar_identity_source_failure(const struct sidecar *sidecar)
{
	static const struct why none;
	return sidecar->source == NULL ? &none : workload_source_failure(sidecar->source->api);
}

void sidecar_identity_status(const struct sidecar *sidecar, struct identity_status *out)
{
	const struct sidecar_source *source = sidecar->source;
	if (source == NULL) {
		identity_client_status(sidecar->identity, out);
		return;
	}
	*out = (struct identity_status){
		.credentials = workload_source_credentials(source->api),
		.is_valid = workload_source_is_valid(source->api),
		.is_connected = discovery_link_is_up(source->link),
		.dialed = discovery_link_dialed(source->link),
	};
	out->last_failure =
		out->is_valid ? *discovery_link_failure(source->link) : *workload_source_failure(source->api);
}

void sidecar_identity_drain(struct sidecar *sidecar)
{
	if (sidecar->identity != NULL)
		identity_client_drain(sidecar->identity);
}

/* Without the control plane's identity there are no claims: the operator's entries have its addresses. */
const char *sidecar_identity_release(struct sidecar *sidecar)
{
	if (sidecar->identity == NULL)
		return "nothing to release: with identity.source workload_api no address is claimed\n";
	identity_client_release_address(sidecar->identity);
	return "releasing the address claims\n";
}
