#include "control/config/workload_entry.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include <stdlib.h>
#include <string.h>

/* --- sets --- */

/* Where the text is, or where it belongs. */
static size_t find(const struct selector_set *set, const char *text, bool *out_is_there)
{
	size_t low = 0, high = set->num;
	*out_is_there = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(set->texts[middle], text);
		if (order == 0) {
			*out_is_there = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

void selector_set_add(struct selector_set *set, struct span text)
{
	_cleanup_(mem_freep) char *copy = mem_printf("%.*s", (int)text.len, (const char *)text.ptr);
	bool is_there;
	size_t at = find(set, copy, &is_there);
	if (is_there)
		return;
	if (set->num == set->cap) {
		set->cap = set->cap == 0 ? 8 : 2 * set->cap;
		set->texts = mem_realloc(set->texts, set->cap * sizeof *set->texts);
	}
	memmove(&set->texts[at + 1], &set->texts[at], (set->num - at) * sizeof *set->texts);
	set->texts[at] = TAKE_PTR(copy);
	set->num++;
}

void selector_set_done(struct selector_set *set)
{
	for (size_t i = 0; i < set->num; i++)
		mem_free(set->texts[i]);
	mem_free(set->texts);
	*set = (struct selector_set){0};
}

bool selector_set_has_all(const struct selector_set *set, const struct selector_set *wanted)
{
	size_t at = 0;
	for (size_t i = 0; i < wanted->num; i++) {
		while (at < set->num && strcmp(set->texts[at], wanted->texts[i]) < 0)
			at++;
		if (at == set->num || strcmp(set->texts[at], wanted->texts[i]) != 0)
			return false;
	}
	return true;
}

/* --- one entry --- */

void workload_entry_done(struct workload_entry *entry)
{
	mem_free(entry->name);
	spiffe_id_done(&entry->id);
	selector_set_done(&entry->selectors);
	*entry = (struct workload_entry){0};
}

enum err workload_entry_name_check(struct span name, struct why *why)
{
	bool is_good = name.len > 0 && name.len <= WORKLOAD_ENTRY_NAME_MAX;
	for (size_t i = 0; is_good && i < name.len; i++) {
		uint8_t c = name.ptr[i];
		is_good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
	}
	if (is_good)
		return ERR_NONE;
	return why_set(why, ERR_MALFORMED, "a name of 1 to 64 of a-z, 0-9, '.', '_' and '-'", "choose another name",
		"the entry's name is '%.*s'", (int)name.len, (const char *)name.ptr);
}

static bool is_hash(const char *value)
{
	return strlen(value) == 64 && strspn(value, "0123456789abcdef") == 64;
}

static bool is_lower(const char *value)
{
	for (; *value != '\0'; value++)
		if (*value >= 'A' && *value <= 'Z')
			return false;
	return true;
}

static bool is_any(const char *value)
{
	return *value != '\0';
}

/* As the kernel's number is written; 65534 stands for users without one. */
static bool is_id(const char *value)
{
	size_t len = strlen(value);
	return len <= 10 && strspn(value, "0123456789") == len && (len == 1 || value[0] != '0') &&
	       strcmp(value, "65534") != 0;
}

static bool is_unit(const char *value)
{
	size_t len = strlen(value);
	return strchr(value, '/') == NULL && ((len > 8 && strcmp(value + len - 8, ".service") == 0) ||
						     (len > 6 && strcmp(value + len - 6, ".scope") == 0));
}

static bool is_path(const char *value)
{
	return value[0] == '/';
}

static const struct selector_kind {
	const char *prefix;
	bool (*is_good)(const char *value);
	const char *expected;
} kinds[] = {
	{"unix:uid:", is_id, "the number of a user"},
	{"unix:gid:", is_id, "the number of a group"},
	{"unix:unit:", is_unit, "a service or scope of systemd, such as cart.service"},
	{"unix:cgroup:", is_path, "a path in the control group hierarchy, such as /system.slice/cart.service"},
	{"x509:subject:cn:", is_any, "the common name of a machine's certificate"},
	{"x509:san:dns:", is_lower, "a DNS name in lower case"},
	{"x509:san:uri:", is_any, "a URI"},
	{"x509:ca-fingerprint:", is_hash, "the SHA-256 of a CA certificate's DER, 64 hexadecimal digits in lower case"},
};

#define KINDS                                                                                                          \
	"unix:uid:, unix:gid:, unix:unit:, unix:cgroup:, x509:subject:cn:, x509:san:dns:, x509:san:uri: or "           \
	"x509:ca-fingerprint:"

static enum err check_selector(const char *text, struct why *why)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		size_t len = strlen(kinds[i].prefix);
		if (strncmp(text, kinds[i].prefix, len) != 0)
			continue;
		if (text[len] != '\0' && kinds[i].is_good(text + len))
			return ERR_NONE;
		return why_set(
			why, ERR_MALFORMED, kinds[i].expected, "correct the selector", "the selector is '%s'", text);
	}
	return why_set(why, ERR_MALFORMED, "a selector that begins with " KINDS, "correct the selector",
		"the selector is '%s'", text);
}

