/* Shared by endpoint.c and endpoint_conn.c. */
#pragma once

#include "base/core/limited_log.h"
#include "base/core/list.h"
#include "base/core/shares.h"
#include "base/http/http_head.h"
#include "base/net/listener.h"
#include "base/rpc/transport.h"
#include "control/federate/endpoint.h"

struct endpoint {
	struct endpoint_options options;
	struct listener *listener;
	struct tls_context *context;
	struct tls_scratch *scratch;
	struct limited_log *lines;
	struct list conns;
	size_t num_conns;
	struct shares *places;
	struct rates *rates; /* of connections per source: per /64 of IPv6 */
};

struct endpoint_conn {
	struct list_link link;
	struct share place;
	struct endpoint *endpoint;
	struct addr from;
	enum endpoint_phase {
		ENDPOINT_HANDSHAKE,
		ENDPOINT_READING,
		ENDPOINT_WRITING,
		ENDPOINT_LINGERING, /* all is written; until the client has read it */
	} phase;
	struct transport *transport;
	struct loop_io io;
	struct loop_timer deadline;
	struct loop_task step;
	struct http_head *head;
	struct buf out;
};

/* Adopts fd. NULL: there is no certificate, or no session. */
struct endpoint_conn *endpoint_conn_new(struct endpoint *endpoint, int fd, const struct addr *from);
void endpoint_conn_free(struct endpoint_conn *conn); /* in the list, with a place */
