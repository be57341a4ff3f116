#include "base/core/check.h"
#include "sidecar/sidecar_private.h"

#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/net/own_address.h"
#include <stdio.h>
#include <string.h>

/* --- from the identity client --- */

static void on_credentials(void *arg, struct credentials *credentials)
{
	struct sidecar *sidecar = arg;
	for (unsigned i = 0; i < sidecar->num_workers; i++)
		worker_set_credentials(sidecar->workers[i], credentials);
	if (sidecar->workload_api != NULL)
		workload_api_set_credentials(sidecar->workload_api, credentials);
	sidecar_kept_on_stale(sidecar, false); /* what is kept counts as long as the SVID */
}

static void on_time(void *arg, const struct trusted_time *time)
{
	struct sidecar *sidecar = arg;
	sidecar->time = *time;
	for (unsigned i = 0; i < sidecar->num_workers; i++)
		worker_set_time(sidecar->workers[i], time);
}

static void on_connection(void *arg, struct rpc_client *connection)
{
	struct sidecar *sidecar = arg;
	discovery_client_attach(sidecar->discovery, connection);
	/* JWT-SVIDs are for those whose identity the control plane has given. */
	if (sidecar->workload_api != NULL && sidecar->identity != NULL)
		workload_api_attach(sidecar->workload_api, connection);
}

static unsigned metric_of(enum identity_event event)
{
	switch (event) {
	case IDENTITY_ATTESTED:
		return METRIC_ATTESTED;
	case IDENTITY_ATTEST_FAILED:
		return METRIC_ATTESTATION_FAILED;
	case IDENTITY_RENEWED:
		return METRIC_IDENTITY_RENEWED;
	case IDENTITY_RENEW_FAILED:
		return METRIC_IDENTITY_RENEWAL_FAILED;
	case IDENTITY_UNREACHABLE:
		return METRIC_CONTROL_LOST;
	case IDENTITY_SOURCE_LOST:
		return METRIC_IDENTITY_SOURCE_LOST;
	}
	return METRIC_ATTESTATION_FAILED;
}

static const char *what_of(enum identity_event event)
{
	switch (event) {
	case IDENTITY_ATTESTED:
	case IDENTITY_ATTEST_FAILED:
		return "attestation";
	case IDENTITY_RENEWED:
	case IDENTITY_RENEW_FAILED:
		return "renewal";
	case IDENTITY_UNREACHABLE:
		return "control plane";
	case IDENTITY_SOURCE_LOST:
		return "identity source";
	}
	return "";
}

static void on_event(void *arg, enum identity_event event, const struct why *why)
{
	struct sidecar *sidecar = arg;
	const struct clock *clock = loop_clock(sidecar->loop);
	metric_add(sidecar_shard(sidecar), metric_of(event), 1);
	if (why == NULL)
		return;
	if (event == IDENTITY_UNREACHABLE && sidecar->identity == NULL) /* with another source of the identity */
		sidecar_kept_on_outage(sidecar);
	struct identity_status status;
	sidecar_identity_status(sidecar, &status);
	char text[ADDR_TEXT_MAX];
	struct failure seen = {
		.what = what_of(event),
		.direction = "",
		.reason = "",
		.remote = event == IDENTITY_SOURCE_LOST ? (struct addr){.port = 0} : status.dialed,
		.detail = *why,
	};
	if (event != IDENTITY_SOURCE_LOST && status.dialed.ip.family != 0)
		why_name_host(&seen.detail, addr_format(&status.dialed, text));
	failures_add(sidecar->failures, &seen, clock->wall_ms(clock));
}

/* --- from the discovery client --- */

static void tighten(struct sidecar *sidecar)
{
	CHECK(sidecar->sent_policy != NULL && sidecar->minimum != NULL);
	policy_unref(sidecar->policy);
	sidecar->policy = policy_tighten(sidecar->sent_policy, sidecar->minimum);
	for (unsigned i = 0; i < sidecar->num_workers; i++)
		worker_set_policy(sidecar->workers[i], sidecar->policy);
	sidecar_review_policy(sidecar);
}

/* A condition and a line of log when it begins: else a misspelled name shows at the first connection alone. */
static void note_services(struct sidecar *sidecar, const struct mesh_networks *networks)
{
	char detail[sizeof(sidecar->service_detail)] = "";
	const struct listeners *listeners = &sidecar->config->listeners;
	for (size_t i = 0; i < listeners->num_outbound && detail[0] == '\0'; i++) {
		const char *service = listeners->outbound[i].service;
		if (service[0] != '\0' && mesh_networks_service(networks, service) == NULL)
			snprintf(detail, sizeof(detail), "the control plane has no service %s", service);
	}
	if (detail[0] != '\0' && strcmp(detail, sidecar->service_detail) != 0)
		log_warning("discovery", "%s: %s", detail, SIDECAR_SERVICE_FIX);
	memcpy(sidecar->service_detail, detail, sizeof(detail));
}

static void on_mesh(void *arg, struct mesh_networks *networks, struct policy *policy)
{
	struct sidecar *sidecar = arg;
	policy_unref(sidecar->sent_policy);
	sidecar->sent_policy = policy_ref(policy);
	if (sidecar->config->zone != 0)
		networks->zone = sidecar->config->zone;
	sidecar->zone = networks->zone;
	if (!sidecar->config->prefers_zone)
		networks->zone = 0;
	for (unsigned i = 0; i < sidecar->num_workers; i++)
		worker_set_networks(sidecar->workers[i], networks);
	sidecar_families_update(sidecar, networks);
	note_services(sidecar, networks);
	tighten(sidecar);
}

