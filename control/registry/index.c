/* Places by address and members by identity, so that the cost of a change depends on what it changes alone. */
#include "base/core/check.h"
#include "base/core/hash.h"
#include "base/core/mem.h"
#include "control/registry/registry_private.h"
#include <stdlib.h>
#include <string.h>

enum { PLACES_EXPECTED = 16384, MEMBERS_EXPECTED = 16384 };

static uint64_t place_hash(const struct registry *registry, const struct ip_addr *ip)
{
	const struct addr addr = {.ip = *ip};
	return addr_hash(&addr, registry->places.seed);
}

static uint64_t member_hash(const struct registry *registry, const struct spiffe_id *id)
{
	return hash_bytes(spiffe_id_text(id), registry->members.seed);
}

static bool has_ip(const struct table_link *link, const void *ip)
{
	return ip_addr_eq(&container_of(link, const struct place, link)->ip, ip);
}

static bool has_id(const struct table_link *link, const void *id)
{
	return spiffe_id_eq(&container_of(link, const struct member, link)->id, id);
}

struct place *registry_place(const struct registry *registry, const struct ip_addr *ip)
{
	struct table_link *link = table_find(&registry->places, place_hash(registry, ip), has_ip, ip);
	return link == NULL ? NULL : container_of(link, struct place, link);
}

struct member *registry_member(const struct registry *registry, const struct spiffe_id *id)
{
	struct table_link *link = table_find(&registry->members, member_hash(registry, id), has_id, id);
	return link == NULL ? NULL : container_of(link, struct member, link);
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
	place = mem_new(struct place);
	place->ip = *ip;
	table_add(&registry->places, &place->link, place_hash(registry, ip));
	return place;
}

static void place_drop_if_empty(struct registry *registry, struct place *place)
{
	if (place->claim != NULL || place->service != NULL || place->entry != NULL || place->is_draining)
		return;
	CHECK(!list_is_linked(&place->of_entries) && !list_is_linked(&place->of_services));
	table_remove(&registry->places, &place->link);
	mem_free(place);
}

static struct member *member_for(struct registry *registry, const struct spiffe_id *id)
{
	struct member *member = registry_member(registry, id);
	if (member != NULL)
		return member;
	member = mem_new(struct member);
	spiffe_id_copy(id, &member->id);
	table_add(&registry->members, &member->link, member_hash(registry, id));
	return member;
}

static void member_drop_if_empty(struct registry *registry, struct member *member)
{
	if (!list_is_empty(&member->claims) || !list_is_empty(&member->entries) || !list_is_empty(&member->services))
		return;
	CHECK(member->num_claims == 0);
	table_remove(&registry->members, &member->link);
	spiffe_id_done(&member->id);
	mem_free(member);
}

void registry_add_claim(struct registry *registry, struct claim *claim)
{
	struct place *place = place_for(registry, &claim->ip);
	struct member *member = member_for(registry, &claim->id);
	CHECK(place->claim == NULL && claim->place == NULL);
	place->claim = claim;
	claim->registry = registry;
	claim->place = place;
	list_push_back(&member->claims, &claim->link);
	member->num_claims += !claim->has_ended;
}

void registry_drop_claim(struct registry *registry, struct claim *claim)
{
	struct place *place = claim->place;
	struct member *member = registry_member(registry, &claim->id);
	CHECK(place->claim == claim && member != NULL && member->num_claims >= !claim->has_ended);
	list_remove(&claim->link);
	member->num_claims -= !claim->has_ended;
	place->claim = NULL;
	place->is_draining = place->is_draining && place->entry != NULL;
	place->zone = place->entry != NULL ? place->zone : 0;
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
		list_push_front(&member->entries, &place->of_entries);
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
		list_push_front(&member->services, &place->of_services);
	}
}

static int compare_names(const void *a, const void *b)
{
	const struct config_service *const *one = a, *const *other = b;
	return strcmp((*one)->name, (*other)->name);
}

static void index_names(struct registry *registry)
{
	const struct control_config *config = registry->config;
	if (config->num_services == 0)
		return;
	registry->services_by_name = mem_calloc(config->num_services, sizeof(*registry->services_by_name));
	for (size_t i = 0; i < config->num_services; i++)
		registry->services_by_name[i] = &config->services[i];
	qsort(registry->services_by_name, config->num_services, sizeof(*registry->services_by_name), compare_names);
}

const struct config_service *registry_service_named(const struct registry *registry, const char *name)
{
	size_t from = 0, to = registry->config->num_services;
	while (from < to) {
		size_t middle = from + (to - from) / 2;
		int order = strcmp(name, registry->services_by_name[middle]->name);
		if (order == 0)
			return registry->services_by_name[middle];
		if (order < 0)
			to = middle;
		else
			from = middle + 1;
	}
	return NULL;
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
	index_names(registry);
	registry_each_place(registry, forget_draining_without_owner, registry);
}

static void forget_settings_of(void *arg, struct place *place)
{
	place->service = NULL;
	place->entry = NULL;
	if (list_is_linked(&place->of_entries))
		list_remove(&place->of_entries);
	if (list_is_linked(&place->of_services))
		list_remove(&place->of_services);
	place_drop_if_empty(arg, place);
}

static void drop_member_if_empty(void *arg, struct table_link *link)
{
	member_drop_if_empty(arg, container_of(link, struct member, link));
}

void registry_forget_config(struct registry *registry)
{
	mem_free(TAKE_PTR(registry->services_by_name));
	registry_each_place(registry, forget_settings_of, registry);
	table_each(&registry->members, drop_member_if_empty, registry);
}

static void clear_place(void *arg, struct place *place)
{
	place->is_draining = false;
	place->zone = 0;
	if (place->claim != NULL)
		registry_drop_claim(arg, place->claim);
	else
		place_drop_if_empty(arg, place);
}

struct visit {
	registry_place_fn *each;
	void *arg;
};

static void visit_place(void *arg, struct table_link *link)
{
	const struct visit *visit = arg;
	visit->each(visit->arg, container_of(link, struct place, link));
}

void registry_each_place(const struct registry *registry, registry_place_fn *each, void *arg)
{
	struct visit visit = {each, arg};
	table_each(&registry->places, visit_place, &visit);
}

void registry_index_init(struct registry *registry)
{
	table_init(&registry->places, PLACES_EXPECTED);
	table_init(&registry->members, MEMBERS_EXPECTED);
}

void registry_index_done(struct registry *registry)
{
	registry_forget_config(registry);
	registry_each_place(registry, clear_place, registry);
	table_done(&registry->places);
	table_done(&registry->members);
}
