/* What the gRPC status of an Istio CA means for the operator. Pure. */
#pragma once

#include "base/rpc/rpc.h"

/* `message` may be NULL. Returns why->err. */
enum err istio_refusal_why(enum rpc_status status, const char *message, const char *token_file, struct why *why);
