/* The claims of a token as a google.protobuf.Struct, objects and lists in them included. Pure. */
#pragma once

#include "base/core/buf.h"
#include <jansson.h>

#define JWT_CLAIMS_DEPTH_MAX 32            /* objects and lists within each other; clients decode them by recursion */
#define JWT_CLAIMS_MAX       (512u * 1024) /* bytes; of the largest token, digits of one byte become numbers of 13 */

/* Appends the encoded Struct. ERR_UNSUPPORTED: deeper; ERR_LIMIT: larger. */
enum err jwt_claims_encode(const json_t *claims, struct buf *out, struct why *why) _must_use_;
