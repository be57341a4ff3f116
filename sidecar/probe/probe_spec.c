#include "sidecar/probe/probe_spec.h"
#include "base/core/hex.h"
#include "base/core/mem.h"
#include "base/core/number.h"
#include <string.h>
#include <strings.h>

#define EXPECTED "NAME http PORT PATH, NAME tcp PORT or NAME grpc PORT, as the injection writes it"
#define FIX      "correct the setting probes, or inject the pod again"

static enum err malformed(struct why *why, const char *text, const char *what)
{
	return why_set(why, ERR_MALFORMED, EXPECTED, FIX, "the probe '%.120s' %s", text, what);
}

/* The next text before a space; moves *rest behind it. NULL: none is left. */
static char *take_field(const char **rest)
{
	const char *from = *rest;
	while (*from == ' ')
		from++;
	size_t len = strcspn(from, " ");
	*rest = from + len;
	return len == 0 ? NULL : mem_printf("%.*s", (int)len, from);
}

/* In place. False: a percent sign without two digits, or an encoded control character. */
static bool decode(char *text)
{
	char *to = text;
	for (const char *from = text; *from != '\0'; from++) {
		uint8_t byte = (uint8_t)*from;
		if (byte == '%') {
			int high = hex_value((uint8_t)from[1]), low = high < 0 ? -1 : hex_value((uint8_t)from[2]);
			if (low < 0)
				return false;
			byte = (uint8_t)(high * 16 + low);
			from += 2;
		}
		if (byte < 0x20 || byte == 0x7f) /* it would end a header */
			return false;
		*to++ = (char)byte;
	}
	*to = '\0';
	return true;
}

static bool name_is_good(const char *name)
{
	const char *slash = strchr(name, '/');
	return slash != NULL && slash != name &&
	       (strcmp(slash, "/liveness") == 0 || strcmp(slash, "/readiness") == 0 ||
		       strcmp(slash, "/startup") == 0) &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == (size_t)(slash - name);
}

static bool token_is_good(const char *name)
{
	return *name != '\0' && strspn(name, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
					     "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == strlen(name); /* RFC 9110 5.6.2 */
}

static bool put_header(struct probe_spec *spec, const char *text)
{
	const char *colon = strchr(text, ':');
	if (colon == NULL || spec->num_headers == PROBE_HEADERS_MAX)
		return false;
	struct probe_header *header = &spec->headers[spec->num_headers++];
	header->name = mem_printf("%.*s", (int)(colon - text), text);
	header->value = mem_strdup(colon + 1);
	return token_is_good(header->name);
}

static bool put_timeout(struct probe_spec *spec, const char *text)
{
	uint64_t seconds;
	if (number_parse(span_of_str(text), PROBE_TIMEOUT_MAX_S, &seconds) != ERR_NONE || seconds == 0)
		return false;
	spec->timeout_s = (unsigned)seconds;
	return true;
}

static bool put_option(struct probe_spec *spec, char *text)
{
	const char *value = strchr(text, '=');
	if (value == NULL || !decode(text))
		return false;
	value = strchr(text, '=') + 1;
	size_t len = (size_t)(value - text);
	if (spec->kind == PROBE_HTTP && strncmp(text, "header=", len) == 0)
		return put_header(spec, value);
	if (spec->kind == PROBE_HTTP && strncmp(text, "host=", len) == 0 && spec->host == NULL) {
		spec->host = mem_strdup(value);
		return true;
	}
	if (spec->kind == PROBE_GRPC && strncmp(text, "service=", len) == 0 && spec->service == NULL) {
		spec->service = mem_strdup(value);
		return true;
	}
	return strncmp(text, "timeout=", len) == 0 && put_timeout(spec, value);
}

static bool parse_kind(const char *text, enum probe_kind *out)
{
	static const char *const kinds[] = {[PROBE_HTTP] = "http", [PROBE_TCP] = "tcp", [PROBE_GRPC] = "grpc"};
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (strcmp(text, kinds[i]) == 0) {
			*out = (enum probe_kind)i;
			return true;
		}
	return false;
}

static enum err parse(const char *text, struct probe_spec *spec, struct why *why)
{
	const char *rest = text;
	spec->timeout_s = 1; /* as Kubernetes' timeoutSeconds */
	spec->name = take_field(&rest);
	_cleanup_(mem_freep) char *kind = take_field(&rest), *port = take_field(&rest);
	if (strlen(text) > PROBE_TEXT_MAX)
		return malformed(why, text, "is longer than 4096 bytes");
	if (spec->name == NULL || !name_is_good(spec->name))
		return malformed(why, text, "has no name such as app/readiness");
	if (kind == NULL || !parse_kind(kind, &spec->kind))
		return malformed(why, text, "is neither http nor tcp nor grpc");
	if (port == NULL || port_parse(span_of_str(port), &spec->port) != ERR_NONE)
		return malformed(why, text, "has no port from 1 to 65535");
	if (spec->kind == PROBE_HTTP)
		spec->path = take_field(&rest);
	if (spec->kind == PROBE_HTTP && (spec->path == NULL || spec->path[0] != '/' || !decode(spec->path)))
		return malformed(why, text, "has no path that begins with /");
	for (char *option = take_field(&rest); option != NULL; option = take_field(&rest)) {
		bool is_good = put_option(spec, option);
		mem_free(option);
		if (!is_good)
			return malformed(why, text,
				"has an option that this kind of probe does not have, or a timeout other than 1 to "
				"300");
	}
	return ERR_NONE;
}

enum err probe_spec_parse(const char *text, struct probe_spec *out, struct why *why)
{
	_cleanup_(probe_spec_done) struct probe_spec spec = {0};
	RETURN_IF_ERR(parse(text, &spec, why));
	*out = spec;
	spec = (struct probe_spec){0};
	return ERR_NONE;
}

void probe_spec_done(struct probe_spec *spec)
{
	mem_free(spec->name);
	mem_free(spec->path);
	mem_free(spec->host);
	mem_free(spec->service);
	for (size_t i = 0; i < spec->num_headers; i++) {
		mem_free(spec->headers[i].name);
		mem_free(spec->headers[i].value);
	}
	*spec = (struct probe_spec){0};
}

static bool has_header(const struct probe_spec *spec, const char *name)
{
	for (size_t i = 0; i < spec->num_headers; i++)
		if (strcasecmp(spec->headers[i].name, name) == 0)
			return true;
	return false;
}

enum err probe_spec_request(const struct probe_spec *spec, const char *authority, struct buf *out)
{
	RETURN_IF_ERR(buf_printf(out, "GET %s HTTP/1.1\r\n", spec->path));
	if (!has_header(spec, "Host"))
		RETURN_IF_ERR(buf_printf(out, "Host: %s\r\n", spec->host != NULL ? spec->host : authority));
	if (!has_header(spec, "User-Agent"))
		RETURN_IF_ERR(buf_append_str(out, "User-Agent: kube-probe/handfast\r\n"));
	if (!has_header(spec, "Accept"))
		RETURN_IF_ERR(buf_append_str(out, "Accept: */*\r\n"));
	for (size_t i = 0; i < spec->num_headers; i++)
		RETURN_IF_ERR(buf_printf(out, "%s: %s\r\n", spec->headers[i].name, spec->headers[i].value));
	return buf_append_str(out, "Connection: close\r\n\r\n");
}
