/* SHA-256, for pins, files and requests. */
#pragma once

#include "base/core/span.h"

#define DIGEST_LEN 32

void digest_sha256(struct span bytes, uint8_t out[DIGEST_LEN]);
