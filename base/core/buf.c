#include "base/core/buf.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include <stdarg.h>
#include <stdio.h>

enum { FIRST_CAP = 256 };

void buf_init(struct buf *buf, size_t max)
{
	*buf = BUF_INIT(max);
}

void buf_done(struct buf *buf)
{
	if (buf->is_secret)
		mem_wipe(buf->ptr, buf->cap);
	mem_free(buf->ptr);
	*buf = (struct buf){.max = buf->max, .is_secret = buf->is_secret};
}

void buf_wipe(struct buf *buf)
{
	mem_wipe(buf->ptr, buf->cap);
	buf_done(buf);
}

void buf_clear(struct buf *buf)
{
	buf->start = buf->end = 0;
}

static void move_to_front(struct buf *buf)
{
	size_t len = buf_len(buf);
	if (len > 0)
		memmove(buf->ptr, buf->ptr + buf->start, len);
	buf->start = 0;
	buf->end = len;
}

/* Doubles, so that the cost of appending does not depend on the piece size; never beyond the maximum. The old memory of
 * a buffer that is not marked as secret is not wiped. */
static void grow(struct buf *buf, size_t needed)
{
	CHECK(needed > buf->cap);
	size_t cap = buf->cap < FIRST_CAP ? FIRST_CAP : buf->cap;
	while (cap < needed && cap <= SIZE_MAX / 2)
		cap *= 2;
	if (cap > buf->max || cap < needed)
		cap = buf->max;
	if (cap < needed)
		cap = needed; /* for the NUL of buf_cstr() when the buffer is full */
	if (buf->is_secret) {
		uint8_t *moved = mem_alloc(cap);
		if (buf->end > 0)
			memcpy(moved, buf->ptr, buf->end);
		mem_wipe(buf->ptr, buf->cap);
		mem_free(buf->ptr);
		buf->ptr = moved;
	} else {
		buf->ptr = mem_realloc(buf->ptr, cap);
	}
	buf->cap = cap & (SIZE_MAX >> 1);
}

/* Makes room for `len` more bytes, without regard to the maximum. */
static void make_room(struct buf *buf, size_t len)
{
	if (buf->cap - buf->end >= len)
		return;
	size_t needed = buf_len(buf) + len;
	/* Moving few bytes to gain much space is cheap; moving many to gain little would recur with each append. */
	bool is_move_cheap = buf->start >= buf_len(buf);
	bool is_growth_possible = buf->cap < buf->max;
	if (needed > buf->cap || (!is_move_cheap && is_growth_possible))
		grow(buf, needed > buf->cap ? needed : buf->cap + 1);
	if (buf->cap - buf->end < len)
		move_to_front(buf);
	CHECK(buf->end <= buf->cap && buf->cap - buf->end >= len);
}

enum err buf_append(struct buf *buf, struct span bytes)
{
	if (bytes.len > buf_room(buf))
		return ERR_LIMIT;
	if (bytes.len == 0)
		return ERR_NONE;
	make_room(buf, bytes.len);
	memcpy(buf->ptr + buf->end, bytes.ptr, bytes.len);
	buf->end += bytes.len;
	return ERR_NONE;
}

enum err buf_append_str(struct buf *buf, const char *text)
{
	return buf_append(buf, span_of_str(text));
}

enum err buf_printf(struct buf *buf, const char *format, ...)
{
	va_list args, again;
	va_start(args, format);
	va_copy(again, args);
	int measured = vsnprintf(NULL, 0, format, args);
	va_end(args);
	enum err err = measured < 0 ? ERR_MALFORMED : (size_t)measured > buf_room(buf) ? ERR_LIMIT : ERR_NONE;
	if (err == ERR_NONE) {
		size_t len = (size_t)measured;
		make_room(buf, len + 1); /* vsnprintf() writes a NUL */
		CHECK(vsnprintf((char *)buf->ptr + buf->end, len + 1, format, again) == measured);
		buf->end += len;
	}
	va_end(again);
	return err;
}

void buf_set_max(struct buf *buf, size_t max)
{
	CHECK(buf_len(buf) <= max);
	buf->max = max;
}

enum err buf_reserve(struct buf *buf, size_t len, uint8_t **out_room)
{
	if (len > buf_room(buf))
		return ERR_LIMIT;
	make_room(buf, len == 0 ? 1 : len); /* never NULL: callers pass it to read() */
	*out_room = buf->ptr + buf->end;
	return ERR_NONE;
}

void buf_commit(struct buf *buf, size_t len)
{
	CHECK(len <= buf->cap - buf->end && len <= buf_room(buf));
	buf->end += len;
}

void buf_consume(struct buf *buf, size_t len)
{
	CHECK(len <= buf_len(buf));
	buf->start += len;
	if (buf->start == buf->end)
		buf_clear(buf);
}

const char *buf_cstr(struct buf *buf)
{
	make_room(buf, 1);
	buf->ptr[buf->end] = '\0';
	return (const char *)buf->ptr + buf->start;
}

void buf_trim(struct buf *buf)
{
	if (buf_len(buf) == 0)
		buf_done(buf);
}