static unsigned answer_metric(enum destination_kind kind)
{
	switch (kind) {
	case DESTINATION_MESHED:
		return METRIC_DISCOVERY_MESHED;
	case DESTINATION_PLAINTEXT:
		return METRIC_DISCOVERY_PLAIN;
	case DESTINATION_UNKNOWN:
		return METRIC_DISCOVERY_UNKNOWN;
	}
	return METRIC_DISCOVERY_UNKNOWN;
}

/* To every worker, not only the one that subscribed: any worker may accept the next connection. */
static void on_answer(void *arg, struct answer *answer)
{
	struct sidecar *sidecar = arg;
	metric_add(sidecar_shard(sidecar), answer_metric(answer->kind), 1);
	for (unsigned i = 0; i < sidecar->num_workers; i++)
		worker_put_answer(sidecar->workers[i], answer);
}

/* --- from the workers --- */

struct subscribe_message {
	struct loop_message message;
	struct sidecar *sidecar;
	struct addr destination;
};

static void deliver_subscribe(struct loop_message *message)
{
	struct subscribe_message *subscribe = container_of(message, struct subscribe_message, message);
	discovery_client_subscribe(subscribe->sidecar->discovery, &subscribe->destination);
	mem_free(subscribe);
}

void sidecar_subscribe(void *arg, const struct addr *destination)
{
	struct subscribe_message *subscribe = mem_new(struct subscribe_message);
	subscribe->sidecar = ((struct worker_place *)arg)->sidecar;
	subscribe->destination = *destination;
	loop_post(subscribe->sidecar->loop, &subscribe->message, deliver_subscribe);
}

/* --- create and free --- */

static size_t own_addresses(struct ip_addr out[2])
{
	size_t num = 0;
	num += own_address_find(AF_INET, &out[num]) ? 1 : 0;
	num += own_address_find(AF_INET6, &out[num]) ? 1 : 0;
	return num;
}

static enum err identity_make(struct sidecar *sidecar, struct why *why)
{
	const struct sidecar_config *config = sidecar->config;
	RETURN_IF_ERR(state_folder_open(config->state_dir, &sidecar->state, why));
	sidecar_kept_open(sidecar);
	struct identity_options options = {
		.loop = sidecar->loop,
		.context = sidecar->client_context,
		.state = sidecar->state,
		.trust_domain = config->trust_domain,
		.address = config->control_address,
		.token_file = config->token_file,
		.kubernetes_token_file = config->kubernetes_token_file,
		.unix_peer = config->unix_peer,
		.x509_certificate_file = config->x509_certificate_file,
		.x509_key_file = config->x509_key_file,
		.bootstrap_root_sha256 = config->has_bootstrap_root ? config->bootstrap_root_sha256 : NULL,
		.claims_address = config->claims_address,
		.release = sidecar->options.release,
		.zone = config->zone,
		.own_addresses = own_addresses,
		.on_credentials = on_credentials,
		.on_time = on_time,
		.on_connection = on_connection,
		.on_event = on_event,
		.keeps_svid = config->keeps_svid,
		.on_outage = sidecar_kept_on_outage,
		.arg = sidecar,
	};
	return sidecar_identity_new(sidecar, &options, why);
}

/* The names of the services that listeners lead to; borrowed from the settings. */
static size_t named_services(const struct listeners *listeners, const char *out[LISTENERS_MAX])
{
	size_t num = 0;
	for (size_t i = 0; i < listeners->num_outbound; i++)
		if (listeners->outbound[i].service[0] != '\0')
			out[num++] = listeners->outbound[i].service;
	return num;
}

enum err sidecar_clients_new(struct sidecar *sidecar, struct why *why)
{
	RETURN_IF_ERR(identity_make(sidecar, why));
	sidecar->minimum = sidecar_config_minimum(sidecar->config);
	const char *services[LISTENERS_MAX];
	size_t num_services = named_services(&sidecar->config->listeners, services);
	sidecar->discovery = discovery_client_new(&(struct discovery_options){
		.loop = sidecar->loop,
		.services = services,
		.num_services = num_services,
		.own_domain = sidecar->config->trust_domain,
		.release = sidecar->options.release,
		.on_mesh = on_mesh,
		.on_answer = on_answer,
		.on_stale = sidecar_kept_on_stale,
		.arg = sidecar,
	});
	return ERR_NONE;
}

void sidecar_minimum_changed(struct sidecar *sidecar)
{
	policy_unref(sidecar->minimum);
	sidecar->minimum = sidecar_config_minimum(sidecar->config);
	sidecar_formers_send_modes(sidecar);
	if (sidecar->sent_policy != NULL)
		tighten(sidecar);
}

void sidecar_clients_free(struct sidecar *sidecar)
{
	if (sidecar->discovery != NULL)
		discovery_client_free(sidecar->discovery);
	sidecar_identity_free(sidecar);
	if (sidecar->state != NULL)
		state_folder_free(sidecar->state);
	policy_unref(sidecar->minimum);
	policy_unref(sidecar->sent_policy);
	policy_unref(sidecar->policy);
	json_decref(sidecar->policy_warnings);
}
