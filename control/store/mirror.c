#include "control/store/mirror.h"
#include "base/core/check.h"
#include "base/core/mem.h"

static void entry_done(struct mirror_entry *entry)
{
	mem_free(entry->key);
	mem_free(entry->bytes);
}

void mirror_done(struct mirror *mirror)
{
	for (size_t i = 0; i < mirror->num_entries; i++)
		entry_done(&mirror->entries[i]);
	mem_free(mirror->entries);
	*mirror = (struct mirror){0};
}

size_t mirror_lower_bound(const struct mirror *mirror, const char *key)
{
	size_t low = 0, high = mirror->num_entries;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (strcmp(mirror->entries[middle].key, key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_at(const struct mirror *mirror, size_t i, const char *key)
{
	return i < mirror->num_entries && strcmp(mirror->entries[i].key, key) == 0;
}

const struct mirror_entry *mirror_find(const struct mirror *mirror, const char *key)
{
	size_t i = mirror_lower_bound(mirror, key);
	return is_at(mirror, i, key) ? &mirror->entries[i] : NULL;
}

static void insert_at(struct mirror *mirror, size_t i, const char *key)
{
	if (mirror->num_entries == mirror->cap) {
		mirror->cap = mirror->cap == 0 ? 64 : 2 * mirror->cap;
		mirror->entries = mem_realloc(mirror->entries, mirror->cap * sizeof *mirror->entries);
	}
	CHECK(i <= mirror->num_entries && mirror->num_entries < mirror->cap);
	memmove(&mirror->entries[i + 1], &mirror->entries[i], (mirror->num_entries - i) * sizeof *mirror->entries);
	mirror->entries[i] = (struct mirror_entry){.key = mem_strdup(key)};
	mirror->num_entries++;
}

void mirror_put(struct mirror *mirror, const char *key, struct span value, uint64_t version)
{
	size_t i = mirror_lower_bound(mirror, key);
	if (!is_at(mirror, i, key))
		insert_at(mirror, i, key);
	struct mirror_entry *entry = &mirror->entries[i];
	uint8_t *fresh = mem_dup(value.ptr, value.len);
	mem_free(entry->bytes);
	entry->bytes = fresh;
	entry->len = value.len;
	entry->version = version;
}

void mirror_remove(struct mirror *mirror, const char *key)
{
	size_t i = mirror_lower_bound(mirror, key);
	if (!is_at(mirror, i, key))
		return;
	entry_done(&mirror->entries[i]);
	mirror->num_entries--;
	memmove(&mirror->entries[i], &mirror->entries[i + 1], (mirror->num_entries - i) * sizeof *mirror->entries);
}
