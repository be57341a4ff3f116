/* Several control planes with one store. Each renews a record of its presence; the record of a claim names the one that
 * has its owner's stream. So every control plane answers alike, a claim is not ended because its stream is at another
 * one, and one control plane alone counts how long claims are away. No clock of another host counts: a control plane is
 * present for some time after this one has seen its record change. */
#include "base/core/check.h"
#include "base/core/hex.h"
#include "base/core/mem.h"
#include "base/core/random.h"
#include "control/registry/registry_private.h"
#include "control/store/record.h"
#include <stdio.h>

#define PRESENCE_PREFIX "presence/"
enum {
	RENEWAL_MS = 10000, /* one write per control plane */
	PRESENT_MS = 35000, /* three renewals may fail; its sidecars are at another one long before */
	FORGET_MS = 600000, /* of a process that has ended */
	KEY_LEN = sizeof PRESENCE_PREFIX + CLAIM_REPLICA_LEN,
};

struct replica {
	struct list_link link;
	char id[CLAIM_REPLICA_LEN];
	uint64_t version, seen_ms;
	bool is_present;
};

struct sync { /* of one claim's record */
	struct list_link link;
	struct registry *registry;
	struct ip_addr ip;
};

static struct replica *find(const struct registry *registry, const char *id)
{
	struct list *replicas = (struct list *)(uintptr_t)&registry->replicas;
	LIST_EACH(replicas, struct replica, replica, link)
		if (strcmp(replica->id, id) == 0)
			return replica;
	return NULL;
}

bool registry_is_held_elsewhere(const struct registry *registry, const struct claim *claim)
{
	if (claim->replica[0] == '\0' || registry->own[0] == '\0' || strcmp(claim->replica, registry->own) == 0)
		return false;
	const struct replica *replica = find(registry, claim->replica);
	return replica != NULL && replica->is_present;
}

bool registry_is_counting(const struct registry *registry)
{
	struct list *replicas = (struct list *)(uintptr_t)&registry->replicas;
	LIST_EACH(replicas, const struct replica, replica, link)
		if (replica->is_present && strcmp(replica->id, registry->own) < 0)
			return false;
	return true;
}

/* --- a claim's record --- */

static void on_synced(void *arg, enum err err, uint64_t version)
{
	struct sync *sync = arg;
	struct registry *registry = sync->registry;
	struct claim *claim = registry_find(registry, &sync->ip);
	(void)version;
	list_remove(&sync->link);
	mem_free(sync);
	if (claim == NULL)
		return;
	claim->is_syncing = false;
	if (err != ERR_IO) /* on_renewal() comes back to it */
		registry_sync(registry, claim);
}

/* One that another control plane holds is left alone: the sidecar went there last. */
void registry_sync(struct registry *registry, struct claim *claim)
{
	_cleanup_(buf_done) struct buf record = BUF_INIT(STORE_VALUE_MAX);
	char key[ADDR_TEXT_MAX + sizeof(CLAIM_KEY_PREFIX)];
	struct claim fresh = *claim;
	bool is_own = strcmp(claim->replica, registry->own) == 0;
	bool is_live = claim->num_live > 0 || claim->is_lingering;
	if (registry->own[0] == '\0' || claim->has_ended || claim->is_syncing ||
		(!is_own && (claim->replica[0] != '\0' || claim->num_live == 0)))
		return;
	memcpy(fresh.replica, is_live ? registry->own : "", is_live ? sizeof fresh.replica : 1);
	fresh.is_draining = is_live && claim->place->is_draining;
	fresh.zone = is_live ? claim->place->zone : claim->zone;
	if (strcmp(fresh.replica, claim->replica) == 0 && fresh.is_draining == claim->is_draining &&
		fresh.zone == claim->zone)
		return;
	if (claim_encode(&fresh, &record) != ERR_NONE)
		return;
	struct sync *sync = mem_new(struct sync);
	*sync = (struct sync){.registry = registry, .ip = claim->ip};
	list_push_back(&registry->syncs, &sync->link);
	claim->is_syncing = true;
	claim_key(&claim->ip, key);
	store_swap(registry->store, key, claim->version, buf_span(&record), on_synced, sync);
}

/* --- the control planes --- */

