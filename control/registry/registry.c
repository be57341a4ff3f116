#include "control/registry/registry.h"
#include "base/core/check.h"

#include "base/core/log.h"
#include "base/core/mem.h"
#include "control/registry/claim.h"
#include "control/registry/registry_private.h"

enum { START_LINGER_MS = 30000 };

static void freed(struct registry *registry, const struct ip_addr *ip)
{
	if (registry->observer.on_freed != NULL)
		registry->observer.on_freed(registry->observer.arg, ip);
}

bool registry_holds(const struct registry *registry, const struct spiffe_id *id, const struct ip_addr *ip)
{
	const struct claim *claim = registry_find(registry, ip);
	return claim != NULL && !claim->has_ended && spiffe_id_eq(&claim->id, id);
}

/* The same owner: the state in memory (streams, the linger timer) stays. */
static void claim_update(struct registry *registry, struct claim *known, const struct claim *fresh)
{
	struct member *member = registry_member(registry, &known->id);
	CHECK(member != NULL && known->place->claim == known);
	bool ends = fresh->has_ended != known->has_ended;
	uint32_t zone_before = registry_zone(known->place);
	known->away_ms = fresh->away_ms;
	memcpy(known->key_hash, fresh->key_hash, DIGEST_LEN);
	known->version = fresh->version;
	memcpy(known->replica, fresh->replica, sizeof known->replica);
	known->is_draining = fresh->is_draining;
	known->zone = fresh->zone;
	known->has_ended = fresh->has_ended;
	if (ends) {
		CHECK(!known->has_ended || member->num_claims > 0);
		member->num_claims = known->has_ended ? member->num_claims - 1 : member->num_claims + 1;
	}
	/* Without a stream the record may be that of an attempt, which counts its stream right after. */
	if (known->num_live > 0)
		registry_sync(registry, known);
	registry_review(registry, known);
	if (registry_zone(known->place) != zone_before)
		registry_changed(registry, NULL, &known->id);
	if (!ends)
		return;
	registry_changed(registry, &known->ip, NULL);
	freed(registry, &known->ip);
}

static void claim_drop(struct registry *registry, struct claim *claim)
{
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
	struct ip_addr ip = claim->ip;
	spiffe_id_copy(&claim->id, &id);
	registry_drop_claim(registry, claim);
	registry_changed(registry, &ip, &id);
	freed(registry, &ip);
}

/* AWAY until a stream is counted: the caller that stored the claim counts its stream right after. */
static void claim_add(struct registry *registry, struct claim *claim)
{
	registry_add_claim(registry, claim);
	claim->shown = (uint8_t)registry_presence(claim->place);
	registry_changed(registry, &claim->ip, &claim->id);
}

/* The store is authoritative; the claims in memory follow every change of it. */
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
		log_why(LOG_LEVEL_ERROR, "registry", "a record of the store is ignored", &why);
		return;
	}
	if (fresh != NULL)
		fresh->version = value->version;
	if (fresh != NULL && known != NULL && spiffe_id_eq(&known->id, &fresh->id)) {
		claim_update(registry, known, fresh);
		claim_free(fresh);
		return;
	}
	if (known != NULL)
		claim_drop(registry, known);
	if (fresh != NULL)
		claim_add(registry, fresh);
}

/* After a start the sidecars reconnect one by one. Endpoints from before the start stay in the services meanwhile: the
 * first few to reconnect do not get all calls, and a reconnect changes no answer. */
static void on_stored(void *arg, const char *key, const struct store_value *value)
{
	struct registry *registry = arg;
	struct claim *claim = NULL;
	struct why why = {0};
	if (claim_parse(key, value->bytes, &claim, &why) != ERR_NONE) {
		log_why(LOG_LEVEL_ERROR, "registry", "a record of the store is ignored", &why);
		return;
	}
	claim->version = value->version;
	registry_add_claim(registry, claim);
	if (claim->away_ms == 0)
		registry_linger(registry, claim, START_LINGER_MS);
	claim->shown = (uint8_t)registry_presence(claim->place);
}

struct release { /* of an address, until it is durable */
	struct list_link link;
	struct registry *registry;
	struct spiffe_id id; /* whose claim it was */
	struct ip_addr ip;
	bool is_operators;
	registry_released_fn *on_released; /* may be NULL */
	void *arg;
};

static void on_released(void *arg, enum err err, uint64_t version);

static void release_free(struct release *release)
{
	list_remove(&release->link);
	spiffe_id_done(&release->id);
	mem_free(release);
}

static void releases_free(struct registry *registry)
{
	LIST_EACH_REMOVABLE(&registry->releases, struct release, release, link)
		release_free(release);
}

