/* Makes one probe of the workload, as kubelet would: with strict ports kubelet's own probes, which come in plaintext,
 * would be refused. Connects as the sidecar's user, whose connections are not intercepted. */
#pragma once

#include "base/core/addr.h"
#include "base/core/loop.h"
#include "sidecar/probe/probe_spec.h"

/* An answer comes that much before the spec's timeout, so that kubelet gets it, and its reason, before it gives up. */
#define PROBE_MARGIN_MS 50
uint32_t probe_timeout_ms(const struct probe_spec *spec);

/* status: 200 healthy; the workload's own status where it answered 400 or above; else 503. text: one line. */
typedef void probe_done_fn(void *arg, unsigned status, const char *text);
/* ip: the address of the pod that kubelet probes. spec is borrowed until on_done, which is called once, later. */
struct probe;
struct probe *probe_start(
	struct loop *loop, const struct probe_spec *spec, const struct ip_addr *ip, probe_done_fn *on_done, void *arg);
void probe_free(struct probe *probe); /* before on_done: it is not called */
