#include "sidecar/discovery/discovery_client_private.h"

#include "base/core/backoff.h"
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "sidecar/discovery/messages.h"
#include <stdio.h>

enum { STREAM_AGAIN_MS = 500 }; /* after a stream ended on a connection that is still open */
static const char path[] = "/handfast.v1.Discovery/Stream";

static void on_again(struct loop_timer *timer);

/* No stream without a connection; the timer waits for the next stream. */
static void check_state(const struct discovery_client *client)
{
	CHECK(client->call == NULL || client->connection != NULL);
	CHECK(client->call == NULL || !loop_timer_is_armed(&client->again));
}

static void send_message(struct discovery_client *client, const struct buf *message)
{
	if (client->call == NULL || rpc_call_send(client->call, buf_span(message)) == ERR_NONE)
		return;
	/* The server does not read and the queue is full: open a new stream and subscribe to everything again. */
	why_set(&client->failure, ERR_LIMIT, "a control plane that reads the stream",
		"check the load of the control plane", "the send queue of the discovery stream is full");
	rpc_call_cancel(TAKE_PTR(client->call));
	loop_timer_start(client->options.loop, &client->again, STREAM_AGAIN_MS, on_again);
}

static void acknowledge(struct discovery_client *client, uint64_t version, const char *refused_reason)
{
	_cleanup_(buf_done) struct buf message = BUF_INIT(DISCOVERY_MESSAGE_MAX);
	if (discovery_ack_encode(version, refused_reason, &message) == ERR_NONE)
		send_message(client, &message);
}

static void send_subscribe(
	struct discovery_client *client, const struct addr *destinations, const struct answer *const *known, size_t num)
{
	_cleanup_(buf_done) struct buf message = BUF_INIT(DISCOVERY_MESSAGE_MAX);
	if (num > 0 && discovery_subscribe_encode(destinations, known, num, &message) == ERR_NONE)
		send_message(client, &message);
}

static void send_unsubscribe(struct discovery_client *client, const struct addr *destination)
{
	_cleanup_(buf_done) struct buf message = BUF_INIT(DISCOVERY_MESSAGE_MAX);
	if (discovery_unsubscribe_encode(destination, &message) == ERR_NONE)
		send_message(client, &message);
}

static void mesh_receive(struct discovery_client *client, struct span bytes, struct discovery_down *down)
{
	if (down->version <= client->mesh_version) {
		acknowledge(client, down->version, "the version is not newer than the one in use");
		return;
	}
	CHECK(down->networks != NULL && down->policy != NULL);
	client->mesh_version = down->version;
	discovery_kept_mesh(client, bytes);
	client->options.on_mesh(client->options.arg, down->networks, down->policy);
	acknowledge(client, down->version, NULL);
}

static void answers_receive(struct discovery_client *client, struct discovery_down *down)
{
	for (size_t i = 0; i < down->num_answers; i++) {
		bool was_plaintext = discovery_kept_has_plaintext(client, &down->answers[i]->destination);
		if (!subscription_set_update(client->subscriptions, down->answers[i]))
			continue;
		discovery_kept_stale(client, was_plaintext && down->answers[i]->kind != DESTINATION_PLAINTEXT);
		client->options.on_answer(client->options.arg, down->answers[i]);
	}
	acknowledge(client, down->version, NULL);
}

static void on_message(void *arg, struct rpc_call *call, struct span bytes)
{
	struct discovery_client *client = arg;
	CHECK(client->call == call);
	struct discovery_down *down = mem_new(struct discovery_down);
	struct why why = {0};
	char text[640];
	enum err err = discovery_down_parse(bytes, &client->options.own_domain, down, &why);
	if (err != ERR_NONE) {
		/* The state in use stays; the nack carries the reason. */
		client->failure = why;
		log_why(LOG_LEVEL_WARNING, "discovery", "refused a message of the control plane", &why);
		acknowledge(client, 0, why_format(&why, text, sizeof(text)));
	} else if (down->kind == DISCOVERY_DOWN_MESH) {
		mesh_receive(client, bytes, down);
	} else {
		answers_receive(client, down);
	}
	discovery_down_done(down);
	mem_free(down);
}

static void on_done(
	void *arg, struct rpc_call *call, enum rpc_status status, const char *message, uint32_t retry_after_ms)
{
	struct discovery_client *client = arg;
	CHECK(client->call == call);
	client->call = NULL;
	static const struct why otherwise = {
		.err = ERR_UNAVAILABLE,
		.expected = "an open discovery stream",
		.got = "the discovery stream ended",
		.fix = "see the control plane's log",
	};
	rpc_status_why(status, message, &otherwise, &client->failure);
	if (client->connection != NULL)
		loop_timer_start(client->options.loop, &client->again,
			backoff_longer_ms(STREAM_AGAIN_MS, retry_after_ms), on_again);
	check_state(client);
}

