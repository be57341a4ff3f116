#include "base/core/mem.h"
#include "bench/load/client.h"
#include "bench/load/mode.h"

struct slot {
	struct client client;
	uint64_t asked_us; /* connect: when the connection began */
};

struct closed {
	struct loop *loop;
	const struct mode_options *options;
	struct mode_result *result;
	bool reuses_connections;
	uint64_t num_begun, num_live, end_us;
};

/* More failures than this are systematic, and further tries would only spin. */
enum { FAILURES_MAX = 100 };

static bool has_more(const struct closed *closed)
{
	const struct mode_options *options = closed->options;
	return (options->count == 0 || closed->num_begun < options->count) && client_now_us() < closed->end_us &&
	       closed->result->failed < FAILURES_MAX;
}

static void on_event(struct client *client, enum client_event event);

static void begin(struct slot *slot)
{
	struct closed *closed = slot->client.arg;
	closed->num_begun++;
	slot->asked_us = client_now_us();
	if (slot->client.fd < 0)
		client_open(&slot->client, closed->loop, &closed->options->to, on_event, closed);
	else
		client_request(&slot->client, closed->options->request_len, closed->options->response_len);
}

static void finish(struct slot *slot, bool is_good)
{
	struct closed *closed = slot->client.arg;
	closed->result->done += is_good ? 1 : 0;
	closed->result->failed += is_good ? 0 : 1;
	bool goes_on = has_more(closed);
	if (!goes_on || !is_good || !closed->reuses_connections)
		client_close(&slot->client);
	if (goes_on)
		begin(slot);
	else if (--closed->num_live == 0)
		loop_stop(closed->loop);
}

static void on_event(struct client *client, enum client_event event)
{
	struct slot *slot = container_of(client, struct slot, client);
	struct closed *closed = client->arg;
	switch (event) {
	case CLIENT_CONNECTED:
		client_request(client, closed->options->request_len, closed->options->response_len);
		break;
	case CLIENT_ANSWERED:
		histogram_record(&closed->result->latency, client_now_us() - slot->asked_us);
		finish(slot, true);
		break;
	case CLIENT_FAILED:
		finish(slot, false);
		break;
	}
}

static void on_deadline(struct loop_timer *timer)
{
	loop_stop(timer->loop);
}

static void run(struct closed *closed)
{
	uint64_t num_slots = closed->options->connections;
	struct slot *slots = mem_calloc(num_slots, sizeof(*slots));
	uint64_t since_us = client_now_us();
	struct loop_timer deadline = {.loop = NULL};
	closed->end_us = since_us + closed->options->seconds * 1000000;
	loop_timer_start(closed->loop, &deadline, closed->options->seconds * 1000 + MODE_GRACE_MS, on_deadline);
	for (uint64_t i = 0; i < num_slots; i++) {
		slots[i].client.fd = -1;
		slots[i].client.arg = closed;
		closed->num_live++;
		begin(&slots[i]);
	}
	loop_run(closed->loop);
	loop_timer_stop(&deadline);
	closed->result->elapsed_us = client_now_us() - since_us;
	closed->result->failed += closed->num_live;
	for (uint64_t i = 0; i < num_slots; i++) {
		client_close(&slots[i].client);
		closed->result->num_bytes += slots[i].client.num_bytes;
	}
	mem_free(slots);
}

void mode_keepalive(struct loop *loop, const struct mode_options *options, struct mode_result *out)
{
	run(&(struct closed){.loop = loop, .options = options, .result = out, .reuses_connections = true});
}

void mode_connect(struct loop *loop, const struct mode_options *options, struct mode_result *out)
{
	run(&(struct closed){.loop = loop, .options = options, .result = out});
}