enum err workload_entry_add_selector(struct workload_entry *entry, struct span text, struct why *why)
{
	if (entry->selectors.num == WORKLOAD_ENTRY_SELECTORS_MAX)
		return why_set(why, ERR_LIMIT, "at most 16 selectors", "make several entries", "there are more");
	bool is_line = text.len > 0 && text.len <= WORKLOAD_SELECTOR_MAX;
	for (size_t i = 0; is_line && i < text.len; i++)
		is_line = text.ptr[i] >= ' ' && text.ptr[i] != 0x7f;
	if (!is_line)
		return why_set(why, ERR_MALFORMED, "a selector of 1 to 512 printable bytes", "correct the selector",
			"a selector has %zu bytes, or one that is not printable", text.len);
	_cleanup_(mem_freep) char *copy = mem_printf("%.*s", (int)text.len, (const char *)text.ptr);
	RETURN_IF_ERR(check_selector(copy, why));
	selector_set_add(&entry->selectors, text);
	return ERR_NONE;
}

static bool is_of_one_kind(const struct selector_set *selectors)
{
	for (size_t i = 1; i < selectors->num; i++)
		if (strncmp(selectors->texts[0], selectors->texts[i], strcspn(selectors->texts[0], ":") + 1) != 0)
			return false;
	return true;
}

enum err workload_entry_check(const struct workload_entry *entry, const struct trust_domain *domain, struct why *why)
{
	const char *name = entry->name == NULL ? "" : entry->name;
	RETURN_IF_ERR(workload_entry_name_check(span_of_str(name), why));
	if (entry->selectors.num == 0)
		return why_set(why, ERR_CONFIG, "at least one selector", "name what the workload must prove",
			"entry %s has no selector and would be for all", name);
	if (!is_of_one_kind(&entry->selectors))
		return why_set(why, ERR_CONFIG, "selectors of one kind of attestation", "make an entry for each kind",
			"entry %s has selectors of two kinds, which no workload proves", name);
	if (!spiffe_id_is_set(&entry->id) || !spiffe_id_in_trust_domain(&entry->id, domain) ||
		spiffe_id_is_reserved(&entry->id) || spiffe_id_path(&entry->id).len == 0)
		return why_set(why, ERR_CONFIG, "an identity that a workload of this trust domain may have",
			"name an identity of this trust domain whose path is not below /handfast", "entry %s has %s",
			name, spiffe_id_is_set(&entry->id) ? entry->id.text : "none");
	if (entry->ttl_s != 0 && (entry->ttl_s < 2 || entry->ttl_s > WORKLOAD_ENTRY_TTL_MAX_S))
		return why_set(why, ERR_CONFIG, "a ttl of 2s to 7d", "correct it, or leave it out",
			"entry %s has a ttl of %lld s", name, (long long)entry->ttl_s);
	return ERR_NONE;
}

enum err workload_entry_check_beside(
	const struct workload_entry *entry, const struct workload_entry *other, struct why *why)
{
	bool is_same = entry->selectors.num == other->selectors.num &&
		       selector_set_has_all(&entry->selectors, &other->selectors);
	if (!is_same || spiffe_id_eq(&entry->id, &other->id))
		return ERR_NONE;
	return why_set(why, ERR_EXISTS, "one identity for the same selectors",
		"remove one of the two entries, or add a selector to one", "entries %s and %s have the same selectors",
		entry->name, other->name);
}

/* --- the choice --- */

void workload_choice_consider(struct workload_choice *choice, const struct workload_entry *entry)
{
	const struct workload_entry *best = choice->best;
	if (!selector_set_has_all(choice->facts, &entry->selectors))
		return;
	if (best == NULL || entry->selectors.num > best->selectors.num ||
		(entry->selectors.num == best->selectors.num && strcmp(entry->name, best->name) < 0))
		choice->best = entry;
}

enum err workload_choice_confirm(
	const struct workload_choice *choice, const struct workload_entry *entry, struct why *why)
{
	const struct workload_entry *best = choice->best;
	CHECK(best != NULL);
	if (entry == best || spiffe_id_eq(&entry->id, &best->id) ||
		!selector_set_has_all(choice->facts, &entry->selectors))
		return ERR_NONE;
	if (entry->selectors.num < best->selectors.num && selector_set_has_all(&best->selectors, &entry->selectors))
		return ERR_NONE;
	return why_set(why, ERR_DENIED,
		"entries that give one identity, or of which one has all selectors of the other",
		"add selectors to one of them: `handfast entry list`",
		"entries %s and %s both fit and give different identities", best->name, entry->name);
}
