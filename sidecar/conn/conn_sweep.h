/* Inspects every connection of one worker about once per second, in slices, so that many connections do not delay other
 * work of the loop: counts bytes while a connection is open, and detects losses that no event reports (leg_ops.h). */
#pragma once

#include "sidecar/conn/conn.h"

struct conn_sweep;
struct conn_sweep *conn_sweep_new(struct conn_env *env); /* borrowed; runs on its loop until it is freed */
void conn_sweep_free(struct conn_sweep *sweep);
