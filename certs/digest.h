/* SHA-256, for what names things by their hash: pins, files, requests. */
#pragma once

#include "base/core/span.h"

#define DIGEST_LEN 32

void digest_sha256(struct span bytes, uint8_t out[DIGEST_LEN]);
