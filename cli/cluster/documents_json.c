#include "cli/cluster/documents_json.h"
#include "base/core/check.h"

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct span skip_blank(struct span text)
{
	while (text.len > 0 && is_blank(text.ptr[0]))
		text = span_from(text, 1);
	return text;
}

static struct span skip_separators(struct span text)
{
	text = skip_blank(text);
	while (span_starts_with(text, SPAN_LITERAL("---")))
		text = skip_blank(span_from(text, 3));
	return text;
}

static bool is_bounded(const json_t *value, unsigned depth, size_t *num)
{
	const char *key;
	json_t *item;
	size_t i;
	if (depth > DOCUMENTS_DEPTH_MAX || ++*num > DOCUMENTS_VALUES_MAX)
		return false;
	json_array_foreach(value, i, item)
	{
		if (!is_bounded(item, depth + 1, num))
			return false;
	}
	json_object_foreach((json_t *)(uintptr_t)value, key, item)
	{
		if (!is_bounded(item, depth + 1, num))
			return false;
	}
	return true;
}

static size_t line_at(struct span text, size_t end)
{
	size_t line = 1;
	for (size_t i = 0; i < end; i++)
		line += text.ptr[i] == '\n';
	return line;
}

static enum err check(const json_t *document, const char *name, size_t line, struct why *why)
{
	size_t num = 0;
	if (!json_is_object(document))
		return why_set(why, ERR_MALFORMED, "documents that are objects, such as {\"kind\": \"Pod\"}",
			"correct the file", "%s, line %zu: this document is not an object", name, line);
	if (!is_bounded(document, 1, &num))
		return why_set(why, ERR_TOO_LARGE, "documents of at most 200,000 values, 100 deep", "correct the file",
			"%s, line %zu: this is not understood", name, line);
	return ERR_NONE;
}

/* False: it is no JSON. */
static bool read_all(struct span text, const char *name, json_t *into, enum err *out_err, struct why *why)
{
	struct span rest = skip_separators(text);
	*out_err = ERR_NONE;
	while (rest.len > 0) {
		json_error_t error;
		if (rest.ptr[0] != '{' && rest.ptr[0] != '[')
			return false;
		json_t *document = json_loadb((const char *)rest.ptr, rest.len, JSON_DISABLE_EOF_CHECK, &error);
		if (document == NULL)
			return false;
		if (*out_err == ERR_NONE)
			*out_err = check(document, name, line_at(text, text.len - rest.len), why);
		CHECK(json_array_append_new(into, document) == 0);
		rest = skip_separators(span_from(rest, (size_t)error.position));
	}
	return json_array_size(into) > 0;
}

enum err documents_json_read(struct span text, const char *name, json_t **out, bool *out_is_json, struct why *why)
{
	json_t *documents = json_array();
	struct why found = {0};
	enum err err;
	*out_is_json = read_all(text, name, documents, &err, &found);
	if (*out_is_json && err == ERR_NONE) {
		*out = documents;
		return ERR_NONE;
	}
	json_decref(documents);
	if (*out_is_json && why != NULL)
		*why = found;
	return *out_is_json ? err : ERR_NONE;
}
