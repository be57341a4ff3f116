#include "base/kube/kube_client.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/core/random.h"
#include "base/kube/kube_client_private.h"

enum {
	CONNECT_TIMEOUT_MS = 5000, /* per address */
	OPEN_TIMEOUT_MS = 10000,   /* TLS and SETTINGS */
	KEEPALIVE_MS = 10000,      /* a server that stops is noticed within 30 s */
	BACKOFF_FIRST_MS = 500,
	BACKOFF_MAX_MS = 5000, /* once the server is back, what watches report is old for so long */
	EAGER_MS = 1000,       /* a request shortens the backoff, but not below this */
};

/* --- failed attempts to connect; connections that end before their first answer are such too --- */

static void on_retry(struct loop_timer *timer)
{
	kube_client_pump(container_of(timer, struct kube_client, retry));
}

/* Each stream that waits now is notified once; a callback may add others. Requests end by it. */
static void notify_waiting(struct kube_client *client, bool only_requests)
{
	struct list notified = {0};
	for (struct kube_stream *stream; (stream = LIST_FIRST(&client->waiting, struct kube_stream, link)) != NULL;) {
		list_remove(&stream->link);
		list_push_back(&notified, &stream->link);
	}
	for (struct kube_stream *stream; (stream = LIST_FIRST(&notified, struct kube_stream, link)) != NULL;) {
		list_remove(&stream->link);
		list_push_back(&client->waiting, &stream->link);
		if (stream->events->on_wait == NULL)
			kube_stream_finish(stream, client->failure.err, &client->failure);
		else if (!only_requests)
			stream->events->on_wait(stream->arg, &client->failure);
	}
}

static void connecting_failed(struct kube_client *client, const struct why *why)
{
	(void)why_set(&client->failure, why->err != ERR_NONE ? why->err : ERR_UNAVAILABLE, why->expected, why->fix,
		"the API server %s cannot be reached: %s", client->authority, why->got);
	client->failed_at_ms = loop_now_ms(client->loop);
	loop_timer_start(client->loop, &client->retry, backoff_next_ms(&client->backoff, random_u32()), on_retry);
	notify_waiting(client, false);
}

/* --- connections --- */

static void on_dialed(void *arg, enum err err, struct transport *transport, const struct why *why)
{
	struct kube_client *client = arg;
	CHECK(client->current == NULL);
	if (err != ERR_NONE) {
		connecting_failed(client, why);
		return;
	}
	struct kube_connection *connection = mem_new(struct kube_connection);
	connection->client = client;
	connection->h2_link = h2_link_new(&(struct h2_link_options){
		.loop = client->loop,
		.transport = transport,
		.role = H2_CLIENT,
		.limits = {.stream_window = KUBE_STREAM_WINDOW},
		.open_timeout_ms = OPEN_TIMEOUT_MS,
		.keepalive_ms = KEEPALIVE_MS,
		.events = &kube_link_events,
		.arg = connection,
	});
	client->current = connection;
}

static void connection_free(struct kube_connection *connection)
{
	struct kube_client *client = connection->client;
	CHECK(list_is_empty(&connection->streams));
	if (client->current == connection)
		client->current = NULL;
	if (list_is_linked(&connection->link))
		list_remove(&connection->link);
	h2_link_free(connection->h2_link);
	mem_free(connection);
}

void kube_connection_opened(struct kube_connection *connection)
{
	kube_client_pump(connection->client);
}

void kube_connection_answered(struct kube_connection *connection)
{
	if (connection->has_answered)
		return;
	connection->has_answered = true;
	backoff_reset(&connection->client->backoff);
	connection->client->failed_at_ms = 0;
}

/* It took no request: a server that does so at once, each time, is not to be dialed without pause. Where it took some,
 * it may answer them yet; those that it refuses are sent a bounded number of times (SENT_MAX). */
static void went_away_unused(struct kube_client *client)
{
	struct why why = {0};
	(void)why_set(&why, ERR_UNAVAILABLE, "a connection that takes requests",
		"read the API server's log, and that of a proxy in front of it", "it sent GOAWAY before any request");
	connecting_failed(client, &why);
}

void kube_connection_drain(struct kube_connection *connection)
{
	struct kube_client *client = connection->client;
	if (connection->is_draining)
		return;
	bool is_unused = !connection->has_answered && list_is_empty(&connection->streams);
	connection->is_draining = true;
	if (client->current == connection)
		client->current = NULL;
	list_push_back(&client->draining, &connection->link);
	if (is_unused)
		went_away_unused(client);
	kube_client_pump(client);
}

