/* Probes of the user's containers come in plaintext from the node, which a strict port refuses. So kubelet asks the
 * sidecar at 15020, and the sidecar asks the container (httpGet, tcpSocket, grpc; exec probes run in the container). */
#include "base/core/hex.h"
#include "control/kube/inject_private.h"
#include <string.h>

enum { PROBE_PORT = 15020, PORT_MAX = 65535 };

/* One probe of one container. */
struct probe {
	struct injection *injection;
	const struct inject_container *at;
	const char *kind; /* "liveness" */
	const json_t *probe;
};

/* Appends a word: bytes other than printable ASCII, spaces and '%' as %XX, so that words are separated by spaces and
 * probes by line ends. */
static enum err put_word(struct buf *out, const char *before, const char *word)
{
	RETURN_IF_ERR(buf_append_str(out, before));
	for (; *word != '\0'; word++) {
		uint8_t byte = (uint8_t)*word;
		if (byte > ' ' && byte < 0x7f && byte != '%')
			RETURN_IF_ERR(buf_append(out, span_of(&byte, 1)));
		else
			RETURN_IF_ERR(buf_printf(out, "%%%c%c", HEX_UPPER[byte >> 4], HEX_UPPER[byte & 15]));
	}
	return ERR_NONE;
}

static int number_of(const char *text)
{
	int number = 0;
	for (; *text >= '0' && *text <= '9' && number <= PORT_MAX; text++)
		number = number * 10 + (*text - '0');
	return *text == '\0' && number <= PORT_MAX ? number : 0;
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
	return number_of(name);
}

static enum err put_headers(struct buf *out, const json_t *http)
{
	const json_t *headers = json_object_get(http, "httpHeaders"), *header;
	size_t i;
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
	if (strcmp(inject_text(http, "scheme"), "HTTPS") == 0)
		RETURN_IF_ERR(buf_append_str(out, " scheme=https"));
	return put_headers(out, http);
}

static enum err put_grpc(struct buf *out, const json_t *grpc, int port)
{
	const char *service = inject_text(grpc, "service");
	RETURN_IF_ERR(buf_printf(out, " grpc %d", port));
	return service[0] == '\0' ? ERR_NONE : put_word(out, " service=", service);
}

static enum err put_probe(const struct probe *probe, const char *handler, const json_t *way, int port)
{
	struct buf *out = &probe->injection->probes;
	RETURN_IF_ERR(buf_printf(out, "%s/%s", probe->at->name, probe->kind));
	if (strcmp(handler, "httpGet") == 0)
		RETURN_IF_ERR(put_http(out, way, port));
	else if (strcmp(handler, "grpc") == 0)
		RETURN_IF_ERR(put_grpc(out, way, port));
	else
		RETURN_IF_ERR(buf_printf(out, " tcp %d", port));
	return buf_append_str(out, "\n");
}

static bool is_rewritten(const struct probe *probe, const json_t *way)
{
	char path[256];
	struct buf text = BUF_INIT(sizeof(path));
	bool same = buf_printf(&text, "/probe/%s/%s", probe->at->name, probe->kind) == ERR_NONE &&
		    json_integer_value(json_object_get(way, "port")) == PROBE_PORT &&
		    strcmp(inject_text(way, "path"), buf_cstr(&text)) == 0;
	buf_done(&text);
	return same;
}

static void replace(const struct probe *probe, const char *handler)
{
	json_t *changed = json_copy((json_t *)(uintptr_t)probe->probe);
	json_t *path = json_sprintf("/probe/%s/%s", probe->at->name, probe->kind);
	CHECK(changed != NULL && path != NULL);
	CHECK(json_object_del(changed, handler) == 0);
	CHECK(json_object_set_new(changed, "httpGet",
		      json_pack("{s:o, s:i, s:s}", "path", path, "port", PROBE_PORT, "scheme", "HTTP")) == 0);
	inject_put(probe->injection, "replace", changed, "/spec/%s/%zu/%sProbe", probe->at->list, probe->at->index,
		probe->kind);
}

static enum err rewrite(const struct probe *probe, const char *handler, const json_t *way)
{
	struct injection *injection = probe->injection;
	const char *host = inject_text(way, "host");
	if (is_rewritten(probe, way))
		return ERR_NONE;
	if (host[0] != '\0') {
		inject_warn(injection,
			"container %s: the %s probe asks the host %.80s, not the pod, and stays as it is",
			probe->at->name, probe->kind, host);
		return ERR_NONE;
	}
	int port = resolve_port(probe->at, json_object_get(way, "port"));
	if (port == 0) {
		inject_warn(injection, "container %s: the port of the %s probe is no port of the container",
			probe->at->name, probe->kind);
		return ERR_NONE;
	}
	if (put_probe(probe, handler, way, port) != ERR_NONE)
		return inject_refuse(injection, "probes that fit into the sidecar's settings (64 KiB)",
			"shorten the paths and headers, or set the annotation handfast.dev/rewrite-probes: disabled",
			"the probes of the pod are too long");
	replace(probe, handler);
	return ERR_NONE;
}

static enum err rewrite_container(struct injection *injection, const struct inject_container *at)
{
	static const char *const kinds[] = {"liveness", "readiness", "startup"};
	static const char *const members[] = {"livenessProbe", "readinessProbe", "startupProbe"};
	static const char *const handlers[] = {"httpGet", "tcpSocket", "grpc"};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		for (size_t j = 0; j < sizeof(handlers) / sizeof(handlers[0]); j++) {
			struct probe probe = {injection, at, kinds[i], json_object_get(at->container, members[i])};
			const json_t *way = json_object_get(probe.probe, handlers[j]);
			if (json_is_object(way))
				RETURN_IF_ERR(rewrite(&probe, handlers[j], way));
		}
	return ERR_NONE;
}

enum err inject_rewrite_probes(struct injection *injection)
{
	const char *wanted = injection->wants.rewrite_probes;
	struct inject_container at = {0};
	if (wanted != NULL && strcmp(wanted, "disabled") == 0)
		return ERR_NONE;
	while (inject_next_container(injection, &at))
		if (!inject_is_own(&at) && (strcmp(at.list, "containers") == 0 || inject_is_native_sidecar(&at)))
			RETURN_IF_ERR(rewrite_container(injection, &at));
	return ERR_NONE;
}
