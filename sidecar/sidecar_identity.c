/* Where the identity comes from: the control plane (identity_client.h), or a Workload API or an Istio CA
 * (identity.source), with a connection to the control plane for Discovery alone. */
#include "base/core/log.h"
#include "base/core/mem.h"
#include "sidecar/identity/discovery_link.h"
#include "sidecar/identity/istio_source.h"
#include "sidecar/identity/workload_source.h"
#include "sidecar/sidecar_private.h"

struct sidecar_source {
	struct workload_source *api; /* NULL: an Istio CA */
	struct istio_source *istio;  /* NULL: a Workload API */
	const struct source_identity *identity;
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

static void api_make(
	const struct sidecar_config *config, struct sidecar_source *source, const struct source_callbacks *callbacks)
{
	source->api = workload_source_new(&(struct workload_source_options){
		.loop = source->options.loop,
		.socket = config->source_socket,
		.trust_domain = source->options.trust_domain,
		.spiffe_id = config->source_spiffe_id,
		.callbacks = *callbacks,
	});
	source->identity = workload_source_identity(source->api);
}

static void istio_make(
	const struct sidecar_config *config, struct sidecar_source *source, const struct source_callbacks *callbacks)
{
	const struct istio_ca *ca = &config->istio;
	source->istio = istio_source_new(&(struct istio_source_options){
		.loop = source->options.loop,
		.ca = {.host = ca->host,
			.port = ca->port,
			.server_name = ca->server_name,
			.root_file = ca->root_file,
			.token_file = ca->token_file,
			.cluster = ca->cluster,
			.spiffe_id = config->source_spiffe_id,
			.ttl_s = ca->ttl_s},
		.trust_domain = source->options.trust_domain,
		.callbacks = *callbacks,
	});
	source->identity = istio_source_identity(source->istio);
}

static enum err source_make(struct sidecar *sidecar, const struct identity_options *options, struct why *why)
{
	struct sidecar_source *source = mem_new(struct sidecar_source);
	const struct source_callbacks callbacks = {on_credentials, on_event, source};
	sidecar->source = source;
	source->options = *options;
	RETURN_IF_ERR(link_make(options, source, why));
	if (sidecar->config->source == IDENTITY_FROM_ISTIO_CA)
		istio_make(sidecar->config, source, &callbacks);
	else
		api_make(sidecar->config, source, &callbacks);
	return ERR_NONE;
}

enum err sidecar_identity_new(struct sidecar *sidecar, const struct identity_options *options, struct why *why)
{
	if (sidecar->config->source == IDENTITY_FROM_CONTROL_PLANE)
		return identity_client_new(options, &sidecar->identity, why);
	return source_make(sidecar, options, why);
}

void sidecar_identity_start(struct sidecar *sidecar)
{
	if (sidecar->identity != NULL)
		identity_client_start(sidecar->identity);
	else if (sidecar->source->api != NULL)
		workload_source_start(sidecar->source->api);
	else
		istio_source_start(sidecar->source->istio);
}

void sidecar_identity_free(struct sidecar *sidecar)
{
	if (sidecar->identity != NULL)
		identity_client_free(sidecar->identity);
	if (sidecar->source == NULL)
		return;
	workload_source_free(sidecar->source->api);
	istio_source_free(sidecar->source->istio);
	discovery_link_free(sidecar->source->link);
	mem_free(sidecar->source);
}

const struct why *sidecar_identity_source_failure(const struct sidecar *sidecar)
{
	static const struct why none;
	return sidecar->source == NULL ? &none : &sidecar->source->identity->failure;
}

const char *sidecar_identity_source_condition(const struct sidecar *sidecar)
{
	return sidecar->source == NULL ? NULL : sidecar->source->identity->texts.condition;
}

void sidecar_identity_status(const struct sidecar *sidecar, struct identity_status *out)
{
	const struct sidecar_source *source = sidecar->source;
	if (source == NULL) {
		identity_client_status(sidecar->identity, out);
		return;
	}
	*out = (struct identity_status){
		.credentials = source->identity->credentials,
		.is_valid = source_identity_is_valid(source->identity),
		.is_connected = discovery_link_is_up(source->link),
		.dialed = discovery_link_dialed(source->link),
	};
	out->last_failure = out->is_valid ? *discovery_link_failure(source->link) : source->identity->failure;
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
		return "nothing to release: with this identity.source no address is claimed\n";
	identity_client_release_address(sidecar->identity);
	log_why(LOG_LEVEL_WARNING, "identity", "the addresses of this sidecar are released",
		&(struct why){.got = SIDECAR_RELEASED_GOT,
			.expected = SIDECAR_RELEASED_EXPECTED,
			.fix = SIDECAR_RELEASED_FIX});
	return "releasing the address claims; a restart or `handfast-sidecar upgrade` claims them again\n";
}
