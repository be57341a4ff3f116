#include "base/h2/h2_headers.h"
#include "base/core/check.h"
#include "base/core/mem.h"

enum { FIELD_OVERHEAD = 32, FIRST_CAP = 16 };

static struct span span_of_rcbuf(nghttp2_rcbuf *rcbuf)
{
	nghttp2_vec vec = nghttp2_rcbuf_get_buf(rcbuf);
	return span_of(vec.base, vec.len);
}

static void make_room(struct h2_headers *headers)
{
	if (headers->num_items < headers->cap_items)
		return;
	headers->cap_items = headers->cap_items == 0 ? FIRST_CAP : headers->cap_items * 2;
	headers->items = mem_realloc(headers->items, headers->cap_items * sizeof(*headers->items));
	headers->refs = mem_realloc(headers->refs, headers->cap_items * 2 * sizeof(*headers->refs));
}

enum err h2_headers_add(struct h2_headers *headers, nghttp2_rcbuf *name, nghttp2_rcbuf *value, size_t max_bytes)
{
	struct h2_header header = {.name = span_of_rcbuf(name), .value = span_of_rcbuf(value)};
	headers->decoded_len += header.name.len + header.value.len + FIELD_OVERHEAD;
	if (headers->decoded_len > max_bytes)
		return ERR_TOO_LARGE;
	make_room(headers);
	nghttp2_rcbuf_incref(name);
	nghttp2_rcbuf_incref(value);
	headers->refs[headers->num_items * 2] = name;
	headers->refs[headers->num_items * 2 + 1] = value;
	headers->items[headers->num_items++] = header;
	return ERR_NONE;
}

void h2_headers_clear(struct h2_headers *headers)
{
	for (size_t i = 0; i < headers->num_items * 2; i++)
		nghttp2_rcbuf_decref(headers->refs[i]);
	mem_free(headers->items);
	mem_free(headers->refs);
	*headers = (struct h2_headers){0};
}

static struct span copy_behind(uint8_t **at, struct span bytes)
{
	uint8_t *copy = *at;
	if (bytes.len > 0)
		memcpy(copy, bytes.ptr, bytes.len);
	*at += bytes.len;
	return span_of(copy, bytes.len);
}

struct h2_header *h2_headers_copy(const struct h2_header *headers, size_t num_headers)
{
	size_t len = num_headers * sizeof(*headers) + 1;
	for (size_t i = 0; i < num_headers; i++)
		len += headers[i].name.len + headers[i].value.len;
	struct h2_header *copies = mem_alloc(len);
	uint8_t *at = (uint8_t *)(copies + num_headers);
	for (size_t i = 0; i < num_headers; i++) {
		copies[i] = headers[i];
		copies[i].name = copy_behind(&at, headers[i].name);
		copies[i].value = copy_behind(&at, headers[i].value);
	}
	CHECK(at + 1 == (uint8_t *)copies + len);
	return copies;
}

struct span h2_headers_find(const struct h2_header *headers, size_t num_headers, const char *name)
{
	for (size_t i = 0; i < num_headers; i++)
		if (span_eq(headers[i].name, span_of_str(name)))
			return headers[i].value;
	return span_of(NULL, 0);
}

static uint8_t *unconst(const uint8_t *bytes) /* nghttp2_nv has no const; nghttp2 only reads */
{
	union {
		const uint8_t *in;
		uint8_t *out;
	} pointer = {.in = bytes};
	return pointer.out;
}

void h2_headers_to_nv(const struct h2_header *headers, size_t num_headers, nghttp2_nv out[H2_HEADERS_SEND_MAX])
{
	CHECK(num_headers <= H2_HEADERS_SEND_MAX);
	for (size_t i = 0; i < num_headers; i++)
		out[i] = (nghttp2_nv){
			.name = unconst(headers[i].name.ptr),
			.namelen = headers[i].name.len,
			.value = unconst(headers[i].value.ptr),
			.valuelen = headers[i].value.len,
			.flags = headers[i].is_unique ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE,
		};
}