struct registry *registry_new(struct loop *loop, struct store *store, const struct control_config *config,
	const struct registry_observer *observer)
{
	CHECK(config != NULL);
	struct registry *registry = mem_new(struct registry);
	registry->loop = loop;
	registry->store = store;
	registry->config = config;
	registry->observer = *observer;
	registry_index_init(registry);
	registry_index_config(registry);
	store_list(store, CLAIM_KEY_PREFIX, on_stored, registry);
	store_watch_start(store, &registry->watch, CLAIM_KEY_PREFIX, on_store_change);
	registry_grace_start(registry);
	return registry;
}

void registry_free(struct registry *registry)
{
	loop_timer_stop(&registry->grace);
	store_watch_stop(&registry->watch);
	registry_attempts_free(registry);
	releases_free(registry);
	registry_replicas_done(registry);
	registry_index_done(registry);
	mem_free(registry);
}

void registry_set_config(struct registry *registry, const struct control_config *config)
{
	registry_forget_config(registry);
	registry->config = config;
	registry->has_warned_of_v4 = registry->has_warned_of_v6 = false;
	registry_index_config(registry);
	if (registry->observer.on_change != NULL)
		registry->observer.on_change(registry->observer.arg, NULL);
	freed(registry, NULL);
}

void registry_set_source(struct registry *registry, const struct registry_source *source)
{
	registry->source = *source;
	if (registry->observer.on_change != NULL)
		registry->observer.on_change(registry->observer.arg, NULL);
}

void registry_source_changed(struct registry *registry, const struct ip_addr *ip)
{
	if (registry->observer.on_change != NULL)
		registry->observer.on_change(registry->observer.arg, ip);
}

/* Whether the claim still exists. */
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

/* A conflict: the time away was stored, or the sidecar came back; the release is tried again. */
static void on_released(void *arg, enum err err, _unused_ uint64_t version)
{
	struct release *release = arg;
	char text[ADDR_TEXT_MAX];
	struct why why = {0};
	if (err == ERR_CONFLICT && try_release(release))
		return;
	if (err == ERR_CONFLICT) /* another command released it */
		err = ERR_NONE;
	ip_addr_format(&release->ip, text);
	store_explain(release->registry->store, err, &why);
	if (err == ERR_NONE)
		log_notice("audit", "released: %s, held by %s, by %s", text, release->id.text,
			release->is_operators ? "an operator" : "itself");
	else
		log_error("audit", "a release failed: %s, held by %s: %s", text, release->id.text, why.got);
	if (release->on_released != NULL)
		release->on_released(release->arg, err, &why);
	release_free(release);
}

bool registry_release(struct registry *registry, const struct spiffe_id *id, const struct ip_addr *ip,
	registry_released_fn *on_done, void *arg)
{
	const struct claim *claim = registry_find(registry, ip);
	if (claim == NULL || (id != NULL && !spiffe_id_eq(&claim->id, id)))
		return false;
	struct release *release = mem_new(struct release);
	*release = (struct release){
		.registry = registry, .ip = *ip, .is_operators = id == NULL, .on_released = on_done, .arg = arg};
	spiffe_id_copy(&claim->id, &release->id);
	list_push_front(&registry->releases, &release->link);
	CHECK(try_release(release)); /* the claim was found above: its answer comes from the store */
	return true;
}

struct claim_listing {
	const struct registry *registry;
	registry_claim_each_fn *each;
	void *arg;
};

static void list_claim(void *arg, struct place *place)
{
	const struct claim_listing *listing = arg;
	const struct claim *claim = place->claim;
	if (claim != NULL)
		listing->each(listing->arg,
			&(struct registry_claim_view){&claim->ip, &claim->id, claim->key_hash, claim->has_ended});
}

void registry_each_claim(const struct registry *registry, registry_claim_each_fn *each, void *arg)
{
	struct claim_listing listing = {registry, each, arg};
	registry_each_place(registry, list_claim, &listing);
}

uint64_t registry_num_resolutions(const struct registry *registry)
{
	return registry->num_resolutions;
}

static bool any_of_family(const struct network *networks, size_t num, uint8_t family)
{
	for (size_t i = 0; i < num; i++)
		if (networks[i].base.family == family)
			return true;
	return false;
}

bool registry_note_address(struct registry *registry, const struct spiffe_id *id, const struct ip_addr *ip)
{
	const struct control_config *config = registry->config;
	bool *has_warned = ip->family == AF_INET ? &registry->has_warned_of_v4 : &registry->has_warned_of_v6;
	const char *name = ip->family == AF_INET ? "IPv4" : "IPv6";
	char text[ADDR_TEXT_MAX];
	if (config->num_networks == 0 || any_of_family(config->networks, config->num_networks, ip->family) ||
		any_of_family(config->plaintext_networks, config->num_plaintext_networks, ip->family))
		return false;
	if (!*has_warned)
		log_warning("registry",
			"mesh.networks has no %s network, and %s has %s: what it opens over %s leaves in plaintext; "
			"list the "
			"network under mesh.networks, or under mesh.plaintext_networks if that is meant",
			name, id->text, ip_addr_format(ip, text), name);
	*has_warned = true;
	return true;
}