static void review(void *arg, struct place *place)
{
	struct replica *replica = arg;
	if (place->claim != NULL && strcmp(place->claim->replica, replica->id) == 0)
		registry_review(place->claim->registry, place->claim);
}

static void set_present(struct registry *registry, struct replica *replica, bool is_present)
{
	if (replica->is_present == is_present)
		return;
	replica->is_present = is_present;
	registry_each_place(registry, review, replica);
}

static void take_record(struct registry *registry, const char *key, const struct store_value *value)
{
	const char *id = key + sizeof PRESENCE_PREFIX - 1;
	struct replica *replica = find(registry, id);
	if (strlen(id) != CLAIM_REPLICA_LEN - 1)
		return;
	if (value == NULL) {
		if (replica == NULL)
			return;
		set_present(registry, replica, false);
		list_remove(&replica->link);
		mem_free(replica);
		return;
	}
	if (replica == NULL) {
		replica = mem_new(struct replica);
		memcpy(replica->id, id, sizeof replica->id);
		list_push_back(&registry->replicas, &replica->link);
	}
	replica->version = value->version;
	replica->seen_ms = loop_now_ms(registry->loop);
	set_present(registry, replica, true);
}

static void on_change(struct store_watch *watch, const char *key, const struct store_value *value)
{
	take_record(container_of(watch, struct registry, replicas_watch), key, value);
}

static void on_stored(void *arg, const char *key, const struct store_value *value)
{
	take_record(arg, key, value);
}

static void presence_key(const char *id, char out[KEY_LEN])
{
	snprintf(out, KEY_LEN, PRESENCE_PREFIX "%s", id);
}

static void renew(struct registry *registry)
{
	_cleanup_(buf_done) struct buf record = BUF_INIT(128);
	const struct replica *own = find(registry, registry->own);
	char key[KEY_LEN];
	presence_key(registry->own, key);
	CHECK(record_put_number(&record, "renewed_ms", (int64_t)loop_now_ms(registry->loop)) == ERR_NONE);
	store_swap(registry->store, key, own == NULL ? 0 : own->version, buf_span(&record), NULL, NULL);
}

/* What could not be stored before. */
static void sync_place(void *arg, struct place *place)
{
	if (place->claim != NULL)
		registry_sync(arg, place->claim);
}

static void on_renewal(struct loop_timer *timer)
{
	struct registry *registry = container_of(timer, struct registry, renewal);
	uint64_t now_ms = loop_now_ms(registry->loop);
	bool is_cut_off = store_silent_ms(registry->store, NULL) >= STORE_CUT_OFF_MS;
	LIST_EACH_REMOVABLE(&registry->replicas, struct replica, replica, link) {
		char key[KEY_LEN];
		if (is_cut_off && replica->is_present) /* they may all be there: nothing of them can be seen */
			replica->seen_ms = now_ms;
		uint64_t silent_ms = now_ms - replica->seen_ms;
		presence_key(replica->id, key);
		if (silent_ms > PRESENT_MS)
			set_present(registry, replica, false);
		if (silent_ms > FORGET_MS && registry_is_counting(registry))
			store_swap(registry->store, key, replica->version, span_of(NULL, 0), NULL, NULL);
	}
	renew(registry);
	registry_each_place(registry, sync_place, registry);
	loop_timer_start(registry->loop, &registry->renewal, RENEWAL_MS, on_renewal);
}

void registry_share(struct registry *registry)
{
	uint8_t mark[(CLAIM_REPLICA_LEN - 1) / 2]; /* of this process: a new one has no streams yet */
	CHECK(registry->own[0] == '\0');
	random_bytes(mark, sizeof mark);
	hex_format(span_of(mark, sizeof mark), registry->own);
	store_list(registry->store, PRESENCE_PREFIX, on_stored, registry);
	store_watch_start(registry->store, &registry->replicas_watch, PRESENCE_PREFIX, on_change);
	on_renewal(&registry->renewal);
}

void registry_replicas_done(struct registry *registry)
{
	loop_timer_stop(&registry->renewal);
	store_watch_stop(&registry->replicas_watch);
	LIST_EACH_REMOVABLE(&registry->replicas, struct replica, replica, link) {
		list_remove(&replica->link);
		mem_free(replica);
	}
	LIST_EACH_REMOVABLE(&registry->syncs, struct sync, sync, link) {
		list_remove(&sync->link);
		mem_free(sync);
	}
}
