#include "base/settings/setting_nearest.h"

#include <stdio.h>
#include <string.h>

enum {
	LEN_MAX = 64,     /* longer names are like none */
	LEN_PER_EDIT = 4, /* one letter in so many may be wrong, too many or missing, */
	EDITS_MAX = 3,    /* but no more than these */
};

/* A name as it is compared: its letters without case, and of "[3]" the brackets. */
struct folded {
	char text[LEN_MAX];
	size_t len; /* 0: it is too long, or empty */
};

static char fold_one(char one)
{
	static const char capitals[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", small[] = "abcdefghijklmnopqrstuvwxyz";
	const char *at = one == '\0' ? NULL : strchr(capitals, one);
	if (at != NULL)
		return small[at - capitals];
	if (one == '.' || one == '-')
		return '_';
	return one;
}

static struct folded fold(struct span name)
{
	struct folded out = {.len = 0};
	bool is_index = false;
	for (size_t i = 0; i < name.len; i++) {
		char one = (char)name.ptr[i];
		if (is_index && one >= '0' && one <= '9')
			continue;
		if (out.len == LEN_MAX)
			return (struct folded){.len = 0};
		is_index = one == '[';
		out.text[out.len++] = fold_one(one);
	}
	return out;
}

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Letters to change, to add and to take away (Levenshtein). */
static unsigned num_edits(const struct folded *a, const struct folded *b)
{
	unsigned row[LEN_MAX + 1];
	for (unsigned k = 0; k <= b->len; k++)
		row[k] = k;
	for (unsigned i = 0; i < a->len; i++) {
		unsigned before = row[0];
		row[0] = i + 1;
		for (unsigned k = 0; k < b->len; k++) {
			unsigned other = least(row[k], row[k + 1]) + 1;
			unsigned same = before + (a->text[i] != b->text[k]);
			before = row[k + 1];
			row[k + 1] = least(other, same);
		}
	}
	return row[b->len];
}

static unsigned num_sections(struct span name)
{
	unsigned num = 0;
	for (size_t i = 0; i < name.len; i++)
		num += name.ptr[i] == '.';
	return num;
}

/* The part of a key that has as many sections as the name. */
static struct span part_of(const char *key, unsigned sections)
{
	const char *end = key;
	for (; *end != '\0'; end++)
		if (*end == '.' && sections-- == 0)
			break;
	return span_of(key, (size_t)(end - key));
}

/* "token_file" for "identity.token_file". */
static bool lacks_section(const struct folded *name, const char *key)
{
	const char *last = strrchr(key, '.');
	if (last == NULL)
		return false;
	struct folded own = fold(span_of_str(last + 1));
	return own.len == name->len && memcmp(own.text, name->text, own.len) == 0;
}

static const char *copy(struct span from, char out[SETTING_NEAREST_MAX])
{
	(void)snprintf(out, SETTING_NEAREST_MAX, "%.*s", (int)from.len, (const char *)from.ptr);
	return out;
}

const char *setting_nearest(
	const struct setting_table *table, struct span name, bool may_be_section, char out[SETTING_NEAREST_MAX])
{
	const struct folded wanted = fold(name);
	const unsigned sections = num_sections(name);
	unsigned least_edits = least((unsigned)wanted.len / LEN_PER_EDIT, EDITS_MAX) + 1;
	struct span best = span_of(NULL, 0);
	for (size_t i = 0; i < table->num_rows && wanted.len > 0; i++) {
		const char *key = table->rows[i].key;
		if (!may_be_section && setting_def_is_in_file_only(&table->rows[i]))
			continue;
		struct span part = may_be_section ? part_of(key, sections) : span_of_str(key);
		const struct folded one = fold(part);
		unsigned edits = num_edits(&wanted, &one);
		bool is_elsewhere = best.len == 0 && lacks_section(&wanted, key);
		if (one.len == 0 || (edits >= least_edits && !is_elsewhere))
			continue;
		best = is_elsewhere && edits >= least_edits ? span_of_str(key) : part;
		least_edits = least(least_edits, edits);
	}
	return best.len == 0 ? NULL : copy(best, out);
}