void kube_connection_dead(struct kube_connection *connection, const struct why *why)
{
	struct kube_client *client = connection->client;
	struct list streams = {0};
	struct why reason = *why; /* a copy: it is part of the link */
	/* A draining one without streams was counted at its GOAWAY, or ended as it should. */
	bool is_failure =
		!connection->has_answered && (!connection->is_draining || !list_is_empty(&connection->streams));
	for (struct kube_stream *stream;
		(stream = LIST_FIRST(&connection->streams, struct kube_stream, link)) != NULL;) {
		list_remove(&stream->link);
		list_push_back(&streams, &stream->link);
		stream->connection = NULL;
	}
	connection_free(connection);
	for (struct kube_stream *stream; (stream = LIST_FIRST(&streams, struct kube_stream, link)) != NULL;)
		kube_stream_finish(stream, reason.err != ERR_NONE ? reason.err : ERR_CLOSED, &reason);
	if (is_failure && client->current == NULL && !web_dial_is_under_way(client->dial))
		connecting_failed(client, &reason);
	else
		kube_client_pump(client);
}

/* Watches resume on the new connection; requests go on. The last stream takes the connection with it. */
static void drain(struct kube_connection *connection)
{
	struct why why = {0};
	(void)why_set(&why, ERR_CLOSED, "an open connection", "none needed: a new connection is opened",
		"the API server asks for a new connection (GOAWAY)");
	for (;;) {
		struct kube_stream *stream = LIST_FIRST(&connection->streams, struct kube_stream, link);
		while (stream != NULL && stream->events->on_wait == NULL)
			stream = LIST_NEXT(&connection->streams, stream, link);
		if (stream == NULL)
			break;
		kube_stream_detach(stream);
		kube_stream_finish(stream, ERR_CLOSED, &why);
	}
	if (list_is_empty(&connection->streams))
		h2_link_end(connection->h2_link, NULL);
}

/* --- the pump --- */

static bool has_impatient(struct kube_client *client)
{
	LIST_EACH(&client->waiting, struct kube_stream, stream, link)
		if (stream->events->on_wait == NULL)
			return true;
	return false;
}

static void connect_if_needed(struct kube_client *client)
{
	if (list_is_empty(&client->waiting) || client->current != NULL || web_dial_is_under_way(client->dial))
		return;
	bool waits = loop_timer_is_armed(&client->retry), is_impatient = waits && has_impatient(client);
	if (waits && loop_now_ms(client->loop) - client->failed_at_ms < EAGER_MS && is_impatient) {
		notify_waiting(client, true);
		return;
	}
	if (waits && !is_impatient)
		return;
	loop_timer_stop(&client->retry);
	web_dial_start(client->dial, &client->peer, CONNECT_TIMEOUT_MS);
}

static void send_waiting(struct kube_client *client)
{
	struct kube_connection *connection = client->current;
	if (connection == NULL || !h2_link_is_open(connection->h2_link))
		return;
	for (struct kube_stream *stream; (stream = LIST_FIRST(&client->waiting, struct kube_stream, link)) != NULL;) {
		enum err err = kube_stream_send(stream, connection);
		if (err == ERR_CLOSED)
			kube_connection_drain(connection);
		if (err != ERR_NONE)
			return;
	}
}

static void on_pump(struct loop_task *task)
{
	struct kube_client *client = container_of(task, struct kube_client, pump);
	LIST_EACH_REMOVABLE(&client->draining, struct kube_connection, connection, link)
		drain(connection);
	send_waiting(client);
	connect_if_needed(client);
}

void kube_client_pump(struct kube_client *client)
{
	loop_task_post(client->loop, &client->pump, on_pump);
}

/* --- creation and release --- */

struct kube_client *kube_client_new(struct loop *loop, const struct kube_config *config)
{
	struct kube_client *client = mem_new(struct kube_client);
	client->loop = loop;
	client->config = config;
	client->peer = kube_dial_peer(config);
	client->authority = web_peer_authority(&client->peer);
	client->dial = web_dial_new(loop, "h2", on_dialed, client);
	backoff_init(&client->backoff, BACKOFF_FIRST_MS, BACKOFF_MAX_MS);
	kube_token_init(&client->token, config);
	kube_turns_init(&client->turns, loop);
	return client;
}

static void drop_streams(struct list *streams)
{
	LIST_EACH_REMOVABLE(streams, struct kube_stream, stream, link) {
		void (*on_drop)(void *) = stream->events->on_drop;
		void *arg = stream->arg;
		kube_stream_drop(stream);
		on_drop(arg);
	}
}

static void drop_connection(struct kube_connection *connection)
{
	drop_streams(&connection->streams);
	connection_free(connection);
}

void kube_client_free(struct kube_client *client)
{
	if (client == NULL)
		return;
	drop_streams(&client->waiting);
	if (client->current != NULL)
		drop_connection(client->current);
	LIST_EACH_REMOVABLE(&client->draining, struct kube_connection, connection, link)
		drop_connection(connection);
	loop_task_cancel(&client->pump);
	loop_timer_stop(&client->retry);
	kube_turns_done(&client->turns);
	kube_token_done(&client->token);
	web_dial_free(client->dial); /* after its sessions */
	mem_free(client->authority);
	mem_free(client);
}

struct loop *kube_client_loop(const struct kube_client *client)
{
	return client->loop;
}

struct kube_turns *kube_client_turns(struct kube_client *client)
{
	return &client->turns;
}
