/* Places by address and members by identity, so that the cost of a change depends on what it changes alone. */
#include "base/core/check.h"
#include "base/core/mem.h"
#include "control/registry/registry_private.h"

static size_t place_bucket(const struct registry *registry, const struct ip_addr *ip)
{
	const struct addr addr = {.ip = *ip};
	return addr_hash(&addr, registry->seed) % REGISTRY_BUCKETS;
}

/* The seed is secret, and operators choose the identities: nothing stronger is needed. */
static uint64_t id_hash(const struct spiffe_id *id, uint64_t seed)
{
	struct span text = spiffe_id_text(id);
	uint64_t hash = seed;
	for (size_t i = 0; i < text.len; i++) {
		hash = (hash ^ text.ptr[i]) * 0x9e3779b97f4a7c15u;
		hash ^= hash >> 32;
	}
	return hash;
}

static size_t member_bucket(const struct registry *registry, const struct spiffe_id *id)
{
	return id_hash(id, registry->seed) % REGISTRY_BUCKETS;
}

struct place *registry_place(const struct registry *registry, const struct ip_addr *ip)
{
	struct place *place = registry->places[place_bucket(registry, ip)];
	while (place != NULL && !ip_addr_eq(&place->ip, ip))
		place = place->next;
	return place;
}

struct member *registry_member(const struct registry *registry, const struct spiffe_id *id)
{
	struct member *member = registry->members[member_bucket(registry, id)];
	while (member != NULL && !spiffe_id_eq(&member->id, id))
		member = member->next;
	return member;
}

struct claim *registry_find(const struct registry *registry, const struct ip_addr *ip)
{
	const struct place *place = registry_place(registry, ip);
	return place == NULL ? NULL : place->claim;
}

static struct place *place_for(struct registry *registry, const struct ip_addr *ip)
{
	struct place *place = registry_place(registry, ip);
	if (place != NULL)
		return place;
	struct place **bucket = &registry->places[place_bucket(registry, ip)];
	place = mem_new(struct place);
	place->ip = *ip;
	place->next = *bucket;
	*bucket = place;
	return place;
}

static void place_drop_if_empty(struct registry *registry, struct place *place)
{
	struct place **at = &registry->places[place_bucket(registry, &place->ip)];
	if (place->claim != NULL || place->service != NULL || place->entry != NULL || place->is_draining)
		return;
	while (*at != place)
		at = &(*at)->next;
	*at = place->next;
	mem_free(place);
}

static struct member *member_for(struct registry *registry, const struct spiffe_id *id)
{
	struct member *member = registry_member(registry, id);
	if (member != NULL)
		return member;
	struct member **bucket = &registry->members[member_bucket(registry, id)];
	member = mem_new(struct member);
	spiffe_id_copy(id, &member->id);
	member->last_claim = &member->claims;
	member->next = *bucket;
	*bucket = member;
	return member;
}

static void member_drop_if_empty(struct registry *registry, struct member *member)
{
	struct member **at = &registry->members[member_bucket(registry, &member->id)];
	if (member->claims != NULL || member->entries != NULL || member->services != NULL)
		return;
	while (*at != member)
		at = &(*at)->next;
	*at = member->next;
	spiffe_id_done(&member->id);
	mem_free(member);
}

void registry_add_claim(struct registry *registry, struct claim *claim)
{
	struct place *place = place_for(registry, &claim->ip);
	struct member *member = member_for(registry, &claim->id);
	CHECK(place->claim == NULL);
	place->claim = claim;
	claim->registry = registry;
	claim->place = place;
	claim->prev = member->last_claim;
	*member->last_claim = claim;
	member->last_claim = &claim->next;
	member->num_claims += !claim->has_ended;
}

void registry_drop_claim(struct registry *registry, struct claim *claim)
{
	struct place *place = claim->place;
	struct member *member = registry_member(registry, &claim->id);
	*claim->prev = claim->next;
	if (claim->next != NULL)
		claim->next->prev = claim->prev;
	else
		member->last_claim = claim->prev;
	member->num_claims -= !claim->has_ended;
	place->claim = NULL;
	place->is_draining = place->is_draining && place->entry != NULL;
	loop_timer_stop(&claim->linger);
	claim_free(claim);
	place_drop_if_empty(registry, place);
	member_drop_if_empty(registry, member);
}

/* --- the settings; of two lines about one address the first applies --- */

static void index_entries(struct registry *registry)
{
	const struct control_config *config = registry->config;
	for (size_t i = config->num_entries; i > 0;
		i--) { /* backwards, so that the lists are in the order of the settings */
		const struct config_entry *entry = &config->entries[i - 1];
		place_for(registry, &entry->address)->entry = entry;
	}
	for (size_t i = config->num_entries; i > 0; i--) {
		const struct config_entry *entry = &config->entries[i - 1];
		struct place *place = registry_place(registry, &entry->address);
		if (place->entry != entry)
			continue;
		struct member *member = member_for(registry, &entry->identity);
		place->next_entry = member->entries;
		member->entries = place;
	}
}

static void index_services(struct registry *registry)
{
	const struct control_config *config = registry->config;
	for (size_t i = config->num_services; i > 0; i--)
		place_for(registry, &config->services[i - 1].address)->service = &config->services[i - 1];
	for (size_t i = config->num_services; i > 0; i--) {
		const struct config_service *service = &config->services[i - 1];
		struct place *place = registry_place(registry, &service->address);
		if (place->service != service)
			continue;
		struct member *member = member_for(registry, &service->identity);
		place->next_service = member->services;
		member->services = place;
	}
}

static void forget_draining_without_owner(void *arg, struct place *place)
{
	place->is_draining = place->is_draining && (place->claim != NULL || place->entry != NULL);
	place_drop_if_empty(arg, place);
}

void registry_index_config(struct registry *registry)
{
	index_entries(registry);
	index_services(registry);
	registry_each_place(registry, forget_draining_without_owner, registry);
}

static void forget_settings_of(struct registry *registry, struct place *place)
{
	place->service = NULL;
	place->entry = NULL;
	place->next_entry = place->next_service = NULL;
	place_drop_if_empty(registry, place);
}

void registry_forget_config(struct registry *registry)
{
	for (size_t i = 0; i < REGISTRY_BUCKETS; i++) {
		for (struct place *place = registry->places[i], *next; place != NULL; place = next) {
			next = place->next;
			forget_settings_of(registry, place);
		}
		for (struct member *member = registry->members[i], *next; member != NULL; member = next) {
			next = member->next;
			member->entries = member->services = NULL;
			member_drop_if_empty(registry, member);
		}
	}
}

static void clear_place(void *arg, struct place *place)
{
	place->is_draining = false;
	if (place->claim != NULL)
		registry_drop_claim(arg, place->claim);
	else
		place_drop_if_empty(arg, place);
}

void registry_clear(struct registry *registry)
{
	registry_forget_config(registry);
	registry_each_place(registry, clear_place, registry);
}

void registry_each_place(const struct registry *registry, registry_place_fn *each, void *arg)
{
	for (size_t i = 0; i < REGISTRY_BUCKETS; i++)
		for (struct place *place = registry->places[i], *next; place != NULL; place = next) {
			next = place->next;
			each(arg, place);
		}
}
