/* Probes of the user's containers come in plaintext from the node, which a strict port refuses. So kubelet asks the
 * sidecar at FIXED_PORT_METRICS, and the sidecar asks the container (httpGet, tcpSocket, grpc; exec probes run in the
 * container). */
#include "base/core/fixed_ports.h"
#include "base/core/hex.h"
#include "base/core/number.h"
#include "control/kube/inject_private.h"
#include <string.h>

enum {
	PORT_MAX = 65535,
	TEXT_MAX = 4096,   /* bytes of one probe, as the sidecar takes it */
	HEADERS_MAX = 16,  /* the same */
	TIMEOUT_MAX = 300, /* seconds; the same */
	PROBES_MAX = 256,  /* the same, of a pod */
};

/* One probe of one container. */
struct probe {
	struct injection *injection;
	const struct inject_container *at;
	const char *kind; /* "liveness" */
	const json_t *probe;
};

/* Appends a word: bytes other than printable ASCII, spaces, commas, '%' and '$' as %XX. The API takes "$(NAME)" and
 * "$$" in a variable's value for references (EnvVar.value), but not in a probe. ERR_MALFORMED: a control character,
 * which no request can have. */
static enum err put_word(struct buf *out, const char *before, const char *word)
{
	RETURN_IF_ERR(buf_append_str(out, before));
	for (; *word != '\0'; word++) {
		uint8_t byte = (uint8_t)*word;
		if (byte < ' ' || byte == 0x7f)
			return ERR_MALFORMED;
		if (byte > ' ' && byte < 0x7f && byte != '%' && byte != ',' && byte != '$')
			RETURN_IF_ERR(buf_append(out, span_of(&byte, 1)));
		else
			RETURN_IF_ERR(buf_printf(out, "%%%c%c", HEX_UPPER[byte >> 4], HEX_UPPER[byte & 15]));
	}
	return ERR_NONE;
}

static int port_of_text(const char *text)
{
	uint16_t port;
	return port_parse(span_of_str(text), &port) == ERR_NONE ? port : 0;
}

/* As kubelet does: a name among the container's ports, else digits. 0: neither. */
static int resolve_port(const struct inject_container *at, const json_t *port)
{
	const json_t *ports = json_object_get(at->container, "ports"), *item;
	const char *name = json_string_value(port);
	json_int_t number = json_integer_value(port);
	size_t i;
	if (name == NULL)
		return number >= 1 && number <= PORT_MAX ? (int)number : 0;
	json_array_foreach(ports, i, item)
	{
		if (strcmp(inject_text(item, "name"), name) == 0)
			return (int)json_integer_value(json_object_get(item, "containerPort"));
	}
	return port_of_text(name);
}

static enum err put_headers(struct buf *out, const json_t *http)
{
	const json_t *headers = json_object_get(http, "httpHeaders"), *header;
	size_t i;
	if (json_array_size(headers) > HEADERS_MAX)
		return ERR_LIMIT;
	json_array_foreach(headers, i, header)
	{
		RETURN_IF_ERR(put_word(out, " header=", inject_text(header, "name")));
		RETURN_IF_ERR(put_word(out, ":", inject_text(header, "value")));
	}
	return ERR_NONE;
}

static enum err put_http(struct buf *out, const json_t *http, int port)
{
	const char *path = inject_text(http, "path");
	RETURN_IF_ERR(buf_printf(out, " http %d", port));
	RETURN_IF_ERR(put_word(out, path[0] == '/' ? " " : " /", path));
	return put_headers(out, http);
}

static enum err put_grpc(struct buf *out, const json_t *grpc, int port)
{
	const char *service = inject_text(grpc, "service");
	RETURN_IF_ERR(buf_printf(out, " grpc %d", port));
	return service[0] == '\0' ? ERR_NONE : put_word(out, " service=", service);
}

static bool is_https(const char *handler, const json_t *way)
{
	return strcmp(handler, "httpGet") == 0 && strcmp(inject_text(way, "scheme"), "HTTPS") == 0;
}

/* What kubelet waits, 1 s unless given. */
static enum err put_timeout(struct buf *out, const struct probe *probe)
{
	json_int_t seconds = json_integer_value(json_object_get(probe->probe, "timeoutSeconds"));
	if (seconds > TIMEOUT_MAX)
		inject_warn(probe->injection, "container %s: the sidecar waits %d s for the %s probe, not %lld",
			probe->at->name, TIMEOUT_MAX, probe->kind, (long long)seconds);
	if (seconds > 1)
		RETURN_IF_ERR(buf_printf(out, " timeout=%d", seconds > TIMEOUT_MAX ? TIMEOUT_MAX : (int)seconds));
	return buf_append_str(out, "\n");
}

