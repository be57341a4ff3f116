/* One client connection, with one request at a time. Embedded in its mode's struct. */
#pragma once

#include "base/core/addr.h"
#include "base/core/loop.h"

enum client_event {
	CLIENT_CONNECTED,
	CLIENT_ANSWERED,
	CLIENT_FAILED, /* refused, reset or ended before the answer was complete; close it */
};

struct client;
typedef void client_event_fn(struct client *client, enum client_event event); /* may send the next request or close */

struct client {
	struct loop_io io;
	int fd; /* -1: closed */
	bool is_connected;
	uint64_t answer_left;
	uint64_t num_bytes; /* received in all, over every request */
	client_event_fn *on_event;
	void *arg;
};

void client_open(struct client *client, struct loop *loop, const struct addr *to, client_event_fn *on_event, void *arg);
void client_request(
	struct client *client, uint64_t request_len, uint64_t response_len); /* connected, no request under way */
void client_close(struct client *client);                                    /* no-op when closed */
uint64_t client_now_us(void);                                                /* monotonic */
