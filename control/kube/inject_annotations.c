/* The user's annotations: known ones are checked, unknown ones are warned of with the nearest known name. */
#include "base/core/addr.h"
#include "base/core/fixed_ports.h"
#include "base/core/number.h"
#include "control/kube/inject_private.h"
#include <stdio.h>
#include <string.h>

enum {
	LIST_MAX = 60,       /* ports or networks, as handfast-init takes them */
	ITEM_MAX = 64,       /* bytes; longer than any port, network or quantity */
	DISTANCE_NAMES = 32, /* bytes of a name that is compared */
	HOST_LABEL_MAX = 63, /* RFC 1035 2.3.4 */
	HOST_NAME_BYTES = 253,
};

enum want_kind {
	WANT_SWITCH,
	WANT_BOOLEAN,
	WANT_NUMBER,
	WANT_PORTS,
	WANT_NETWORKS,
	WANT_INTERCEPTION,
	WANT_INBOUND_MODE,
	WANT_OUTBOUND_MODE,
	WANT_LOG_LEVEL,
	WANT_ACCESS_LOG,
	WANT_DURATION,
	WANT_QUANTITY,
	WANT_FILE_NAME,
	WANT_HOST_PORT,
};

static const struct want {
	const char *name;
	enum want_kind kind;
	size_t offset; /* of the member in struct inject_wants */
} wants[] = {
#define ANNOTATION(name, member, kind, again, target) {name, kind, offsetof(struct inject_wants, member)},
#include "control/kube/annotations.def"
#undef ANNOTATION
};
enum { NUM_WANTS = sizeof(wants) / sizeof(wants[0]) };

/* Written by injection itself: a pod that is copied from a cluster has them. */
static bool is_output(const char *name)
{
	return strcmp(name, "injected") == 0 || strcmp(name, "version") == 0;
}

static bool is_one_of(const char *value, const char *const *words)
{
	for (; *words != NULL; words++)
		if (strcmp(value, *words) == 0)
			return true;
	return false;
}

static bool is_number(const char *text, uint64_t most)
{
	uint64_t value;
	return number_parse(span_of_str(text), most, &value) == ERR_NONE && value >= 1;
}

static bool is_port(const char *item)
{
	return is_number(item, 65535) && strcmp(item, FIXED_TEXT(FIXED_PORT_OUTBOUND)) != 0 &&
	       strcmp(item, FIXED_TEXT(FIXED_PORT_INBOUND)) != 0;
}

static bool is_network(const char *item)
{
	struct network network;
	return network_parse(span_of_str(item), &network) == ERR_NONE;
}

/* Items separated by commas, perhaps with spaces around. */
static bool is_list_of(const char *value, bool (*is_item)(const char *item))
{
	unsigned num = 0;
	for (;;) {
		char item[ITEM_MAX];
		value += strspn(value, " ");
		size_t len = strcspn(value, ", ");
		if (len >= sizeof(item) || ++num > LIST_MAX)
			return false;
		memcpy(item, value, len);
		item[len] = '\0';
		value += len;
		value += strspn(value, " ");
		if (!is_item(item) || (*value != ',' && *value != '\0'))
			return false;
		if (*value++ == '\0')
			return true;
	}
}

/* As the sidecar's settings take one: digits and a unit, at most 24 h. */
static bool is_duration(const char *value)
{
	char digits[8];
	size_t len = strspn(value, "0123456789");
	if (len == 0 || len >= sizeof(digits))
		return false;
	memcpy(digits, value, len);
	digits[len] = '\0';
	if (strcmp(value, "0s") == 0)
		return true;
	return strcmp(value + len, "s") == 0   ? is_number(digits, 86400)
	       : strcmp(value + len, "m") == 0 ? is_number(digits, 1440)
	       : strcmp(value + len, "h") == 0 ? is_number(digits, 24)
					       : false;
}

/* As the sidecar's setting access_log takes it. */
static bool is_access_log(const char *value)
{
	static const char *const words[] = {"off", "failures", "all", NULL};
	return is_one_of(value, words) || (strncmp(value, "1/", 2) == 0 && is_number(value + 2, 1000000));
}

