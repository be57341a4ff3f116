/* Dials one connection as a given user and finds out where it arrived: at a port of ours in this namespace, or not.
 *
 * Where nothing listens on that port yet, the probe listens there itself for as long as it takes and asks the arrived
 * connection for its original destination. Where something listens (the sidecar), the kernel's own table of connections
 * says that ours ended at that port; the listener does not come to know of it. */
#pragma once

#include "base/core/addr.h"
#include <stdbool.h>
#include <sys/types.h>

enum probe_outcome {
	PROBE_REDIRECTED,    /* it arrived at the port */
	PROBE_MISDIRECTED,   /* it arrived there, with another original destination than the one dialed */
	PROBE_ELSEWHERE,     /* it did not arrive at the port: somebody else answered, or there was no telling who */
	PROBE_UNANSWERED,    /* no answer in time: it left the namespace */
	PROBE_NO_ROUTE,      /* it could not leave at all, so it proves nothing */
	PROBE_CANNOT_BE_USER /* this process may not dial as that user */
};

struct probe {
	struct addr dialed;
	uint16_t port; /* where it should arrive */
	uid_t uid;     /* who dials */
	gid_t gid;
	int timeout_ms; /* for an answer */
};

/* Whether this process may dial as that user. */
bool probe_can_be(uid_t uid, gid_t gid);

/* Sends one segment that nat cannot translate, as `dialed` would see it from a flow that conntrack has forgotten: the
 * FIN of a connection that never began. It has no data. Needs CAP_NET_ADMIN (tcp(7), TCP_REPAIR). ERR_UNREACHABLE: no
 * route leads there. ERR_DENIED: not allowed to this process. `port` and `timeout_ms` are not looked at. */
enum err probe_send_untranslatable(const struct probe *probe) _must_use_;

/* `why` is filled where there is more to say than the outcome. */
enum probe_outcome probe_run(const struct probe *probe, struct why *why);