static enum err put_probe(const struct probe *probe, const char *handler, const json_t *way, int port, struct buf *out)
{
	RETURN_IF_ERR(buf_printf(out, "%s/%s", probe->at->name, probe->kind));
	if (strcmp(handler, "httpGet") == 0 && !is_https(handler, way))
		RETURN_IF_ERR(put_http(out, way, port));
	else if (strcmp(handler, "grpc") == 0)
		RETURN_IF_ERR(put_grpc(out, way, port));
	else
		RETURN_IF_ERR(buf_printf(out, " tcp %d", port));
	return put_timeout(out, probe);
}

/* Adds it to what the sidecar serves. False: the sidecar cannot make such a request. */
static bool add(const struct probe *probe, const char *handler, const json_t *way, int port)
{
	struct injection *injection = probe->injection;
	_cleanup_(buf_done) struct buf text = BUF_INIT(TEXT_MAX);
	if (injection->num_probes == PROBES_MAX || put_probe(probe, handler, way, port, &text) != ERR_NONE ||
		buf_append(&injection->probes, buf_span(&text)) != ERR_NONE)
		return false;
	injection->num_probes++;
	if (is_https(handler, way))
		inject_warn(injection,
			"container %s: the sidecar makes the %s probe over HTTPS as a TCP probe of port %d",
			probe->at->name, probe->kind, port);
	return true;
}

static bool is_rewritten(const struct probe *probe, const json_t *way)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT(TEXT_MAX);
	return buf_printf(&text, "/probe/%s/%s", probe->at->name, probe->kind) == ERR_NONE &&
	       json_integer_value(json_object_get(way, "port")) == FIXED_PORT_METRICS &&
	       strcmp(inject_text(way, "path"), buf_cstr(&text)) == 0;
}

static void replace(const struct probe *probe, const char *handler)
{
	json_t *changed = json_copy((json_t *)(uintptr_t)probe->probe);
	json_t *path = json_sprintf("/probe/%s/%s", probe->at->name, probe->kind);
	CHECK(changed != NULL && path != NULL);
	CHECK(json_object_del(changed, handler) == 0);
	CHECK(json_object_set_new(changed, "httpGet",
		      json_pack("{s:o, s:i, s:s}", "path", path, "port", FIXED_PORT_METRICS, "scheme", "HTTP")) == 0);
	inject_put(probe->injection, "replace", changed, "/spec/%s/%zu/%sProbe", probe->at->list, probe->at->index,
		probe->kind);
}

static void rewrite(const struct probe *probe, const char *handler, const json_t *way)
{
	struct injection *injection = probe->injection;
	const char *host = inject_text(way, "host");
	if (is_rewritten(probe, way))
		return;
	int port = resolve_port(probe->at, json_object_get(way, "port"));
	if (host[0] != '\0')
		inject_warn(injection,
			"container %s: the %s probe asks the host %.80s, not the pod, and stays as it is",
			probe->at->name, probe->kind, host);
	else if (port == 0)
		inject_warn(injection, "container %s: the port of the %s probe is not a port of the container",
			probe->at->name, probe->kind);
	else if (!add(probe, handler, way, port))
		inject_warn(injection,
			"container %s: the %s probe stays as it is (too long, too many, or a control character in it); "
			"a strict port refuses it",
			probe->at->name, probe->kind);
	else
		replace(probe, handler);
}

static void rewrite_container(struct injection *injection, const struct inject_container *at)
{
	static const char *const kinds[] = {"liveness", "readiness", "startup"};
	static const char *const members[] = {"livenessProbe", "readinessProbe", "startupProbe"};
	static const char *const handlers[] = {"httpGet", "tcpSocket", "grpc"};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		for (size_t j = 0; j < sizeof(handlers) / sizeof(handlers[0]); j++) {
			struct probe probe = {injection, at, kinds[i], json_object_get(at->container, members[i])};
			const json_t *way = json_object_get(probe.probe, handlers[j]);
			if (json_is_object(way))
				rewrite(&probe, handlers[j], way);
		}
}

void inject_rewrite_probes(struct injection *injection)
{
	const char *wanted = injection->wants.rewrite_probes;
	struct inject_container at = {0};
	if (wanted != NULL && strcmp(wanted, "disabled") == 0)
		return;
	while (inject_next_container(injection, &at))
		if (!inject_is_own(&at) && (strcmp(at.list, "containers") == 0 || inject_is_native_sidecar(&at)))
			rewrite_container(injection, &at);
}
