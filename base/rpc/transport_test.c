#include "base/rpc/transport.h"
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static struct transport *plain_pair(int *out_other)
{
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	*out_other = fds[1];
	return transport_new_plain(fds[0]);
}

static void plain_bytes_pass_unchanged(_unused_ void **state)
{
	int other;
	struct transport *transport = plain_pair(&other);
	uint8_t bytes[16];
	size_t len = 0;
	assert_int_equal(transport_handshake(transport), IO_DONE);
	assert_int_equal(transport_read(transport, bytes, sizeof(bytes), &len), IO_WANT_READ);
	assert_int_equal(transport_write(transport, SPAN_LITERAL("ping"), &len), IO_DONE);
	assert_int_equal(len, 4);
	assert_int_equal(transport_flush(transport), IO_DONE);
	assert_int_equal(read(other, bytes, sizeof(bytes)), 4);
	assert_int_equal(write(other, "pong", 4), 4);
	assert_int_equal(transport_read(transport, bytes, sizeof(bytes), &len), IO_DONE);
	assert_memory_equal(bytes, "pong", 4);
	assert_null(transport_tls(transport));
	assert_null(transport_svid(transport));
	close(other);
	assert_int_equal(transport_read(transport, bytes, sizeof(bytes), &len), IO_EOF);
	transport_free(transport);
}

static void a_write_to_a_closed_peer_fails_without_a_signal(_unused_ void **state)
{
	int other;
	struct transport *transport = plain_pair(&other);
	close(other);
	size_t len;
	assert_int_equal(transport_write(transport, SPAN_LITERAL("x"), &len), IO_FAILED);
	assert_int_not_equal(transport_why(transport)->err, ERR_NONE);
	transport_free(transport);
	transport_free(NULL);
}

static void a_full_socket_returns_want_write(_unused_ void **state)
{
	int other;
	struct transport *transport = plain_pair(&other);
	static const uint8_t bytes[64 * 1024];
	size_t len;
	enum io_result result;
	do
		result = transport_write(transport, span_of(bytes, sizeof(bytes)), &len);
	while (result == IO_DONE);
	assert_int_equal(result, IO_WANT_WRITE);
	close(other);
	transport_free(transport);
}

static void what_is_written_is_consumed_up_to_a_full_socket(_unused_ void **state)
{
	int other;
	struct transport *transport = plain_pair(&other);
	static uint8_t bytes[4 * 1024 * 1024];
	_cleanup_(buf_done) struct buf out = BUF_INIT(sizeof(bytes));
	size_t num_read = 0;
	assert_int_equal(buf_append(&out, span_of(bytes, sizeof(bytes))), ERR_NONE);
	while (transport_write_all(transport, &out) == IO_WANT_WRITE) {
		assert_in_range(buf_len(&out), 1, sizeof(bytes) - num_read);
		num_read += (size_t)read(other, bytes, sizeof(bytes));
	}
	assert_int_equal(buf_len(&out), 0);
	close(other);
	transport_free(transport);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_bytes_pass_unchanged),
		cmocka_unit_test(a_write_to_a_closed_peer_fails_without_a_signal),
		cmocka_unit_test(a_full_socket_returns_want_write),
		cmocka_unit_test(what_is_written_is_consumed_up_to_a_full_socket),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
