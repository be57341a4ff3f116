#include "control/federate/federation.h"

#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "control/federate/federation_private.h"

enum { SWEEP_MS = 1000 };

struct partner *federation_find(const struct federation *federation, struct span trust_domain)
{
	LIST_EACH(&federation->partners, struct partner, partner, link)
		if (span_eq(span_of_str(partner->settings.domain.name), trust_domain))
			return partner;
	return NULL;
}

static void on_record(struct store_watch *watch, const char *key, _unused_ const struct store_value *value)
{
	struct federation *federation = container_of(watch, struct federation, watch);
	struct partner *partner = federation_find(federation, span_of_str(key + strlen(PARTNER_RECORDS_PREFIX)));
	if (partner != NULL)
		partner_record_changed(partner);
}

/* --- the partners of the settings --- */

static const struct config_partner *settings_of(const struct control_config *config, const char *domain)
{
	for (size_t i = 0; i < config->federation.num_partners; i++)
		if (strcmp(config->federation.partners[i].domain.name, domain) == 0)
			return &config->federation.partners[i];
	return NULL;
}

struct removal {
	struct federation *federation;
	size_t num;
};

/* What it trusted ends with its record: trust.h distributes what the store has. */
static void remove_stranger(void *arg, const char *key, const struct store_value *value)
{
	struct removal *removal = arg;
	const char *domain = key + strlen(PARTNER_RECORDS_PREFIX);
	if (federation_find(removal->federation, span_of_str(domain)) != NULL)
		return;
	removal->num++;
	log_notice("audit", "the partner %s is removed: it is no longer in the settings", domain);
	store_swap(removal->federation->options.store, key, value->version, (struct span){0}, NULL, NULL);
}

/* Until one look finds none: a save that was under way, or a full disk, may have kept a record. */
static void on_sweep(struct loop_timer *timer)
{
	struct federation *federation = container_of(timer, struct federation, sweep);
	struct removal removal = {.federation = federation};
	store_list(federation->options.store, PARTNER_RECORDS_PREFIX, remove_stranger, &removal);
	if (removal.num > 0)
		loop_timer_start(federation->options.loop, &federation->sweep, SWEEP_MS, on_sweep);
}

static void drop_partners(struct federation *federation, const struct control_config *config)
{
	LIST_EACH_REMOVABLE(&federation->partners, struct partner, partner, link) {
		const struct config_partner *settings = settings_of(config, partner->settings.domain.name);
		if (settings != NULL && partner_has_settings(partner, settings))
			continue;
		list_remove(&partner->link);
		partner_free(partner);
	}
}

void federation_set_partners(struct federation *federation, const struct control_config *config)
{
	drop_partners(federation, config);
	for (size_t i = 0; i < config->federation.num_partners; i++) {
		const struct config_partner *settings = &config->federation.partners[i];
		if (federation_find(federation, span_of_str(settings->domain.name)) != NULL)
			continue;
		struct partner *partner =
			partner_new(federation->options.loop, federation->options.store, federation->options.metrics,
				federation->hint_min_s, federation->options.name_servers, settings);
		list_push_back(&federation->partners, &partner->link);
	}
	on_sweep(&federation->sweep);
	loop_timer_start(
		federation->options.loop, &federation->sweep, SWEEP_MS, on_sweep); /* saves that are under way */
}

/* --- its life --- */

static void open_endpoint(struct federation *federation)
{
	const struct control_config *config = federation->options.config;
	const struct endpoint_identity_options identity = {.loop = federation->options.loop,
		.issuer = federation->options.issuer,
		.certificate_file = config->federation.certificate,
		.key_file = config->federation.key};
	federation->identity = endpoint_identity_new(&identity);
	federation->endpoint = endpoint_new(&(struct endpoint_options){.loop = federation->options.loop,
		.listening_fd = federation->options.listening_fd,
		.identity = federation->identity,
		.page = &federation->own.page,
		.metrics = federation->options.metrics});
	log_notice("federate", "the bundle endpoint is open at port %u (%s)", config->federation.port,
		config->federation.certificate != NULL ? "https_web" : "https_spiffe");
}

struct federation *federation_new(const struct federation_options *options)
{
	struct federation *federation = mem_new(struct federation);
	const struct control_config *config = options->config;
	federation->options = *options;
	federation->hint_min_s = (uint32_t)(config->federation.refresh_min_ms / 1000);
	own_bundle_start(&federation->own, options->loop, options->store, &config->trust_domain,
		(uint32_t)(config->federation.refresh_hint_ms / 1000));
	if (options->listening_fd >= 0)
		open_endpoint(federation);
	store_watch_start(options->store, &federation->watch, PARTNER_RECORDS_PREFIX, on_record);
	federation_set_partners(federation, config);
	return federation;
}

void federation_free(struct federation *federation)
{
	if (federation == NULL)
		return;
	loop_timer_stop(&federation->sweep);
	LIST_EACH_REMOVABLE(&federation->partners, struct partner, partner, link) {
		list_remove(&partner->link);
		partner_free(partner);
	}
	store_watch_stop(&federation->watch);
	endpoint_free(federation->endpoint);
	if (federation->identity != NULL)
		endpoint_identity_free(federation->identity);
	own_bundle_stop(&federation->own);
	mem_free(federation);
}

void federation_trust_changed(struct federation *federation, struct bundle_set *bundles)
{
	own_bundle_changed(&federation->own, bundles);
}

void federation_root_replaced(struct federation *federation)
{
	if (federation->identity != NULL)
		endpoint_identity_renew(federation->identity);
}
