/* The grpc-timeout header: at most eight digits and a unit (gRPC PROTOCOL-HTTP2 "Timeout"). Pure. */
#pragma once

#include "base/core/err.h"
#include "base/core/span.h"

#define RPC_TIMEOUT_TEXT_MAX 16
/* Milliseconds, rounded up (a timeout above zero stays above zero), at most UINT32_MAX: 49 days. */
enum err rpc_timeout_parse(struct span text, uint32_t *out_ms) _must_use_;
const char *rpc_timeout_format(uint32_t ms, char out[RPC_TIMEOUT_TEXT_MAX]);
