/* What a leg can do, for what attaches two of them: the relay, and the attempt that sends early bytes. No payload is
 * copied between two legs where that can be helped:
 *
 * - a plain leg takes bytes by push(), straight from where they lie (the tunnel's plaintext), with one send(2);
 * - a stream leg has no push: when woken it pulls from its `other` leg, straight into the frame under way.
 *
 * What a push did not take is kept by the leg that the bytes came from, and nothing more is read there: a leg owns
 * memory only while bytes wait. */
#pragma once

#include "base/core/buf.h"
#include "base/net/socket.h"
#include "sidecar/leg/leg.h"

struct svid;

struct leg_inspection { /* what the inspection of a living leg goes by */
	uint64_t now_ms;
	bool asks_kernel;    /* also for acknowledgments; not at every inspection */
	uint32_t silence_ms; /* bytes that nothing acknowledges for so long: the other end is lost */
	struct socket_keepalive keepalive;
};

struct leg_listener {
	void (*on_readable)(struct leg *leg); /* bytes of this side wait, or its end: wake or pump the other */
	void (*on_writable)(struct leg *leg); /* push may go on */
	void (*on_ended)(struct leg *leg);    /* the end was forwarded to this side: out_ended */
	/* This side is reset or lost. Nothing comes after it. */
	void (*on_reset)(struct leg *leg, const struct why *why);
};

struct leg_ops {
	/* Bytes that came from this side, straight into `to`. IO_DONE: *out_len > 0; IO_WANT_READ: on_readable
	 * follows; IO_EOF: this side has ended, reported once; IO_FAILED: on_reset was called. */
	enum io_result (*pull)(struct leg *leg, uint8_t *to, size_t cap, size_t *out_len);
	/* Bytes towards this side. IO_DONE: all; IO_WANT_WRITE: *out_len of them, on_writable follows; IO_FAILED:
	 * on_reset was called. NULL: this side pulls. */
	enum io_result (*push)(struct leg *leg, struct span bytes, size_t *out_len);
	void (*push_end)(struct leg *leg);             /* with push: no byte follows */
	void (*wake)(struct leg *leg);                 /* without push: `other` has bytes or its end */
	void (*consumed)(struct leg *leg, size_t len); /* the other side took so many of this one's bytes: credit */
	void (*watch)(struct leg *leg);                /* on_readable as soon as there is something */
	/* NULL: none. Called about once per second: notices what no event reports, and may call on_reset; frees what
	 * an idle leg does not need. */
	void (*inspect)(struct leg *leg, const struct leg_inspection *inspection);
	void (*reset)(struct leg *leg);
	void (*free)(struct leg *leg);
	const struct svid *(*peer)(const struct leg *leg);
};

struct leg {
	const struct leg_ops *ops;
	struct loop *loop;
	struct leg *other; /* where its bytes go; NULL before it is attached */
	const struct leg_listener *listener;
	void *owner;          /* the listener's */
	struct buf *buffered; /* bytes of this side that the other did not take yet; NULL: none, as of most legs */
	uint64_t sent;        /* bytes handed on to this side */
	uint64_t active_ms;   /* when that was */
	bool in_ended;        /* pull has reported the end */
	bool out_ended;
	bool is_reset;     /* by its own side, or by leg_reset() */
	bool hit_limit;    /* is_reset, because of the memory limit */
	bool is_too_old;   /* is_reset, because it was opened under an identity older than max_identity_age */
	bool is_withdrawn; /* is_reset, because its peer's identity was withdrawn */
};

enum { LEG_BUFFERED_MAX = 16 * 1024 * 1024 }; /* of `buffered`; windows and the pump keep it far below */

void leg_init(struct leg *leg, const struct leg_ops *ops, struct loop *loop);
void leg_attach(struct leg *leg, struct leg *other, const struct leg_listener *listener, void *owner);
void leg_detach(struct leg *leg); /* no listener any more; it can be attached again */
/* Hands bytes of this side to the other; keeps what it does not take. */
void leg_deliver(struct leg *leg, struct span bytes);
/* Hands on what this side kept; true: nothing is left. */
bool leg_deliver_buffered(struct leg *leg);
void leg_drop_buffered(struct leg *leg);
/* For pull: takes back up to cap bytes of what this side kept; how many. */
size_t leg_take_buffered(struct leg *leg, uint8_t *to, size_t cap);
/* Bytes of this side were pulled, and certainly not delivered: they are to be pulled again, before what is kept. */
void leg_put_back(struct leg *leg, struct span bytes);
void leg_count(struct leg *leg, size_t len); /* so many bytes were handed on to this side */
void leg_inspect(struct leg *leg, const struct leg_inspection *inspection);
/* For the leg itself: it is lost. Reports to the listener, once. */
void leg_lost(struct leg *leg, const struct why *why);
