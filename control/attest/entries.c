/* Attestation entries: those of the settings, and those that an operator has made. */
#include "base/core/check.h"
#include "base/core/mem.h"
#include "control/attest/attest_private.h"
#include "control/store/record.h"
#include <string.h>

#define ENTRY_PREFIX  "entry/"
#define ENTRY_KEY_MAX (sizeof ENTRY_PREFIX + WORKLOAD_ENTRY_NAME_MAX)
#define STORED_MAX    4096 /* each is compared at each attestation */

_Static_assert(ENTRY_KEY_MAX <= STORE_KEY_MAX, "a key of the store");

static void entry_key(const char *name, char out[ENTRY_KEY_MAX])
{
	size_t len = strlen(name);
	CHECK(len <= WORKLOAD_ENTRY_NAME_MAX);
	memcpy(out, ENTRY_PREFIX, sizeof ENTRY_PREFIX);
	memcpy(out + sizeof ENTRY_PREFIX - 1, name, len + 1);
}

/* --- records --- */

static enum err encode(const struct workload_entry *entry, struct buf *out)
{
	RETURN_IF_ERR(record_put(out, "name", span_of_str(entry->name)));
	RETURN_IF_ERR(record_put(out, "id", spiffe_id_text(&entry->id)));
	for (size_t i = 0; i < entry->selectors.num; i++)
		RETURN_IF_ERR(record_put(out, "selector", span_of_str(entry->selectors.texts[i])));
	return record_put_number(out, "ttl", entry->ttl_s);
}

/* What a later release has written may not be understood here: then it gives no identity. */
static bool parse(struct span record, const struct trust_domain *domain, struct workload_entry *out)
{
	struct span name, id, selector;
	if (!record_get(record, "name", 0, &name) || !record_get(record, "id", 0, &id))
		return false;
	out->name = mem_printf("%.*s", (int)name.len, (const char *)name.ptr);
	out->ttl_s = record_number(record, "ttl", 0);
	if (spiffe_id_parse(id, &out->id, NULL) != ERR_NONE)
		return false;
	for (size_t i = 0; record_get(record, "selector", i, &selector); i++)
		if (workload_entry_add_selector(out, selector, NULL) != ERR_NONE)
			return false;
	return workload_entry_check(out, domain, NULL) == ERR_NONE;
}

void attest_entries_done(struct attest *attest)
{
	for (size_t i = 0; i < attest->stored.num; i++)
		workload_entry_done(&attest->stored.entries[i]);
	mem_free(attest->stored.entries);
	attest->stored.entries = NULL;
	attest->stored.num = 0;
}

static void read_one(void *arg, _unused_ const char *key, const struct store_value *value)
{
	struct attest *attest = arg;
	struct workload_entry entry = {0};
	if (attest->stored.num < attest->stored.count.num && parse(value->bytes, &attest->domain, &entry))
		attest->stored.entries[attest->stored.num++] = entry;
	else
		workload_entry_done(&entry);
}

static void count_one(void *arg, _unused_ const char *key, const struct store_value *value)
{
	struct entry_count *count = arg;
	count->num++;
	count->versions += value->version; /* versions only grow: each change makes another sum */
}

/* Records are parsed again only after one of them has changed. */
static void read_stored(struct attest *attest)
{
	struct entry_count count = {0};
	store_list(attest->store, ENTRY_PREFIX, count_one, &count);
	if (count.num == attest->stored.count.num && count.versions == attest->stored.count.versions)
		return;
	attest_entries_done(attest);
	attest->stored.count = count;
	attest->stored.entries = mem_calloc(count.num + 1, sizeof *attest->stored.entries);
	store_list(attest->store, ENTRY_PREFIX, read_one, attest);
}

/* --- all of them --- */

void attest_entry_each(struct attest *attest, attest_entry_each_fn *on_entry, void *arg)
{
	read_stored(attest);
	for (size_t i = 0; i < attest->num_entries; i++)
		on_entry(arg, &attest->entries[i], false);
	for (size_t i = 0; i < attest->stored.num; i++)
		on_entry(arg, &attest->stored.entries[i], true);
}

