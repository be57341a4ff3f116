/* One side of an intercepted connection behind one interface: a plain socket, or a stream of a tunnel. The relay joins
 * two of them; conn only makes, hands over and frees them. Bytes that a peer sends before a listener is set wait in the
 * leg (a socket's kernel buffer, a stream's window). What a leg can do inside is in leg_ops.h. */
#pragma once

#include "base/core/addr.h"
#include "base/core/loop.h"

struct leg;

/* A connected socket, made so that closing it resets it (base/net/socket.h); adopts fd. */
struct leg *leg_new_plain(struct loop *loop, int fd);
/* The same for a socket that this process connected and set nothing on but what socket_connect() sets. TCP_NODELAY and
 * the bounds of its kernel memory follow with the first bytes that need them: a short connection costs less. */
struct leg *leg_new_connected(struct loop *loop, int fd, bool is_near);
/* A socket to which the end was forwarded closes in order: what was sent is still delivered. Any other is closed
 * with RST, also by leg_free() alone; a stream is canceled. */
void leg_free(struct leg *leg);
/* The other end must see a reset (RST, RST_STREAM), never an orderly end; then leg_free(). */
void leg_reset(struct leg *leg);
DEFINE_CLEANUP(struct leg *, leg_free)
