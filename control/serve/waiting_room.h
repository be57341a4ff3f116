/* Connections that wait for a handshake (decision 079). A handshake costs a millisecond of the one core; when thousands
 * of sidecars come at once, each waits for its turn, and keeps it without dialing again.
 *
 * A place is taken by an accepted connection, before anything is spent on it: no TLS session, no buffer. It has a turn
 * once its first byte is there. Networks and addresses have their turns one after the other (fair_queue.h), so a source
 * with a thousand connections delays another by one handshake. When there is no place left, the oldest connection of
 * the source with most gives way to a source with fewer.
 *
 * A client that shows that it waits (WAITING_ROOM_SIGN in its ALPN list) is notified every 2 s that its server runs, by
 * a record that TLS 1.3 drops (RFC 8446 5), and may stay for 50 s. Another one, such as a sidecar of release 0.1, gives
 * up after a second, so that its handshake would be in vain: it is closed after half a second, and dials again. */
#pragma once

#include "base/core/addr.h"
#include "base/core/loop.h"

#define WAITING_ROOM_SIGN "handfast-waits"

enum waiting_end {
	WAITING_SILENT, /* no byte in time */
	WAITING_LATE,   /* no turn in time */
	WAITING_FULL,   /* no place */
};

enum waiting_answer {
	WAITING_BEGIN,
	WAITING_PASS, /* this source has to wait, another one has not */
	WAITING_ON,   /* all have to wait */
};

struct waiting_room;

struct waiting_room_options {
	struct loop *loop;
	uint32_t places;
	/* For the one whose turn it is; asked again after waiting_room_poll(), and every 50 ms. */
	enum waiting_answer (*may_begin)(void *arg, const struct addr *from, bool is_patient);
	void (*on_turn)(void *arg, int fd, const struct addr *from);              /* adopts fd */
	void (*on_end)(void *arg, enum waiting_end end, const struct addr *from); /* it was closed without a turn */
	void *arg;
};

struct waiting_room *waiting_room_new(const struct waiting_room_options *options);
void waiting_room_free(struct waiting_room *room); /* closes all; so does waiting_room_clear() */
void waiting_room_clear(struct waiting_room *room);
/* Adopts fd. At most `places` wait, if that is fewer than the room has. */
void waiting_room_enter(struct waiting_room *room, int fd, const struct addr *from, uint32_t places);
void waiting_room_poll(struct waiting_room *room); /* one may begin; in a task */
unsigned waiting_room_num(const struct waiting_room *room);
