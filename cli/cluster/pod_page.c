#include "cli/cluster/pod_page.h"
#include "base/core/fixed_ports.h"
#include "base/core/mem.h"
#include "base/http/http_answer.h"
#include "cli/cluster/pod_forward.h"
#include <stdio.h>

enum { TIMEOUT_MS = 20000, PAGE_MAX = 4 * 1024 * 1024 };

enum err pod_page_denied(const char *namespace_, const char *what, struct why *why)
{
	return why_set(why, ERR_DENIED,
		"the verb get on pods, and the verbs get and create on pods/portforward, in the pod's namespace",
		"grant them by a Role and a RoleBinding, or use another account",
		"this account may not %s namespace %.63s", what, namespace_);
}

struct exchange {
	struct api *api;
	const char *namespace_, *pod;
	struct pod_forward *forward;
	const char *path;
	struct buf answer;
	bool is_over; /* the page is whole, or has failed: what follows does not matter */
	bool is_forbidden;
	enum err err;
	struct why *detail;
};

static bool is_whole(const struct exchange *exchange)
{
	struct http_answer answer;
	return http_answer_read(buf_span(&exchange->answer), false, &answer) == ERR_NONE;
}

static void on_open(void *arg)
{
	struct exchange *exchange = arg;
	_cleanup_(buf_done) struct buf request = BUF_INIT(1024);
	enum err err =
		buf_printf(&request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", exchange->path);
	if (err == ERR_NONE)
		err = pod_forward_send(exchange->forward, buf_span(&request));
	exchange->err = err;
}

static void on_data(void *arg, struct span bytes)
{
	struct exchange *exchange = arg;
	if (exchange->is_over)
		return;
	if (buf_append(&exchange->answer, bytes) != ERR_NONE)
		exchange->err = ERR_TOO_LARGE;
	exchange->is_over = exchange->err != ERR_NONE || is_whole(exchange);
	if (exchange->is_over)
		loop_stop(exchange->api->loop);
}

static void on_end(void *arg, enum err err, bool is_forbidden, const struct why *why)
{
	struct exchange *exchange = arg;
	if (exchange->is_over)
		return;
	exchange->is_forbidden = is_forbidden;
	if (err != ERR_CLOSED) {
		exchange->err = err;
		*exchange->detail = *why;
	}
	loop_stop(exchange->api->loop);
}

static enum err forward(struct exchange *exchange)
{
	static const struct pod_forward_events events = {on_open, on_data, on_end};
	const struct api *api = exchange->api;
	const struct pod_forward_options options = {.loop = api->loop,
		.config = api->config,
		.namespace_ = exchange->namespace_,
		.pod = exchange->pod,
		.port = FIXED_PORT_ADMIN,
		.timeout_ms = TIMEOUT_MS};
	exchange->forward = pod_forward_open(&options, &events, exchange);
	loop_run(api->loop);
	pod_forward_free(exchange->forward);
	return exchange->err;
}

static enum err explain(struct exchange *exchange, struct why *why)
{
	char text[sizeof why->got];
	if (exchange->is_forbidden)
		return pod_page_denied(exchange->namespace_, "forward a port to pods of", why);
	if (exchange->err == ERR_REFUSED) {
		snprintf(text, sizeof text, "%s", why->got);
		return why_set(why, ERR_UNAVAILABLE,
			"a sidecar that answers at port " FIXED_TEXT(FIXED_PORT_ADMIN) " of its loopback interface",
			"read its log: `kubectl logs -c handfast`, and the log of its node's kubelet",
			"pod %.63s/%.63s: %.400s", exchange->namespace_, exchange->pod, text);
	}
	if (exchange->err != ERR_NONE && why->got[0] != '\0')
		return exchange->err;
	return why_set(why, ERR_UNAVAILABLE, "the page of a sidecar of this release",
		"install the same release of both", "pod %.63s/%.63s does not answer %s as a sidecar does",
		exchange->namespace_, exchange->pod, exchange->path);
}

enum err pod_page_fetch(
	struct api *api, const char *namespace_, const char *pod, const char *path, json_t **out, struct why *why)
{
	struct exchange exchange = {.api = api,
		.namespace_ = namespace_,
		.pod = pod,
		.path = path,
		.answer = BUF_INIT(PAGE_MAX),
		.detail = why};
	struct http_answer answer = {0};
	json_t *page = NULL;
	*why = (struct why){0};
	enum err err = forward(&exchange);
	if (err == ERR_NONE && http_answer_read(buf_span(&exchange.answer), true, &answer) == ERR_NONE &&
		answer.status == 200)
		page = json_loadb((const char *)answer.body.ptr, answer.body.len, 0, NULL);
	if (page == NULL)
		err = explain(&exchange, why);
	buf_done(&exchange.answer);
	*out = page;
	return page != NULL ? ERR_NONE : err;
}
