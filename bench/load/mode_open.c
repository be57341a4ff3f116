/* Request number i is due at start + i / rate. It is sent on the first connection that is free then or later, and its
 * latency counts from when it was due: a stall of the proxy shows in every request that was due meanwhile. */
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "bench/load/client.h"
#include "bench/load/mode.h"
#include <sys/timerfd.h>
#include <unistd.h>

enum { SETTLE_US = 500000 }; /* downloads run this long before the first request is due */

struct asker {
	struct client client;
	uint64_t due_us;
	struct asker *next_free;
};

struct open {
	struct loop *loop;
	const struct mode_options *options;
	struct mode_result *result;
	struct asker *free;
	uint64_t start_us, next, total; /* next: the number of the next request to send */
	uint64_t num_connected;
	struct loop_io alarm;
	int alarm_fd;
};

static uint64_t due_us(const struct open *open, uint64_t number)
{
	return open->start_us + number * 1000000 / open->options->rate;
}

static void set_alarm(struct open *open)
{
	uint64_t due = due_us(open, open->next);
	struct itimerspec at = {
		.it_value = {.tv_sec = (time_t)(due / 1000000), .tv_nsec = (long)(due % 1000000) * 1000}};
	CHECK(timerfd_settime(open->alarm_fd, TFD_TIMER_ABSTIME, &at, NULL) == 0);
}

static void send_due(struct open *open)
{
	uint64_t now_us = client_now_us();
	while (open->next < open->total && open->free != NULL && due_us(open, open->next) <= now_us) {
		struct asker *asker = open->free;
		open->free = asker->next_free;
		asker->due_us = due_us(open, open->next++);
		client_request(&asker->client, open->options->request_len, open->options->response_len);
	}
	if (open->next < open->total && open->free != NULL)
		set_alarm(open);
}

static void on_alarm(struct loop_io *io, _unused_ unsigned ready)
{
	struct open *open = container_of(io, struct open, alarm);
	uint64_t expirations;
	if (read(open->alarm_fd, &expirations, sizeof(expirations)) == sizeof(expirations))
		send_due(open);
}

static void start_asking(struct open *open)
{
	uint64_t settle_us = open->options->downloads > 0 ? SETTLE_US : 0;
	open->start_us = client_now_us() + settle_us;
	set_alarm(open);
}

static void finish(struct open *open, struct asker *asker)
{
	histogram_record(&open->result->latency, client_now_us() - asker->due_us);
	asker->next_free = open->free;
	open->free = asker;
	if (++open->result->done == open->total)
		loop_stop(open->loop);
	else
		send_due(open);
}

static void on_asker_event(struct client *client, enum client_event event)
{
	struct asker *asker = container_of(client, struct asker, client);
	struct open *open = client->arg;
	switch (event) {
	case CLIENT_CONNECTED:
		asker->next_free = open->free;
		open->free = asker;
		if (++open->num_connected == open->options->connections)
			start_asking(open);
		break;
	case CLIENT_ANSWERED:
		finish(open, asker);
		break;
	case CLIENT_FAILED:
		client_close(client);
		break;
	}
}

static void on_download_event(struct client *client, enum client_event event)
{
	struct open *open = client->arg;
	if (event == CLIENT_FAILED)
		client_close(client);
	else
		client_request(client, sizeof(uint64_t) * 2, open->options->download_len);
}

static void on_deadline(struct loop_timer *timer)
{
	loop_stop(timer->loop);
}

static void run(struct open *open, struct asker *askers, struct client *downloads)
{
	const struct mode_options *options = open->options;
	struct loop_timer deadline = {.loop = NULL};
	loop_timer_start(open->loop, &deadline, options->seconds * 1000 + 2 * MODE_GRACE_MS, on_deadline);
	loop_io_start(open->loop, &open->alarm, open->alarm_fd, LOOP_READ, on_alarm);
	for (uint64_t i = 0; i < options->downloads; i++)
		client_open(&downloads[i], open->loop, &options->to, on_download_event, open);
	for (uint64_t i = 0; i < options->connections; i++)
		client_open(&askers[i].client, open->loop, &options->to, on_asker_event, open);
	uint64_t since_us = client_now_us();
	loop_run(open->loop);
	open->result->elapsed_us = client_now_us() - since_us;
	loop_timer_stop(&deadline);
	loop_io_stop(&open->alarm);
	for (uint64_t i = 0; i < options->downloads; i++) {
		client_close(&downloads[i]);
		open->result->download_bytes += downloads[i].num_bytes;
	}
	for (uint64_t i = 0; i < options->connections; i++) {
		client_close(&askers[i].client);
		open->result->num_bytes += askers[i].client.num_bytes;
	}
	open->result->failed = open->total - open->result->done;
}

void mode_open(struct loop *loop, const struct mode_options *options, struct mode_result *out)
{
	struct open open = {.loop = loop, .options = options, .result = out, .total = options->rate * options->seconds};
	open.alarm_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	CHECK(open.alarm_fd >= 0);
	struct asker *askers = mem_calloc(options->connections, sizeof(*askers));
	struct client *downloads = mem_calloc(options->downloads + 1, sizeof(*downloads));
	run(&open, askers, downloads);
	mem_free(askers);
	mem_free(downloads);
	fd_close(open.alarm_fd);
}
