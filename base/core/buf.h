/* A bounded byte buffer. Bytes are appended at the end and consumed from the front. The maximum is set at
 * initialization, so no peer can make it grow without bound. A zeroed buf (maximum 0) is valid to buf_done(). */
#pragma once

#include "base/core/err.h"
#include "base/core/span.h"

struct buf {
	uint8_t *ptr;
	size_t start;       /* first unconsumed byte */
	size_t end;         /* one after the last byte */
	size_t max;         /* buf_len() never exceeds it */
	size_t cap : 63;    /* one word with the mark: every leg of a connection has a buffer */
	bool is_secret : 1; /* its memory is overwritten before it is freed, also when it grows */
};

#define BUF_INIT(max_bytes)        ((struct buf){.max = (max_bytes)})
#define BUF_INIT_SECRET(max_bytes) ((struct buf){.max = (max_bytes), .is_secret = true})

void buf_init(struct buf *buf, size_t max);
void buf_done(struct buf *buf);  /* frees; the buf is then empty, has the same maximum and can be reused */
void buf_wipe(struct buf *buf);  /* overwrites, then buf_done(): for secrets that were reserved or appended at once */
void buf_clear(struct buf *buf); /* empty, keeps its memory */
void buf_set_max(struct buf *buf, size_t max); /* at least buf_len(); keeps its memory */

static inline size_t buf_len(const struct buf *buf)
{
	return buf->end - buf->start;
}
static inline struct span buf_span(const struct buf *buf)
{
	/* NULL + 0 is undefined in C, and an empty buffer may have no memory. */
	return span_of(buf->start == 0 ? buf->ptr : buf->ptr + buf->start, buf->end - buf->start);
}
static inline size_t buf_room(const struct buf *buf)
{
	return buf->max - buf_len(buf);
}

enum err buf_append(struct buf *buf,
	struct span bytes) _must_use_; /* ERR_LIMIT: it would exceed the maximum; nothing is appended */
enum err buf_append_str(struct buf *buf, const char *text) _must_use_;
enum err buf_printf(struct buf *buf, const char *format, ...) _printf_(2, 3) _must_use_;

/* Reserves `len` bytes for writing in place; buf_commit() appends what was written. ERR_LIMIT as buf_append(). */
enum err buf_reserve(struct buf *buf, size_t len, uint8_t **out_room) _must_use_;
void buf_commit(struct buf *buf, size_t len);
void buf_consume(struct buf *buf, size_t len);
/* The content, NUL-terminated, borrowed. The NUL counts neither as content nor against the maximum. */
const char *buf_cstr(struct buf *buf);
/* Frees the memory if the buffer is empty. */
void buf_trim(struct buf *buf);
