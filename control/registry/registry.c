#include "control/registry/registry.h"

#include "base/core/log.h"
#include "base/core/mem.h"
#include "control/registry/claim.h"
#include "control/registry/registry_private.h"

struct claim *registry_find(const struct registry *registry, const struct ip_addr *ip)
{
	for (struct claim *claim = registry->claims[registry_bucket(ip)]; claim != NULL; claim = claim->next)
		if (ip_addr_eq(&claim->ip, ip))
			return claim;
	return NULL;
}

unsigned registry_bucket(const struct ip_addr *ip)
{
	const struct addr addr = {.ip = *ip};
	return (unsigned)(addr_hash(&addr, 0) % REGISTRY_BUCKETS);
}

static void insert(struct registry *registry, struct claim *claim)
{
	struct claim **bucket = &registry->claims[registry_bucket(&claim->ip)];
	claim->next = *bucket;
	*bucket = claim;
}

static void unlink_claim(struct registry *registry, struct claim *claim)
{
	struct claim **at = &registry->claims[registry_bucket(&claim->ip)];
	while (*at != claim)
		at = &(*at)->next;
	*at = claim->next;
}

static void changed(struct registry *registry)
{
	if (registry->observer.on_change != NULL)
		registry->observer.on_change(registry->observer.arg);
}

/* The store is the truth; the claims here follow it, whoever changed it. */
static void on_store_change(struct store_watch *watch, const char *key, const struct store_value *value)
{
	struct registry *registry = container_of(watch, struct registry, watch);
	struct claim *fresh = NULL;
	struct why why = {0};
	struct ip_addr ip;
	if (ip_addr_parse(span_of_str(key + strlen(CLAIM_KEY_PREFIX)), &ip) != ERR_NONE)
		return;
	struct claim *known = registry_find(registry, &ip);
	if (value != NULL && claim_parse(key, value->bytes, &fresh, &why) != ERR_NONE) {
		log_why(LOG_LEVEL_ERROR, "registry", "an entry of the store is ignored", &why);
		return;
	}
	if (fresh != NULL) {
		fresh->version = value->version;
		if (known != NULL && spiffe_id_eq(&known->id, &fresh->id))
			fresh->num_live = known->num_live;
		insert(registry, fresh);
	}
	if (known != NULL) {
		unlink_claim(registry, known);
		claim_free(known);
	}
	changed(registry);
}

static void on_stored(void *arg, const char *key, const struct store_value *value)
{
	struct registry *registry = arg;
	struct claim *claim = NULL;
	struct why why = {0};
	if (claim_parse(key, value->bytes, &claim, &why) != ERR_NONE) {
		log_why(LOG_LEVEL_ERROR, "registry", "an entry of the store is ignored", &why);
		return;
	}
	claim->version = value->version;
	insert(registry, claim);
}

struct registry *registry_new(struct loop *loop, struct store *store, const struct control_config *config,
	const struct registry_observer *observer)
{
	struct registry *registry = mem_new(struct registry);
	registry->loop = loop;
	registry->store = store;
	registry->config = config;
	registry->observer = *observer;
	store_list(store, CLAIM_KEY_PREFIX, on_stored, registry);
	store_watch_start(store, &registry->watch, CLAIM_KEY_PREFIX, on_store_change);
	registry_grace_start(registry);
	return registry;
}

void registry_free(struct registry *registry)
{
	loop_timer_stop(&registry->grace);
	store_watch_stop(&registry->watch);
	for (size_t i = 0; i < REGISTRY_BUCKETS; i++)
		while (registry->claims[i] != NULL) {
			struct claim *claim = registry->claims[i];
			registry->claims[i] = claim->next;
			claim_free(claim);
		}
	mem_free(registry);
}

void registry_set_config(struct registry *registry, const struct control_config *config)
{
	registry->config = config;
	changed(registry);
}

struct release { /* of an address, until it is durable */
	struct registry *registry;
	struct spiffe_id id; /* whose claim it was */
	struct ip_addr ip;
};

static void on_released(void *arg, enum err err, uint64_t version);

/* Whether the claim is still there to be released. */
static bool try_release(struct release *release)
{
	char key[ADDR_TEXT_MAX + sizeof(CLAIM_KEY_PREFIX)];
	const struct claim *claim = registry_find(release->registry, &release->ip);
	if (claim == NULL || !spiffe_id_eq(&claim->id, &release->id))
		return false;
	claim_key(&release->ip, key);
	store_swap(release->registry->store, key, claim->version, span_of(NULL, 0), on_released, release);
	return true;
}

/* A conflict: the claim grew older or came back meanwhile; a release is not lost for that. */
static void on_released(void *arg, enum err err, _unused_ uint64_t version)
{
	struct release *release = arg;
	char text[ADDR_TEXT_MAX];
	if (err == ERR_CONFLICT && try_release(release))
		return;
	if (err != ERR_NONE && err != ERR_CONFLICT)
		log_error("registry", "the release of %s could not be stored, and its claim stays: %s",
			ip_addr_format(&release->ip, text), err_text(err));
	spiffe_id_done(&release->id);
	mem_free(release);
}

bool registry_release(struct registry *registry, const struct spiffe_id *id, const struct ip_addr *ip)
{
	const struct claim *claim = registry_find(registry, ip);
	if (claim == NULL || (id != NULL && !spiffe_id_eq(&claim->id, id)))
		return false;
	struct release *release = mem_new(struct release);
	release->registry = registry;
	release->ip = *ip;
	spiffe_id_copy(&claim->id, &release->id);
	return try_release(release);
}

void registry_each_claim(const struct registry *registry, registry_claim_each_fn *each, void *arg)
{
	for (size_t i = 0; i < REGISTRY_BUCKETS; i++)
		for (const struct claim *claim = registry->claims[i]; claim != NULL; claim = claim->next)
			each(arg, &claim->ip, &claim->id, claim->num_live > 0, claim->has_ended);
}
