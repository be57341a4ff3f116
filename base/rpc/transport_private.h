/* The interface of transports. Private to base/rpc. */
#pragma once

#include "base/rpc/transport.h"

struct transport_ops {
	void (*free)(struct transport *transport);
	int (*fd)(const struct transport *transport);
	enum io_result (*handshake)(struct transport *transport);
	enum io_result (*read)(struct transport *transport, uint8_t *to, size_t cap, size_t *out_len);
	enum io_result (*write)(struct transport *transport, struct span bytes, size_t *out_len);
	enum io_result (*flush)(struct transport *transport);
	void (*close_notify)(struct transport *transport);
	const struct why *(*failure)(const struct transport *transport);
	struct svid *(*svid)(const struct transport *transport);
};

struct transport { /* the first member of each kind */
	const struct transport_ops *ops;
	struct tls_session *tls; /* NULL: plain */
};
