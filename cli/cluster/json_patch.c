#include "cli/cluster/json_patch.h"
#include "base/core/number.h"
#include <stdlib.h>
#include <string.h>

enum { TOKEN_MAX = 512 };

struct place { /* what a pointer (RFC 6901) names: a member of an object, or an item of an array */
	json_t *parent;
	char token[TOKEN_MAX];
};

/* The next token of the pointer, unescaped; NULL: it is too long or wrong. */
static const char *next_token(const char *at, char out[TOKEN_MAX])
{
	size_t len = 0;
	if (*at++ != '/')
		return NULL;
	for (; *at != '\0' && *at != '/'; at++) {
		char c = *at;
		if (c == '~' && (at[1] == '0' || at[1] == '1'))
			c = *++at == '0' ? '~' : '/';
		if (len + 1 == TOKEN_MAX)
			return NULL;
		out[len++] = c;
	}
	out[len] = '\0';
	return at;
}

static bool index_of(const char *token, size_t *out)
{
	uint64_t number;
	if (number_parse(span_of_str(token), 999999, &number) != ERR_NONE) /* RFC 6901 4: no leading zero */
		return false;
	*out = number;
	return true;
}

static json_t *child(const json_t *parent, const char *token)
{
	size_t index;
	if (json_is_array(parent))
		return index_of(token, &index) ? json_array_get(parent, index) : NULL;
	return json_object_get(parent, token);
}

static enum err find(json_t *document, const char *pointer, struct place *out)
{
	out->parent = document;
	for (const char *at = pointer;;) {
		at = at != NULL ? next_token(at, out->token) : NULL;
		if (at == NULL || out->parent == NULL)
			return ERR_MALFORMED;
		if (*at == '\0')
			return ERR_NONE;
		out->parent = child(out->parent, out->token);
	}
}

/* Takes the reference. */
static enum err put(const struct place *place, json_t *value, bool replaces)
{
	size_t index = json_array_size(place->parent);
	bool is_end = strcmp(place->token, "-") == 0;
	if (replaces && child(place->parent, place->token) == NULL) {
		json_decref(value);
		return ERR_MALFORMED;
	}
	if (json_is_object(place->parent))
		return json_object_set_new(place->parent, place->token, value) == 0 ? ERR_NONE : ERR_MALFORMED;
	if (!json_is_array(place->parent) || (!is_end && !index_of(place->token, &index))) {
		json_decref(value);
		return ERR_MALFORMED;
	}
	int failed = replaces ? json_array_set_new(place->parent, index, value)
			      : json_array_insert_new(place->parent, index, value);
	return failed == 0 ? ERR_NONE : ERR_MALFORMED;
}

static enum err take(const struct place *place, json_t **out)
{
	size_t index = 0;
	json_t *value = child(place->parent, place->token);
	if (value == NULL)
		return ERR_MALFORMED;
	*out = json_incref(value);
	if (json_is_object(place->parent))
		(void)json_object_del(place->parent, place->token);
	else if (index_of(place->token, &index))
		(void)json_array_remove(place->parent, index);
	return ERR_NONE;
}

static enum err apply(json_t *document, const json_t *operation)
{
	const char *op = json_string_value(json_object_get(operation, "op"));
	const char *from = json_string_value(json_object_get(operation, "from"));
	json_t *value = json_object_get(operation, "value"), *taken = NULL;
	struct place place = {0};
	RETURN_IF_ERR(find(document, json_string_value(json_object_get(operation, "path")), &place));
	if (op == NULL)
		return ERR_MALFORMED;
	if (strcmp(op, "add") == 0 || strcmp(op, "replace") == 0)
		return value == NULL ? ERR_MALFORMED : put(&place, json_deep_copy(value), op[0] == 'r');
	if (strcmp(op, "remove") == 0) {
		RETURN_IF_ERR(take(&place, &taken));
		json_decref(taken);
		return ERR_NONE;
	}
	if (strcmp(op, "move") != 0)
		return ERR_MALFORMED;
	RETURN_IF_ERR(find(document, from, &place));
	RETURN_IF_ERR(take(&place, &taken));
	enum err err = find(document, json_string_value(json_object_get(operation, "path")), &place);
	if (err != ERR_NONE)
		json_decref(taken);
	return err != ERR_NONE ? err : put(&place, taken, false);
}

enum err json_patch_apply(json_t *document, const json_t *patch)
{
	for (size_t i = 0; i < json_array_size(patch); i++)
		RETURN_IF_ERR(apply(document, json_array_get(patch, i)));
	return ERR_NONE;
}
