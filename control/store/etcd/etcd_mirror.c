/* What comes from etcd, in memory. */
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "control/store/etcd/store_etcd_private.h"

/* The store's key, which the caller frees; NULL: no key of a store. */
static char *key_of(const struct etcd_store *etcd, struct span key)
{
	if (!span_starts_with(key, etcd->prefix) || key.len == etcd->prefix.len ||
		key.len - etcd->prefix.len > STORE_KEY_MAX || memchr(key.ptr, 0, key.len) != NULL)
		return NULL;
	struct span own = span_from(key, etcd->prefix.len);
	return mem_printf("%.*s", (int)own.len, (const char *)own.ptr);
}

static bool read_value(const char *key, const struct etcd_record *record, struct span *out)
{
	struct span writer;
	if (etcd_value_parse(record->value, &writer, out) == ERR_NONE && out->len <= STORE_VALUE_MAX)
		return true;
	log_warning("store",
		"the record %.100s is ignored; expected: a value that a control plane wrote; fix: remove that key of "
		"etcd if an operator made it, else restore etcd from a backup",
		key);
	return false;
}

static bool is_outdated(const struct etcd_store *etcd, const char *key, uint64_t version)
{
	const struct mirror_entry *known = mirror_find(&etcd->store.mirror, key);
	const struct mirror_entry *gone = mirror_find(&etcd->removed, key);
	return (known != NULL && known->version >= version) || (gone != NULL && gone->version >= version);
}

void etcd_take_record(struct etcd_store *etcd, const struct etcd_record *record)
{
	_cleanup_(mem_freep) char *key = key_of(etcd, record->key);
	struct span value = {0};
	if (key == NULL || is_outdated(etcd, key, record->version))
		return;
	if (record->value.ptr != NULL && !read_value(key, record, &value))
		return;
	if (value.ptr != NULL || mirror_find(&etcd->store.mirror, key) != NULL)
		store_apply(&etcd->store, key, value, record->version);
}

void etcd_note_seen(struct etcd_store *etcd, const struct etcd_record *record)
{
	_cleanup_(mem_freep) char *key = key_of(etcd, record->key);
	struct span value;
	if (key != NULL && read_value(key, record, &value))
		mirror_put(&etcd->seen, key, value, record->version);
}

/* Gone by that revision. What is newer is this process's own work, and its event follows. */
static void drop_what_is_gone(struct etcd_store *etcd)
{
	const struct mirror *mirror = &etcd->store.mirror;
	for (size_t at = 0; at < mirror->num_entries;) {
		const struct mirror_entry *entry = &mirror->entries[at];
		bool holds = entry->version > etcd->listed || mirror_find(&etcd->seen, entry->key) != NULL;
		_cleanup_(mem_freep) char *key = mem_strdup(entry->key);
		if (!holds)
			store_apply(&etcd->store, key, span_of(NULL, 0), entry->version);
		at = mirror_lower_bound(mirror, key) + (holds ? 1 : 0); /* a watch of the store may change others */
	}
}

void etcd_take_state(struct etcd_store *etcd)
{
	drop_what_is_gone(etcd);
	for (size_t i = 0; i < etcd->seen.num_entries; i++) {
		const struct mirror_entry *seen = &etcd->seen.entries[i];
		if (!is_outdated(etcd, seen->key, seen->version))
			store_apply(&etcd->store, seen->key, span_of(seen->bytes, seen->len), seen->version);
	}
	mirror_done(&etcd->seen);
	etcd_note_watched(etcd, etcd->listed);
}

void etcd_note_watched(struct etcd_store *etcd, uint64_t revision)
{
	if (revision > etcd->watched)
		etcd->watched = revision;
	for (size_t i = etcd->removed.num_entries; i > 0; i--) {
		const struct mirror_entry *gone = &etcd->removed.entries[i - 1];
		_cleanup_(mem_freep) char *key = mem_strdup(gone->key);
		if (gone->version <= etcd->watched)
			mirror_remove(&etcd->removed, key);
	}
}
