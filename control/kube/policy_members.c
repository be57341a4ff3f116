#include "control/kube/policy_members.h"
#include "control/kube/policy_object.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

_printf_(4, 5) enum err
	member_wrong(const struct policy_reader *reader, const char *where, const char *expected, const char *got, ...)
{
	char text[200];
	va_list arguments;
	va_start(arguments, got);
	(void)vsnprintf(text, sizeof(text), got, arguments);
	va_end(arguments);
	return why_set(reader->detail, ERR_MALFORMED, expected, POLICY_FIX, "%s %s", where, text);
}

static bool is_known(const char *key, const char *const *known)
{
	while (*known != NULL && strcmp(key, *known) != 0)
		known++;
	return *known != NULL;
}

enum err members_check(
	const struct policy_reader *reader, const char *where, const json_t *map, const char *const *known)
{
	const char *key;
	json_t *value;
	if (!json_is_object(map))
		return member_wrong(reader, where, "an object", "is none");
	json_object_foreach((json_t *)map, key, value) if (!is_known(key, known)) return why_set(reader->detail,
		ERR_UNSUPPORTED, "members that this release of Handfast knows",
		"update the control plane, or remove the member", "%s has the member '%.80s'", where, key);
	return ERR_NONE;
}

/* NULL: absent. */
enum err member_text(
	struct policy_reader *reader, const char *where, const json_t *map, const char *key, const char **out)
{
	const json_t *value = json_object_get(map, key);
	*out = NULL;
	if (value == NULL)
		return ERR_NONE;
	if (!json_is_string(value) || json_string_length(value) == 0 ||
		strlen(json_string_value(value)) != json_string_length(value))
		return member_wrong(reader, where,
			json_is_boolean(value) ? "a text in quotes, such as \"off\": YAML takes off and on for booleans"
					       : "a text that is not empty and has no NUL",
			"has another %s", key);
	*out = json_string_value(value);
	reader->num_bytes += json_string_length(value);
	if (reader->num_bytes > POLICY_TEXT_MAX)
		return why_set(reader->detail, ERR_LIMIT, "at most 64 KiB of text in a policy", "split the policy",
			"the policy is larger");
	return ERR_NONE;
}

enum err member_flag(
	const struct policy_reader *reader, const char *where, const json_t *map, const char *key, bool *out)
{
	const json_t *value = json_object_get(map, key);
	*out = json_is_true(value);
	if (value != NULL && !json_is_boolean(value))
		return member_wrong(reader, where, "true or false", "has another %s", key);
	return ERR_NONE;
}

/* An empty list looks like "none at all" and would match any: the intent must be explicit. */
enum err member_list(
	const struct policy_reader *reader, const char *where, const json_t *map, const char *key, size_t *out_num)
{
	const json_t *list = json_object_get(map, key);
	*out_num = json_array_size(list);
	if (list == NULL)
		return ERR_NONE;
	if (!json_is_array(list) || *out_num == 0)
		return member_wrong(reader, where, "a list with at least one item, or none of that name",
			"has %s that are no list or an empty one", key);
	if (*out_num > POLICY_ITEMS_MAX)
		return why_set(reader->detail, ERR_LIMIT, "at most 64 items in a list", "split the policy",
			"%s has %zu %s", where, *out_num, key);
	return ERR_NONE;
}

enum err member_port(const struct policy_reader *reader, const char *where, const json_t *value, uint16_t *out)
{
	json_int_t port = json_integer_value(value);
	if (port < 1 || port > 65535)
		return member_wrong(reader, where, "a port from 1 to 65535", "has another port");
	*out = (uint16_t)port;
	return ERR_NONE;
}

enum err member_mode(
	struct policy_reader *reader, const char *where, const json_t *map, bool *out_is_given, enum port_mode *out)
{
	static const char *const names[] = {"off", "permissive", "strict"};
	const char *text;
	unsigned mode = 0;
	RETURN_IF_ERR(member_text(reader, where, map, "mode", &text));
	*out_is_given = text != NULL;
	while (text != NULL && mode < 3 && strcmp(text, names[mode]) != 0)
		mode++;
	if (mode == 3)
		return member_wrong(reader, where, "the mode off, permissive or strict", "has the mode '%.40s'", text);
	*out = text == NULL ? *out : (enum port_mode)mode;
	return ERR_NONE;
}

/* As one segment of a SPIFFE ID, of the characters that Kubernetes has in names. */
bool member_is_name(const char *text, size_t max)
{
	size_t len = strlen(text);
	return len > 0 && len <= max && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-.") == len &&
	       text[0] != '.' && text[0] != '-' && text[len - 1] != '.' && text[len - 1] != '-';
}

enum err member_name(struct policy_reader *reader, const char *where, const json_t *map, const char *key, size_t max,
	const char **out)
{
	RETURN_IF_ERR(member_text(reader, where, map, key, out));
	if (*out != NULL && (!member_is_name(*out, max) || (max == POLICY_LABEL_MAX && strchr(*out, '.') != NULL)))
		return member_wrong(
			reader, where, "the name of an object of Kubernetes", "has the %s '%.80s'", key, *out);
	return ERR_NONE;
}
