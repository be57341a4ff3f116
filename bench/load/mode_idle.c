#include "base/core/mem.h"
#include "bench/load/client.h"
#include "bench/load/mode.h"
#include <signal.h>
#include <stdio.h>

enum { AT_ONCE = 32 }; /* handshakes at once: a flood of them would measure the peak, not the idle state */

struct idle {
	struct loop *loop;
	const struct mode_options *options;
	struct mode_result *result;
	struct client *clients;
	uint64_t num_begun;
};

static void on_event(struct client *client, enum client_event event);

static void begin(struct idle *idle)
{
	if (idle->num_begun == idle->options->connections)
		return;
	client_open(&idle->clients[idle->num_begun++], idle->loop, &idle->options->to, on_event, idle);
}

static void settle(struct idle *idle)
{
	if (idle->result->done + idle->result->failed == idle->options->connections) {
		printf("ready\n");
		(void)fflush(stdout);
	}
	begin(idle);
}

static void on_event(struct client *client, enum client_event event)
{
	struct idle *idle = client->arg;
	switch (event) {
	case CLIENT_CONNECTED:
		client_request(client, idle->options->request_len, idle->options->response_len);
		break;
	case CLIENT_ANSWERED:
		idle->result->done++;
		settle(idle);
		break;
	case CLIENT_FAILED:
		client_close(client);
		idle->result->failed++;
		settle(idle);
		break;
	}
}

static void on_deadline(struct loop_timer *timer)
{
	loop_stop(timer->loop);
}

static void on_signal(struct loop_signal *signal)
{
	loop_stop(signal->loop);
}

void mode_idle(struct loop *loop, const struct mode_options *options, struct mode_result *out)
{
	struct idle idle = {.loop = loop, .options = options, .result = out};
	idle.clients = mem_calloc(options->connections, sizeof(*idle.clients));
	struct loop_timer deadline = {.loop = NULL};
	struct loop_signal asked_to_stop = {.loop = NULL};
	loop_timer_start(loop, &deadline, options->seconds * 1000 + MODE_GRACE_MS, on_deadline);
	loop_signal_start(loop, &asked_to_stop, SIGTERM, on_signal);
	for (unsigned i = 0; i < AT_ONCE; i++)
		begin(&idle);
	uint64_t since_us = client_now_us();
	loop_run(loop);
	out->elapsed_us = client_now_us() - since_us;
	loop_signal_stop(&asked_to_stop);
	loop_timer_stop(&deadline);
	for (uint64_t i = 0; i < idle.num_begun; i++)
		client_close(&idle.clients[i]);
	mem_free(idle.clients);
}
