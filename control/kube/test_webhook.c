#include "control/kube/test_webhook.h"

#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/net/socket.h"
#include "control/issue/certificate.h"
#include "control/kube/test_inject.h"
#include "control/report/control_metrics.h"
#include <stdio.h>

static void on_namespace(void *arg, struct inject_namespace *out)
{
	(void)arg, (void)out;
}

static void on_change(void *arg)
{
	(void)arg;
}

void test_webhook_init(struct test_webhook *world)
{
	const struct addr any = {.ip = {.family = AF_INET, .bytes = {127, 0, 0, 1}}};
	int fd = -1;
	*world = (struct test_webhook){.options = test_inject_options};
	clock_fake_init(&world->clock, clock_system.wall_ms(&clock_system));
	world->loop = loop_new(&world->clock.clock);
	CHECK(socket_listen(&any, &(struct socket_listen_options){0}, &fd, NULL) == ERR_NONE);
	CHECK(socket_local_addr(fd, &world->at) == ERR_NONE);
	world->identity = webhook_identity_new(world->loop, "handfast-webhook.handfast-system.svc", on_change, NULL);
	world->admission = (struct admission){.options = &world->options, .on_namespace = on_namespace};
	world->metrics = control_metrics_new();
	world->webhook = webhook_new(&(struct webhook_options){.loop = world->loop,
		.listening_fd = fd,
		.identity = world->identity,
		.admission = &world->admission,
		.shard = metrics_shard(world->metrics, 0)});
	world->client_context = tls_context_new(&(struct tls_context_options){.role = TLS_CLIENT, .alpn = "h2"});
	world->scratch = tls_scratch_new();
}

void test_webhook_done(struct test_webhook *world)
{
	webhook_free(world->webhook);
	webhook_identity_free(world->identity);
	metrics_free(world->metrics);
	tls_context_free(world->client_context);
	tls_scratch_free(world->scratch);
	loop_free(world->loop);
}

/* --- the client --- */

static enum err on_verify(
	void *arg, const struct span *chain, size_t num_chain, struct svid **out_svid, struct why *why)
{
	struct test_client *client = arg;
	struct span authorities[WEBHOOK_AUTHORITIES_MAX];
	(void)out_svid, (void)why;
	CHECK(num_chain == 1 && webhook_identity_authorities(client->world->identity, authorities) >= 1);
	client->is_verified = certificate_is_signed_by(chain[0], authorities[0]) == ERR_NONE;
	return client->is_verified ? ERR_NONE : ERR_UNTRUSTED;
}

static void on_open(void *arg)
{
	((struct test_client *)arg)->is_open = true;
}

static void on_goaway(void *arg)
{
	((struct test_client *)arg)->has_goaway = true;
}

static void on_dead(void *arg, const struct why *why)
{
	struct test_client *client = arg;
	(void)why;
	client->is_dead = true;
	h2_link_free(TAKE_PTR(client->link));
}

static void on_headers(void *arg, int32_t stream_id, void *stream, const struct h2_header *headers, size_t num_headers,
	bool end_stream)
{
	struct test_call *call = container_of(stream, struct test_call, stream);
	(void)stream_id, (void)end_stream;
	struct span status = h2_headers_find(headers, num_headers, ":status");
	call->rank = ++((struct test_client *)arg)->num_answers;
	if (status.ptr != NULL) /* else trailers */
		snprintf(call->status, sizeof(call->status), "%.*s", (int)status.len, (const char *)status.ptr);
}

static void on_data(void *arg, int32_t id, void *owner, struct span bytes)
{
	const struct test_client *client = arg;
	if (!client->is_slow)
		test_h2_stream_on_data(arg, id, owner, bytes);
}

static const struct h2_link_events events = {
	.on_open = on_open,
	.on_goaway = on_goaway,
	.on_dead = on_dead,
	.on_headers = on_headers,
	.on_data = on_data,
	.on_end = test_h2_stream_on_end,
	.on_close = test_h2_stream_on_close,
	.pull = test_h2_stream_pull,
};

static void init(struct test_webhook *world, struct test_client *client, const struct h2_limits *limits)
{
	struct tls_session *session = NULL;
	int fd = -1;
	*client = (struct test_client){.world = world};
	CHECK(socket_connect(&world->at, &(struct socket_connect_options){0}, &fd) == ERR_NONE);
	CHECK(tls_session_new(&(struct tls_session_options){.context = world->client_context,
				      .scratch = world->scratch,
				      .fd = fd,
				      .server_name = "handfast-webhook.handfast-system.svc",
				      .on_verify = on_verify,
				      .verify_arg = client},
		      &session, NULL) == ERR_NONE);
	client->link = h2_link_new(&(struct h2_link_options){.loop = world->loop,
		.transport = transport_new_tls(session),
		.role = H2_CLIENT,
		.limits = *limits,
		.open_timeout_ms = TEST_WAIT_MS,
		.keepalive_ms = TEST_WAIT_MS,
		.events = &events,
		.arg = client});
}

void test_client_init(struct test_webhook *world, struct test_client *client)
{
	init(world, client, &(struct h2_limits){0});
}

void test_client_init_slow(struct test_webhook *world, struct test_client *client)
{
	init(world, client, &(struct h2_limits){.stream_window = 1024});
	client->is_slow = true;
}

void test_client_done(struct test_client *client)
{
	h2_link_free(client->link);
}

void test_call_start(
	struct test_client *client, struct test_call *call, const char *method, const char *path, struct span body)
{
	const struct h2_header headers[] = {{SPAN_LITERAL(":method"), span_of_str(method)},
		{SPAN_LITERAL(":scheme"), SPAN_LITERAL("https")},
		{SPAN_LITERAL(":authority"), SPAN_LITERAL("handfast-webhook.handfast-system.svc:443")},
		{SPAN_LITERAL(":path"), span_of_str(path)},
		{SPAN_LITERAL("content-type"), SPAN_LITERAL("application/json")}};
	CHECK(client->is_open && client->link != NULL);
	*call = (struct test_call){.client = client};
	test_h2_stream_init(&call->stream, client->link, 8u * 1024 * 1024);
	CHECK(buf_append(&call->stream.to_send, body) == ERR_NONE);
	CHECK(h2_stream_open(h2_link_session(client->link), headers, sizeof(headers) / sizeof(headers[0]), false,
		      &call->stream, &call->stream.id) == ERR_NONE);
	test_h2_stream_flush(&call->stream);
}

void test_call_done(struct test_call *call)
{
	test_h2_stream_done(&call->stream);
}
