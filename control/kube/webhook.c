#include "control/kube/webhook.h"

#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "control/kube/webhook_private.h"
#include "control/report/control_metrics.h"
#include <stdio.h>

static unsigned metric_of(enum inject_verdict verdict)
{
	switch (verdict) {
	case INJECT_LEAVE:
		return CONTROL_INJECT_LEFT;
	case INJECT_CHANGE:
		return CONTROL_INJECT_CHANGED;
	case INJECT_REFUSE:
		return CONTROL_INJECT_REFUSED;
	}
	CHECK_UNREACHABLE();
}

static void count(const struct webhook *webhook, unsigned metric)
{
	if (webhook->options.shard != NULL)
		metric_add(webhook->options.shard, metric, 1);
}

static void log_refusal(struct webhook *webhook, const struct admission_outcome *outcome)
{
	char what[sizeof(outcome->pod) + 32];
	snprintf(what, sizeof(what), "the pod %s is refused", outcome->pod);
	if (limited_log_allows_identity(webhook->lines, outcome->pod, "refused"))
		log_why(LOG_LEVEL_NOTICE, "webhook", what, &outcome->detail);
}

static void review(struct webhook *webhook, struct webhook_request *request)
{
	struct admission_outcome outcome;
	struct why why = {0};
	enum err err = admission_review(
		webhook->options.admission, buf_span(&request->body), &request->answer, &outcome, &why);
	buf_done(&request->body);
	if (err != ERR_NONE) {
		const struct ip_addr *from = &request->conn->from.ip;
		count(webhook, CONTROL_INJECT_MALFORMED);
		if (limited_log_allows_source(webhook->lines, from, "malformed"))
			log_why(LOG_LEVEL_WARNING, "webhook", "a request is not a review", &why);
		char text[sizeof(struct why)];
		buf_clear(&request->answer);
		CHECK(buf_printf(&request->answer, "%s\n", why_format(&why, text, sizeof(text))) == ERR_NONE);
		webhook_request_answer(request, "400", "text/plain; charset=utf-8");
		return;
	}
	count(webhook, metric_of(outcome.verdict));
	if (outcome.verdict == INJECT_REFUSE)
		log_refusal(webhook, &outcome);
	if (webhook_request_weigh(request, true, buf_len(&request->answer)))
		webhook_request_answer(request, "200", "application/json");
	else
		webhook_request_refuse(request);
}

static struct webhook_request *next_review(struct webhook *webhook)
{
	for (unsigned i = 0; i < WEBHOOK_NUM_CLASSES; i++) {
		enum webhook_class class = (webhook->turn + i) % WEBHOOK_NUM_CLASSES;
		struct webhook_request *request = LIST_FIRST(&webhook->reviews[class], struct webhook_request, review);
		if (request == NULL)
			continue;
		webhook->turn = (class + 1) % WEBHOOK_NUM_CLASSES;
		return request;
	}
	return NULL;
}

/* One per round: others of the loop have their turn between two reviews. A pod waits for one review of another kind at
 * most. */
static void on_review(struct loop_task *task)
{
	struct webhook *webhook = container_of(task, struct webhook, review_task);
	struct webhook_request *request = next_review(webhook);
	if (request == NULL)
		return;
	list_remove(&request->review);
	review(webhook, request);
	if (!list_is_empty(&webhook->reviews[WEBHOOK_PODS]) || !list_is_empty(&webhook->reviews[WEBHOOK_OTHERS]))
		loop_task_post(webhook->options.loop, task, on_review);
}

void webhook_review_later(struct webhook *webhook, struct webhook_request *request)
{
	list_push_back(&webhook->reviews[request->class], &request->review);
	loop_task_post(webhook->options.loop, &webhook->review_task, on_review);
}

struct webhook *webhook_new(const struct webhook_options *options)
{
	struct webhook *webhook = mem_new(struct webhook);
	webhook->options = *options;
	webhook->context = tls_context_new(&(struct tls_context_options){
		.role = TLS_SERVER, .client_auth = TLS_CLIENT_AUTH_NONE, .alpn = "h2", .alpn_else = "http/1.1"});
	webhook->scratch = tls_scratch_new();
	webhook->lines = limited_log_new(options->loop, "webhook");
	webhook->places = webhook_shares_new(WEBHOOK_CONNECTIONS_MAX);
	webhook->bodies = webhook_shares_new(WEBHOOK_BODIES_MAX);
	webhook->listener = listener_new(options->loop, options->listening_fd, webhook_on_accept, NULL, webhook);
	return webhook;
}

void webhook_drain(struct webhook *webhook)
{
	if (webhook->listener != NULL)
		listener_free(TAKE_PTR(webhook->listener));
	LIST_EACH_REMOVABLE(&webhook->conns, struct webhook_conn, conn, link)
		webhook_conn_drain(conn);
}

void webhook_free(struct webhook *webhook)
{
	if (webhook == NULL)
		return;
	if (webhook->listener != NULL)
		listener_free(webhook->listener);
	LIST_EACH_REMOVABLE(&webhook->conns, struct webhook_conn, conn, link)
		webhook_conn_free(conn);
	loop_task_cancel(&webhook->review_task);
	shares_free(webhook->bodies);
	shares_free(webhook->places);
	limited_log_free(webhook->lines);
	tls_scratch_free(webhook->scratch);
	tls_context_free(webhook->context);
	mem_free(webhook);
}
