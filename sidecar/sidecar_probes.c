/* The workload's health probes, which kubelet asks at /probe/NAME and the sidecar makes from within the pod. Only the
 * probes of the settings are made, so that a stranger cannot reach other pages of a strict port. */
#include "base/core/mem.h"
#include "sidecar/probe/probe.h"
#include "sidecar/sidecar_private.h"

struct asked {
	struct list_link link;
	struct http_request *request;
	struct probe *probe;
};

static const struct probe_spec *find(const struct sidecar_config *config, const char *name)
{
	for (size_t i = 0; i < config->num_probes; i++)
		if (strcmp(config->probes[i].name, name) == 0)
			return &config->probes[i];
	return NULL;
}

static void answer(struct http_request *request, unsigned status, const char *text)
{
	char line[256];
	int len = snprintf(line, sizeof line, "%s\n", text);
	http_answer(request, status, HTTP_TEXT, span_of(line, (size_t)len));
}

static void end(struct asked *asked, unsigned status, const char *text)
{
	answer(asked->request, status, text);
	list_remove(&asked->link);
	mem_free(asked);
}

/* The server has at most 64 connections, and closes some of a source that opens more. Without this their probes would
 * hold a connection to the workload until their timeout. */
static void end_abandoned(struct sidecar *sidecar)
{
	LIST_EACH_REMOVABLE(&sidecar->probes, struct asked, asked, link) {
		if (http_request_is_open(asked->request))
			continue;
		probe_free(asked->probe);
		end(asked, 503, "the connection is closed");
	}
}

static void on_done(void *arg, unsigned status, const char *text)
{
	end(arg, status, text);
}

void sidecar_on_probe(void *arg, struct http_request *request)
{
	struct sidecar *sidecar = arg;
	const struct probe_spec *spec = find(sidecar->config, http_request_path(request) + strlen(ADMIN_PROBE_PATH));
	struct addr own;
	if (spec == NULL) {
		answer(request, 404, "the setting probes has no probe of this name");
		return;
	}
	if (http_request_local(request, &own) != ERR_NONE) {
		answer(request, 503, "the connection is closed");
		return;
	}
	end_abandoned(sidecar);
	http_request_extend(request, probe_timeout_ms(spec) + PROBE_MARGIN_MS);
	struct asked *asked = mem_new(struct asked);
	asked->request = request;
	list_push_back(&sidecar->probes, &asked->link);
	asked->probe = probe_start(sidecar->loop, spec, &own.ip, on_done, asked);
}

void sidecar_probes_stop(struct sidecar *sidecar)
{
	LIST_EACH_REMOVABLE(&sidecar->probes, struct asked, asked, link) {
		probe_free(asked->probe);
		end(asked, 503, "the sidecar ends");
	}
}
