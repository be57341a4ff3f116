/* From the TLS library's certificate callback to ours, and from our error to the alert that tells the peer. */
#pragma once

#include "base/tls/session.h"

void verify_bridge_set(SSL_CTX *ctx, int mode);
