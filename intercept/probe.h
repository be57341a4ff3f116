/* Makes one connection as a given user and determines whether it arrived at a port of the sidecar in this namespace.
 *
 * If nothing listens on that port, the probe listens there itself and reads the original destination of the arrived
 * connection. If the sidecar listens, the kernel's table of connections shows that the connection arrived at that port;
 * the listener does not notice it. */
#pragma once

#include "base/core/addr.h"
#include <stdbool.h>
#include <sys/types.h>

enum probe_outcome {
	PROBE_REDIRECTED,    /* it arrived at the port */
	PROBE_MISDIRECTED,   /* it arrived there, with another original destination than the dialed one */
	PROBE_ELSEWHERE,     /* it did not arrive at the port: another host answered, or the arrival is unknown */
	PROBE_UNANSWERED,    /* no answer in time: it left the namespace */
	PROBE_NO_ROUTE,      /* it could not leave the namespace: no result */
	PROBE_CANNOT_BE_USER /* this process may not switch to that user */
};

struct probe {
	struct addr dialed;
	uint16_t port; /* where it should arrive */
	uid_t uid;     /* of the connection */
	gid_t gid;
	int timeout_ms; /* for an answer */
};

/* Whether this process may dial as that user. */
bool probe_can_be(uid_t uid, gid_t gid);

/* Sends one segment that nat cannot translate, like one of a flow that conntrack has forgotten: the FIN of a connection
 * that never began, without data. Needs CAP_NET_ADMIN (tcp(7), TCP_REPAIR). ERR_UNREACHABLE: no route; ERR_DENIED: not
 * permitted. `port` and `timeout_ms` are ignored. */
enum err probe_send_untranslatable(const struct probe *probe) _must_use_;

/* Mode tproxy: connects as the sidecar, in the name of `probe->dialed`, to a listener of the user `probe->uid` at
 * `own`, and waits until the listener has it: the listener's answer came back over lo. ERR_TIMEOUT: it did not;
 * ERR_DENIED: not permitted. `port` is ignored. */
enum err probe_in_a_callers_name(const struct probe *probe, const struct ip_addr *own) _must_use_;

/* *why is filled for PROBE_MISDIRECTED. */
enum probe_outcome probe_run(const struct probe *probe, struct why *why);
