#include "intercept/kernel_tcp.h"
#include "base/core/hex.h"
#include "base/net/fd.h"
#include <stdio.h>

#define TABLE_MAX    (64u << 20) /* 150 bytes per connection */
#define STATE_LISTEN 0x0a

/* Consumes up to 8 hex digits; their number in *out_num. */
static uint32_t take_word(struct span *rest, unsigned *out_num)
{
	uint32_t word = 0;
	unsigned num = 0;
	while (num < 8 && rest->len > 0 && hex_value(rest->ptr[0]) >= 0) {
		word = word << 4 | (uint32_t)hex_value(rest->ptr[0]);
		*rest = span_from(*rest, 1);
		num++;
	}
	*out_num = num;
	return word;
}

/* "0100007F:3A99": the address as 32-bit words in host byte order, the port as a number. */
static bool take_addr(struct span *rest, struct addr *out)
{
	uint32_t words[4];
	unsigned num_words = 0, num_digits = 0;
	for (; num_words < 4; num_words++) {
		words[num_words] = take_word(rest, &num_digits);
		if (num_digits != 8)
			break;
	}
	bool is_whole = num_words == 4 || (num_words == 1 && num_digits == 0);
	if (!is_whole || rest->len == 0 || rest->ptr[0] != ':')
		return false;
	*rest = span_from(*rest, 1);
	out->port = (uint16_t)take_word(rest, &num_digits);
	return num_digits == 4 && ip_addr_from_bytes(span_of(words, num_words * 4), &out->ip) == ERR_NONE;
}

static void skip_spaces(struct span *rest)
{
	while (rest->len > 0 && rest->ptr[0] == ' ')
		*rest = span_from(*rest, 1);
}

struct row {
	struct addr local, remote;
	uint32_t state;
};

/* "   0: LOCAL REMOTE STATE ..." */
static bool take_row(struct span line, struct row *out)
{
	const uint8_t *colon = memchr(line.ptr, ':', line.len);
	unsigned num_digits = 0;
	if (colon == NULL)
		return false;
	struct span rest = span_from(line, (size_t)(colon - line.ptr) + 1);
	skip_spaces(&rest);
	if (!take_addr(&rest, &out->local))
		return false;
	skip_spaces(&rest);
	if (!take_addr(&rest, &out->remote))
		return false;
	skip_spaces(&rest);
	out->state = take_word(&rest, &num_digits);
	return num_digits == 2;
}

typedef bool row_fn(const struct row *row, const struct addr *remote);

static bool is_connection(const struct row *row, const struct addr *remote)
{
	return addr_eq(&row->remote, remote);
}

static bool is_listener(const struct row *row, _unused_ const struct addr *remote)
{
	return row->state == STATE_LISTEN;
}

static bool table_has(struct span table, uint16_t local_port, row_fn *is_it, const struct addr *remote)
{
	while (table.len > 0) {
		const uint8_t *end = memchr(table.ptr, '\n', table.len);
		size_t len = end == NULL ? table.len : (size_t)(end - table.ptr);
		struct row row = {0};
		if (take_row(span_of(table.ptr, len), &row) && row.local.port == local_port && is_it(&row, remote))
			return true;
		table = span_from(table, end == NULL ? len : len + 1);
	}
	return false;
}

bool kernel_tcp_table_has(struct span table, uint16_t local_port, const struct addr *remote)
{
	return table_has(table, local_port, is_connection, remote);
}

bool kernel_tcp_table_listens(struct span table, uint16_t port)
{
	return table_has(table, port, is_listener, NULL);
}

/* remote NULL: a listener. */
static bool kernel_has(uint16_t local_port, const struct addr *remote)
{
	static const char *const TABLES[] = {"/proc/net/tcp", "/proc/net/tcp6"};
	for (size_t i = 0; i < sizeof(TABLES) / sizeof(TABLES[0]); i++) {
		_cleanup_(buf_done) struct buf table = BUF_INIT(TABLE_MAX);
		if (fd_read_file(TABLES[i], TABLE_MAX, &table, NULL) != ERR_NONE)
			continue;
		if (remote == NULL ? kernel_tcp_table_listens(buf_span(&table), local_port)
				   : kernel_tcp_table_has(buf_span(&table), local_port, remote))
			return true;
	}
	return false;
}

bool kernel_tcp_has(uint16_t local_port, const struct addr *remote)
{
	return kernel_has(local_port, remote);
}

bool kernel_tcp_listens(uint16_t port)
{
	return kernel_has(port, NULL);
}
