/* The transport of an rpc connection: a TLS session or a plain descriptor (Unix socket) behind one interface.
 * Non-blocking. */
#pragma once

#include "base/core/buf.h"
#include "base/core/err.h"
#include "base/core/span.h"
#include "base/tls/tls_session.h"

struct transport;

struct transport *transport_new_tls(struct tls_session *session); /* adopts; transport_handshake() runs its handshake */
struct transport *transport_new_plain(int fd);                    /* adopts */
void transport_free(struct transport *transport);
int transport_fd(const struct transport *transport);
struct tls_session *transport_tls(const struct transport *transport); /* NULL: plain */
struct svid *transport_svid(const struct transport *transport);       /* the peer's; NULL: plain, or no certificate */

enum io_result transport_handshake(struct transport *transport) _must_use_; /* plain: IO_DONE */
enum io_result transport_read(struct transport *transport, uint8_t *to, size_t cap, size_t *out_len) _must_use_;
enum io_result transport_write(struct transport *transport, struct span bytes, size_t *out_len) _must_use_;
/* Writes and consumes what is in the buffer, and flushes. IO_DONE: all of it has left. */
enum io_result transport_write_all(struct transport *transport, struct buf *out) _must_use_;
enum io_result transport_flush(struct transport *transport) _must_use_;
void transport_close_notify(struct transport *transport); /* no more output; flush sends close_notify */
const struct why *transport_why(const struct transport *transport);
