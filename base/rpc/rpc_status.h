/* gRPC status codes as text and header values, and the status for an HTTP status or an HTTP/2 error when a response has
 * no gRPC status. Pure. (gRPC "HTTP to gRPC Status Code Mapping" and PROTOCOL-HTTP2 "Errors".) */
#pragma once

#include "base/core/span.h"
#include "base/rpc/rpc.h"

enum err rpc_status_parse(struct span text, enum rpc_status *out) _must_use_; /* "0".."16"; larger: RPC_UNKNOWN */
enum rpc_status rpc_status_of_http(struct span http_status);
enum rpc_status rpc_status_of_h2_error(uint32_t error);

/* grpc-message: percent-encoded printable ASCII, cut to fit. Always terminated; returns the length. */
size_t rpc_message_encode(const char *text, char *out, size_t cap);
size_t rpc_message_decode(struct span text, char *out, size_t cap);