/* A quantity of the Kubernetes API above zero, without an exponent: digits, perhaps a fraction, perhaps a suffix. */
static bool is_quantity(const char *value)
{
	static const char *const suffixes[] = {
		"", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", NULL};
	size_t len = strspn(value, "0123456789.");
	const char *dot = memchr(value, '.', len);
	bool has_digit = strcspn(value, "123456789") < len;
	bool has_two_dots = dot != NULL && memchr(dot + 1, '.', len - (size_t)(dot + 1 - value)) != NULL;
	return len < ITEM_MAX && has_digit && !has_two_dots && is_one_of(value + len, suffixes);
}

/* No path: it names a file of a folder that is not the pod's. */
static bool is_file_name(const char *value)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	size_t len = strlen(value);
	return len > 0 && len < ITEM_MAX && value[0] != '.' && strspn(value, allowed) == len;
}

#define LETTERS_AND_DIGITS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

/* RFC 1123 2.1: a letter or a digit at both ends. 0: there is none. */
static size_t label_len(const char *text)
{
	size_t len = strspn(text, LETTERS_AND_DIGITS "-");
	return len > 0 && len <= HOST_LABEL_MAX && text[0] != '-' && text[len - 1] != '-' ? len : 0;
}

/* A DNS name and a port; also an IPv4 address, which has the same bytes. */
static bool is_host_port(const char *value)
{
	const char *at = value;
	for (;;) {
		size_t len = label_len(at);
		if (len == 0)
			return false;
		at += len;
		if (*at != '.')
			break;
		at++;
	}
	return at - value <= HOST_NAME_BYTES && *at == ':' && is_number(at + 1, 65535);
}

struct rule {
	const char *expected, *fix;
	const char *const *words; /* NULL: a function of its own */
};

static const char *const switches[] = {"enabled", "disabled", NULL};
static const char *const booleans[] = {"true", "false", NULL};
static const char *const interceptions[] = {"redirect", INJECT_TPROXY, NULL};
static const char *const inbound_modes[] = {"off", "permissive", "strict", NULL};
static const char *const outbound_modes[] = {"off", "auto", "require", NULL};
static const char *const log_levels[] = {"error", "warning", "notice", "debug", NULL};

static const struct rule rules[] = {
	[WANT_SWITCH] = {"enabled or disabled", "write enabled or disabled", switches},
	[WANT_BOOLEAN] = {"true or false", "write true or false", booleans},
	[WANT_NUMBER] = {"a number from 1 to 10000000", "write digits, or leave it out for no limit"},
	[WANT_PORTS] = {"at most 60 ports from 1 to 65535, separated by commas, none of them " FIXED_TEXT(
				FIXED_PORT_OUTBOUND) " or " FIXED_TEXT(FIXED_PORT_INBOUND),
		"write ports such as \"8081,9100\""},
	[WANT_NETWORKS] = {"at most 60 networks, separated by commas, no host bits set",
		"write networks such as \"192.0.2.0/24,2001:db8::/32\""},
	[WANT_INTERCEPTION] = {"redirect or tproxy", "write redirect or tproxy", interceptions},
	[WANT_INBOUND_MODE] = {"off, permissive or strict", "write one of the three", inbound_modes},
	[WANT_OUTBOUND_MODE] = {"off, auto or require", "write one of the three", outbound_modes},
	[WANT_LOG_LEVEL] = {"error, warning, notice or debug", "write one of the four", log_levels},
	[WANT_ACCESS_LOG] = {"off, failures, all, or 1/1 to 1/1000000 for one of that many", "write one of them"},
	[WANT_DURATION] = {"a duration of at most 24h, such as 25s", "write digits and s, m or h"},
	[WANT_QUANTITY] = {"a quantity of Kubernetes above zero, such as 100m or 64Mi", "correct the quantity"},
	[WANT_FILE_NAME] = {"the name of a file, without a folder",
		"write the name of the agent's socket, such as spire-agent.sock"},
	[WANT_HOST_PORT] = {"a host name and a port", "write them such as istiod.istio-system.svc:15012"},
};

