#include "base/kube/split.h"
#include "base/core/check.h"

void split_init(struct split *split, size_t window)
{
	*split = (struct split){0};
	buf_init(&split->pending, SPLIT_OBJECT_MAX + 2 * window + 2);
	buf_init(&split->around, SPLIT_AROUND_MAX);
}

void split_done(struct split *split)
{
	buf_done(&split->pending);
	buf_done(&split->around);
}

enum err split_feed(struct split *split, struct span bytes)
{
	return buf_append(&split->pending, bytes);
}

size_t split_take_credit(struct split *split)
{
	size_t credit = split->credit;
	split->credit = 0;
	return credit;
}

/* --- both --- */

static void consume(struct split *split, size_t len)
{
	size_t was_credited = len < split->credited ? len : split->credited;
	CHECK(len <= buf_len(&split->pending));
	split->credited -= was_credited;
	split->credit += len - was_credited;
	buf_consume(&split->pending, len);
}

static void release_taken(struct split *split)
{
	consume(split, split->taken);
	split->taken = 0;
}

/* No whole object is there: what is there begins one, and its rest must come. */
static enum err wait_for_more(struct split *split)
{
	size_t len = buf_len(&split->pending);
	CHECK(split->credited <= len);
	if (len > SPLIT_OBJECT_MAX)
		return ERR_TOO_LARGE;
	split->credit += len - split->credited;
	split->credited = len;
	buf_trim(&split->pending);
	return ERR_NOT_FOUND;
}

static enum err take(struct split *split, size_t len, size_t len_with_end, struct span *out)
{
	if (len > SPLIT_OBJECT_MAX)
		return ERR_TOO_LARGE;
	*out = span_of(buf_span(&split->pending).ptr, len);
	split->taken = len_with_end;
	split->scanned = 0;
	return ERR_NONE;
}

/* --- lines --- */

enum err split_next_line(struct split *split, struct span *out)
{
	release_taken(split);
	for (;;) {
		struct span rest = span_from(buf_span(&split->pending), split->scanned);
		const uint8_t *end = rest.len > 0 ? memchr(rest.ptr, '\n', rest.len) : NULL;
		if (end == NULL) {
			split->scanned = buf_len(&split->pending);
			return wait_for_more(split);
		}
		size_t len = split->scanned + (size_t)(end - rest.ptr);
		if (len > 0)
			return take(split, len, len + 1, out);
		consume(split, 1);
		split->scanned = 0;
	}
}

/* --- the items of a list --- */

static bool is_space(uint8_t byte)
{
	return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

/* Whether the byte is part of a string, its quotes included. */
static bool step_string(struct split *split, uint8_t byte)
{
	if (!split->is_in_string) {
		split->is_in_string = byte == '"';
		return byte == '"';
	}
	if (split->is_escaped)
		split->is_escaped = false;
	else if (byte == '\\')
		split->is_escaped = true;
	else if (byte == '"')
		split->is_in_string = false;
	return true;
}

static void step_depth(struct split *split, uint8_t byte)
{
	if (byte == '{' || byte == '[')
		split->depth++;
	else if ((byte == '}' || byte == ']') && split->depth > 0)
		split->depth--;
}

/* Within an item; returns whether it ends here. */
static bool step_item(struct split *split, uint8_t byte)
{
	if (step_string(split, byte))
		return false;
	step_depth(split, byte);
	return split->depth == 2;
}

/* Around the items: is "items": [ at the list's own level. */
static enum err step_around(struct split *split, uint8_t byte)
{
	bool was_in_string = split->is_in_string;
	if (buf_append(&split->around, span_of(&byte, 1)) != ERR_NONE)
		return ERR_TOO_LARGE;
	if (step_string(split, byte)) {
		if (!was_in_string)
			split->string_at = buf_len(&split->around) - 1;
		if (!split->is_in_string)
			split->is_items_key =
				split->depth == 1 && span_eq(span_from(buf_span(&split->around), split->string_at),
							     SPAN_LITERAL("\"items\""));
		return ERR_NONE;
	}
	step_depth(split, byte);
	if (byte == '[' && split->depth == 2 && split->is_items_key)
		split->is_in_items = true;
	if (byte != ':' && !is_space(byte))
		split->is_items_key = false;
	return ERR_NONE;
}

/* Between the items. */
static enum err step_between(struct split *split, uint8_t byte)
{
	if (byte == '{') {
		split->is_in_item = true;
		split->depth = 3;
		return ERR_NONE;
	}
	if (byte == ',' || is_space(byte))
		return ERR_NONE;
	split->is_in_items = false;
	return byte == ']' ? step_around(split, byte) : ERR_MALFORMED;
}

enum err split_next_item(struct split *split, struct span *out)
{
	release_taken(split);
	while (split->scanned < buf_len(&split->pending)) {
		uint8_t byte = buf_span(&split->pending).ptr[split->scanned];
		if (split->is_in_item) {
			split->scanned++;
			if (!step_item(split, byte))
				continue;
			split->is_in_item = false;
			return take(split, split->scanned, split->scanned, out);
		}
		RETURN_IF_ERR(split->is_in_items ? step_between(split, byte) : step_around(split, byte));
		if (split->is_in_item)
			split->scanned++;
		else
			consume(split, 1);
	}
	return wait_for_more(split);
}

enum err split_list(const struct split *split, struct span *out)
{
	if (split->depth != 0 || split->is_in_string || buf_len(&split->around) == 0 || buf_len(&split->pending) > 0)
		return ERR_TRUNCATED;
	*out = buf_span(&split->around);
	return ERR_NONE;
}
