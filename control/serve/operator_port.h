/* The operator's port on 127.0.0.1, for a control plane in Kubernetes: what reaches it has come through the API
 * server's pods/portforward, or from within the pod (decision 057). The runtime that forwards a port connects as root
 * of the node; connections of other users are closed. */
#pragma once

#include "base/core/limited_log.h"
#include "base/core/loop.h"
#include "base/net/listener.h"

struct operator_port_options { /* borrowed */
	struct loop *loop;
	int listening_fd;               /* adopted */
	int table_fd;                   /* tcp_table_open(); adopted */
	struct limited_log *lines;      /* for refusals */
	listener_accept_fn *on_connect; /* of root; the callee owns fd */
	listener_pause_fn *on_pause;
	void *arg;
};

struct operator_port;
struct operator_port *operator_port_new(const struct operator_port_options *options);
void operator_port_free(struct operator_port *port);