struct placing { /* whether an entry can stand beside all others */
	const struct workload_entry *entry;
	enum err err;
	struct why *detail;
};

static void check_one(void *arg, const struct workload_entry *other, bool is_stored)
{
	struct placing *placing = arg;
	if (placing->err != ERR_NONE)
		return;
	if (strcmp(placing->entry->name, other->name) == 0)
		placing->err = why_set(placing->detail, ERR_EXISTS, "a name of its own for each entry",
			is_stored ? "delete that one first: `handfast entry delete`" : "choose another name",
			"there is an entry %s%s", other->name, is_stored ? "" : " in the settings");
	else
		placing->err = workload_entry_check_beside(placing->entry, other, placing->detail);
}

enum err attest_entry_create(
	struct attest *attest, const struct workload_entry *entry, store_done_fn *on_done, void *arg, struct why *why)
{
	_cleanup_(buf_done) struct buf record = BUF_INIT(STORE_VALUE_MAX);
	struct placing placing = {.entry = entry, .detail = why};
	char key[ENTRY_KEY_MAX];
	RETURN_IF_ERR(workload_entry_check(entry, &attest->domain, why));
	attest_entry_each(attest, check_one, &placing);
	RETURN_IF_ERR(placing.err);
	if (attest->stored.count.num >= STORED_MAX)
		return why_set(why, ERR_LIMIT, "at most 4096 entries", "delete those that are not used",
			"there are %zu", attest->stored.count.num);
	RETURN_IF_ERR(encode(entry, &record));
	entry_key(entry->name, key);
	store_swap(attest->store, key, 0, buf_span(&record), on_done, arg);
	return ERR_NONE;
}

enum err attest_entry_delete(
	struct attest *attest, struct span name, store_done_fn *on_done, void *arg, struct why *why)
{
	struct store_value value;
	char key[ENTRY_KEY_MAX];
	RETURN_IF_ERR(workload_entry_name_check(name, why));
	_cleanup_(mem_freep) char *text = mem_printf("%.*s", (int)name.len, (const char *)name.ptr);
	for (size_t i = 0; i < attest->num_entries; i++)
		if (strcmp(attest->entries[i].name, text) == 0)
			return why_set(why, ERR_DENIED, "an entry that `handfast entry create` has made",
				"remove it from attestation.entries, and reload", "entry %s is in the settings", text);
	entry_key(text, key);
	if (!store_get(attest->store, key, &value))
		return why_set(why, ERR_NOT_FOUND, "an entry of that name", "see `handfast entry list`",
			"there is no entry %s", text);
	store_swap(attest->store, key, value.version, span_of(NULL, 0), on_done, arg);
	return ERR_NONE;
}

/* --- which one decides --- */

static void consider(void *arg, const struct workload_entry *entry, _unused_ bool is_stored)
{
	workload_choice_consider(arg, entry);
}

struct confirming {
	struct workload_choice choice;
	enum err err;
	struct why *detail;
};

static void confirm(void *arg, const struct workload_entry *entry, _unused_ bool is_stored)
{
	struct confirming *confirming = arg;
	if (confirming->err == ERR_NONE)
		confirming->err = workload_choice_confirm(&confirming->choice, entry, confirming->detail);
}

enum err attest_choose(
	struct attest *attest, const struct selector_set *facts, const struct workload_entry **out, struct why *why)
{
	struct confirming confirming = {.choice.facts = facts, .detail = why};
	attest_entry_each(attest, consider, &confirming.choice);
	if (confirming.choice.best == NULL)
		return why_set(why, ERR_DENIED, "an entry whose selectors are all proven",
			"make one: `handfast entry create`, or attestation.entries", "no entry fits%s%s",
			facts->num > 0 ? "; proven is " : "", facts->num > 0 ? facts->texts[facts->num - 1] : "");
	attest_entry_each(attest, confirm, &confirming);
	*out = confirming.choice.best;
	return confirming.err;
}
