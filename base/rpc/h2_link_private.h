/* Shared by h2_link.c and h2_link_keepalive.c. */
#pragma once

#include "base/rpc/h2_link.h"

enum link_state { LINK_HANDSHAKE, LINK_AWAITING_SETTINGS, LINK_OPEN, LINK_DEAD };

struct h2_link {
	struct h2_link_options options;
	struct h2_session *h2;
	struct buf out;
	struct loop_io io;
	struct loop_task step_task, end_task;
	struct loop_timer open_timeout, keepalive;
	uint64_t began_ms;
	enum link_state state;
	bool awaits_ping_ack, has_received;
	uint32_t probe_ms;         /* of the probe under way; 0: none */
	bool is_blocked, is_stuck; /* the kernel takes no more bytes; and has taken none since the last keepalive */
	bool has_more_to_read;
	struct why detail;
};

void h2_link_keepalive_start(struct h2_link *link); /* of h2_link_new() */