struct batch {
	struct discovery_client *client;
	struct addr destinations[SUBSCRIBE_BATCH];
	const struct answer *known[SUBSCRIBE_BATCH];
	size_t num;
};

static void batch_add(void *arg, const struct addr *destination, const struct answer *known)
{
	struct batch *batch = arg;
	CHECK(batch->num < SUBSCRIBE_BATCH);
	batch->known[batch->num] = known;
	batch->destinations[batch->num++] = *destination;
	if (batch->num == SUBSCRIBE_BATCH) {
		send_subscribe(batch->client, batch->destinations, batch->known, batch->num);
		batch->num = 0;
	}
}

static void subscribe_all(struct discovery_client *client)
{
	struct batch *batch = mem_new(struct batch);
	batch->client = client;
	subscription_set_restart(client->subscriptions);
	subscription_set_each(client->subscriptions, batch_add, batch);
	send_subscribe(client, batch->destinations, batch->known, batch->num);
	mem_free(batch);
}

static void stream_open(struct discovery_client *client)
{
	static const struct rpc_call_handlers handlers = {.on_message = on_message, .on_done = on_done};
	_cleanup_(buf_done) struct buf hello = BUF_INIT(DISCOVERY_MESSAGE_MAX);
	CHECK(client->connection != NULL && client->call == NULL);
	client->mesh_version = 0;
	if (rpc_client_call(client->connection, path, 0, &handlers, client, &client->call) != ERR_NONE) {
		client->call = NULL;
		loop_timer_start(client->options.loop, &client->again, STREAM_AGAIN_MS, on_again);
		return;
	}
	if (discovery_hello_encode(client->options.release, client->options.services, client->options.num_services,
		    &hello) == ERR_NONE)
		send_message(client, &hello);
	subscribe_all(client);
	check_state(client);
}

static void on_again(struct loop_timer *timer)
{
	struct discovery_client *client = container_of(timer, struct discovery_client, again);
	if (client->connection != NULL && client->call == NULL)
		stream_open(client);
}

struct discovery_client *discovery_client_new(const struct discovery_options *options)
{
	struct discovery_client *client = mem_new(struct discovery_client);
	client->options = *options;
	CHECK(options->num_services <= NAMED_SERVICES_MAX);
	for (size_t i = 0; i < options->num_services; i++)
		client->services[i] = options->services[i];
	client->options.services = client->services;
	client->mesh = BUF_INIT(MESH_KEPT_MAX);
	client->subscriptions =
		subscription_set_new(options->max_subscriptions != 0 ? options->max_subscriptions : 16384);
	return client;
}

void discovery_client_free(struct discovery_client *client)
{
	loop_timer_stop(&client->again);
	if (client->call != NULL)
		rpc_call_cancel(client->call);
	subscription_set_free(client->subscriptions);
	buf_done(&client->mesh);
	mem_free(client);
}

/* A closed connection has ended its calls already, or ends them without on_done() when it is freed (rpc_client.h). */
void discovery_client_attach(struct discovery_client *client, struct rpc_client *connection)
{
	loop_timer_stop(&client->again);
	client->connection = connection;
	client->call = NULL;
	if (connection != NULL)
		stream_open(client);
	check_state(client);
}

void discovery_client_subscribe(struct discovery_client *client, const struct addr *destination)
{
	struct addr dropped;
	if (!subscription_set_add(client->subscriptions, destination, &dropped)) {
		/* A worker that has evicted the answer subscribes again. */
		struct answer *known = subscription_set_find(client->subscriptions, destination);
		if (known != NULL)
			client->options.on_answer(client->options.arg, known);
		return;
	}
	if (dropped.ip.family != 0)
		send_unsubscribe(client, &dropped);
	send_subscribe(client, destination, NULL, 1);
}

void discovery_client_each_answer(const struct discovery_client *client, discovery_answer_fn *each, void *arg)
{
	subscription_set_each_answer(client->subscriptions, each, arg);
}

size_t discovery_client_num_subscriptions(const struct discovery_client *client)
{
	return subscription_set_num(client->subscriptions);
}

const struct why *discovery_client_last_failure(const struct discovery_client *client)
{
	return &client->failure;
}
