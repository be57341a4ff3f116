/* base64 with padding (RFC 4648 4), as PEM, kubeconfig files and the JSON objects of Kubernetes have it. Pure. */
#pragma once

#include "base/core/buf.h"

enum err base64_encode(struct span bytes, struct buf *out) _must_use_; /* appends; ERR_LIMIT */
/* White space is skipped. Appends; ERR_MALFORMED, ERR_LIMIT. */
enum err base64_decode(struct span text, struct buf *out) _must_use_;
