/* What is judged by time: when authorities end, and whether the clocks of a cluster agree. Seconds since 1970. Pure. */
#pragma once

#include "base/core/span.h"
#include "cli/cluster/findings.h"

/* metrics: of a replica of the control plane (/metrics). Wrong from 30 days before the end of one of the mesh's roots.
 */
void check_root_expiry(struct findings *findings, const char *metrics, int64_t now_s);
/* ca_bundle: PEM, of the webhook's registration: the authorities of the replicas, each of which is valid for a day and
 * renewed after half of it. Wrong where none is good for 6 hours more: renewal has stopped. */
void check_webhook_certificate(struct findings *findings, struct span ca_bundle, int64_t now_s);
/* whose: "the API server". Wrong from 60 s, from which on a sidecar doubts the control plane's time (decision 031). */
void check_clock(struct findings *findings, const char *whose, int64_t its_s, int64_t now_s);
