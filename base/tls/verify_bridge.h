/* Connects BoringSSL's certificate callback to the session's verifier, and maps its error to an alert. */
#pragma once

#include "base/tls/session.h"

void verify_bridge_set(SSL_CTX *ctx, int mode);
