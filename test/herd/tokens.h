/* Makes thousands of join tokens over the control plane's operator socket. */
#pragma once

#include "base/core/err.h"

/* Writes folder/0, folder/1, ... (mode 0600), each with a token for spiffe://cluster.local/herd/NUMBER. */
enum err tokens_make(const char *operator_socket, const char *folder, unsigned num, struct why *why) _must_use_;
