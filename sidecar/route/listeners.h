/* What the operator set for single ports: the listeners of a host without interception rules (which local address leads
 * where), and where the workload reads the PROXY protocol. Pure. */
#pragma once

#include "base/core/addr.h"
#include <stdbool.h>

#define LISTENERS_MAX 64 /* of each direction */

#define LISTENER_SERVICE_MAX 253 /* bytes of a service's name */

struct outbound_listener { /* programs of this host connect to `at`, as the workload */
	struct addr at;    /* a loopback address */
	struct addr to;    /* the destination in the mesh; with a service its port, and no IP address */
	char service[LISTENER_SERVICE_MAX + 1]; /* whose address the control plane knows; "": `to` has one */
};

struct inbound_listener { /* what peers send to `port` of this workload goes to `to`, a loopback address */
	uint16_t port;
	bool takes_mtls; /* the sidecar also accepts mutual TLS without a tunnel there */
	struct addr to;
};

struct listeners {
	struct outbound_listener outbound[LISTENERS_MAX];
	size_t num_outbound;
	struct inbound_listener inbound[LISTENERS_MAX];
	size_t num_inbound;
	uint16_t announced[LISTENERS_MAX]; /* ports whose workload reads the PROXY protocol */
	size_t num_announced;
};

/* Whether the workload of that port learns its caller by the PROXY protocol. */
bool listeners_announce(const struct listeners *listeners, uint16_t port);
/* The inbound listener of that port; NULL: none. */
const struct inbound_listener *listeners_inbound(const struct listeners *listeners, uint16_t port);
