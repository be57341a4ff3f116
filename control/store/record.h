/* The value of one store entry: lines "name=value", which an operator can read with SQLite's own tool. A value has no
 * newline and no NUL. Pure. */
#pragma once

#include "base/core/buf.h"

enum err record_put(struct buf *record, const char *name, struct span value) _must_use_; /* ERR_MALFORMED, ERR_LIMIT */
enum err record_put_number(struct buf *record, const char *name, int64_t value) _must_use_;
#define RECORD_HEX_MAX 8192 /* bytes of one value; ERR_LIMIT */
enum err record_put_hex(struct buf *record, const char *name, struct span bytes) _must_use_;

/* The n-th value of that name, borrowed; false: none. */
bool record_get(struct span record, const char *name, size_t n, struct span *out);
/* A value that is absent or not a number reads as `otherwise`. */
int64_t record_number(struct span record, const char *name, int64_t otherwise);
/* Exactly len bytes as hex; false: absent or malformed. */
bool record_hex(struct span record, const char *name, uint8_t *out, size_t len);
