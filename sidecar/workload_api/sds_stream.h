/* The calls of Envoy's secret discovery service. Private to this folder. */
#pragma once

#include "base/rpc/rpc_server.h"

/* For struct rpc_method: `arg` is the struct workload_api. */
void sds_start_stream(void *arg, struct rpc_call *call, struct rpc_peer *peer);
void sds_start_fetch(void *arg, struct rpc_call *call, struct rpc_peer *peer);
void sds_on_message(void *call_arg, struct rpc_call *call, struct span message);
void sds_on_done(void *call_arg, struct rpc_call *call);