static bool is_good(enum want_kind kind, const char *value)
{
	switch (kind) {
	case WANT_SWITCH:
	case WANT_BOOLEAN:
	case WANT_INTERCEPTION:
	case WANT_INBOUND_MODE:
	case WANT_OUTBOUND_MODE:
	case WANT_LOG_LEVEL:
		return is_one_of(value, rules[kind].words);
	case WANT_NUMBER:
		return is_number(value, 10000000);
	case WANT_PORTS:
		return is_list_of(value, is_port);
	case WANT_NETWORKS:
		return is_list_of(value, is_network);
	case WANT_ACCESS_LOG:
		return is_access_log(value);
	case WANT_DURATION:
		return is_duration(value);
	case WANT_QUANTITY:
		return is_quantity(value);
	case WANT_FILE_NAME:
		return is_file_name(value);
	case WANT_HOST_PORT:
		return is_host_port(value);
	}
	CHECK_UNREACHABLE();
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Levenshtein's distance of two names; the longer part of a name beyond DISTANCE_NAMES is not looked at. */
static size_t distance(const char *a, const char *b)
{
	size_t row[DISTANCE_NAMES + 1];
	size_t len_a = strnlen(a, DISTANCE_NAMES), len_b = strnlen(b, DISTANCE_NAMES);
	for (size_t j = 0; j <= len_b; j++)
		row[j] = j;
	for (size_t i = 1; i <= len_a; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= len_b; j++) {
			size_t above = row[j];
			size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
			row[j] = least(least(row[j - 1], above) + 1, changed);
			diagonal = above;
		}
	}
	return row[len_b];
}

static const char *nearest(const char *name)
{
	const struct want *best = NULL;
	size_t least_distance = SIZE_MAX;
	for (size_t i = 0; i < NUM_WANTS; i++) {
		size_t found = distance(name, wants[i].name);
		if (found >= least_distance)
			continue;
		best = &wants[i];
		least_distance = found;
	}
	CHECK(best != NULL);
	return best->name;
}

/* The search costs thousands of steps: none for a warning that would be left out (abuse case K22). */
static void warn_of_unknown(struct injection *injection, const char *name)
{
	if (json_array_size(injection->out->warnings) < INJECT_WARNINGS_MAX)
		inject_warn(injection, "annotation %s%.63s is unknown and has no effect; the nearest is %s%s",
			INJECT_ANNOTATIONS, name, INJECT_ANNOTATIONS, nearest(name));
}

static enum err take(struct injection *injection, const char *name, const json_t *value)
{
	const char *text = json_string_value(value);
	for (size_t i = 0; i < NUM_WANTS; i++) {
		if (strcmp(wants[i].name, name) != 0)
			continue;
		const struct rule *rule = &rules[wants[i].kind];
		if (text == NULL || !is_good(wants[i].kind, text))
			return inject_refuse(injection, rule->expected, rule->fix, "annotation %s%s is '%s'",
				INJECT_ANNOTATIONS, name, text != NULL ? text : "");
		memcpy((char *)&injection->wants + wants[i].offset, &text, sizeof(text));
		return ERR_NONE;
	}
	if (!is_output(name))
		warn_of_unknown(injection, name);
	return ERR_NONE;
}

/* The webhook's objectSelector reads this label; it counts here for a webhook that was registered without one. */
static enum err take_label(struct injection *injection)
{
	const json_t *label = json_object_get(json_object_get(injection->metadata, "labels"), "handfast.dev/inject");
	if (label == NULL || injection->wants.inject != NULL)
		return ERR_NONE;
	const char *text = json_string_value(label);
	if (text == NULL || !is_one_of(text, switches))
		return inject_refuse(injection, rules[WANT_SWITCH].expected, rules[WANT_SWITCH].fix,
			"label handfast.dev/inject is '%s'", text != NULL ? text : "");
	injection->wants.inject = text;
	return ERR_NONE;
}

enum err inject_read_annotations(struct injection *injection)
{
	static const char prefix[] = INJECT_ANNOTATIONS;
	const json_t *annotations = json_object_get(injection->metadata, "annotations");
	/* jansson's iterators take objects that may be changed. */
	json_t *object = (json_t *)(uintptr_t)annotations;
	for (void *at = json_object_iter(object); at != NULL; at = json_object_iter_next(object, at)) {
		const char *key = json_object_iter_key(at);
		if (strncmp(key, prefix, sizeof(prefix) - 1) == 0)
			RETURN_IF_ERR(take(injection, key + sizeof(prefix) - 1, json_object_iter_value(at)));
	}
	return take_label(injection);
}

enum err inject_read_namespace(struct injection *injection)
{
	const char *text = injection->ns->interception;
	const struct rule *rule = &rules[WANT_INTERCEPTION];
	if (text == NULL || injection->wants.interception != NULL)
		return ERR_NONE;
	if (!is_good(WANT_INTERCEPTION, text))
		return inject_refuse(injection, rule->expected, rule->fix,
			"annotation " INJECT_ANNOTATIONS "interception of the namespace %s is '%s'",
			injection->ns->name, text);
	injection->wants.interception = text;
	return ERR_NONE;
}
