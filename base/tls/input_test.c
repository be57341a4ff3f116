#include "base/core/cleanup.h"
#include "base/tls/input.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka requires <setjmp.h> and <stdarg.h> */
#include <cmocka.h>

struct wires {
	struct tls_scratch *scratch;
	struct input a, b;
	int a_fds[2], b_fds[2]; /* read from [0], write to [1] */
};

static int setup(void **state)
{
	static struct wires wires;
	wires.scratch = tls_scratch_new();
	input_init(&wires.a, wires.scratch);
	input_init(&wires.b, wires.scratch);
	*state = &wires;
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, wires.a_fds) |
	       socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, wires.b_fds);
}

static int teardown(void **state)
{
	struct wires *wires = *state;
	input_done(&wires->a);
	input_done(&wires->b);
	tls_scratch_free(wires->scratch);
	for (int i = 0; i < 2; i++) {
		close(wires->a_fds[i]);
		close(wires->b_fds[i]);
	}
	return 0;
}

static void assert_reads(struct input *input, int fd, const char *text)
{
	uint8_t bytes[64];
	size_t len = 0;
	assert_int_equal(input_read(input, fd, bytes, strlen(text), &len), INPUT_BYTES);
	assert_int_equal(len, strlen(text));
	assert_memory_equal(bytes, text, len);
}

static void keeps_unread_bytes_when_another_session_uses_the_area(void **state)
{
	struct wires *wires = *state;
	assert_int_equal(send(wires->a_fds[1], "first of a, rest of a", 21, 0), 21);
	assert_int_equal(send(wires->b_fds[1], "all of b", 8, 0), 8);
	assert_reads(&wires->a, wires->a_fds[0], "first of a");
	assert_null(wires->a.evicted);
	assert_reads(&wires->b, wires->b_fds[0], "all of b");
	assert_non_null(wires->a.evicted);
	assert_reads(&wires->a, wires->a_fds[0], ", rest");
	assert_reads(&wires->a, wires->a_fds[0], " of a");
	assert_null(wires->a.evicted); /* no memory without unread bytes */
	assert_null(wires->scratch->owner);
}

static void calls_recv_again_only_when_rearmed(void **state)
{
	struct wires *wires = *state;
	uint8_t byte;
	size_t len;
	assert_int_equal(send(wires->a_fds[1], "x", 1, 0), 1);
	assert_reads(&wires->a, wires->a_fds[0], "x");
	assert_int_equal(send(wires->a_fds[1], "y", 1, 0), 1);
	assert_int_equal(input_read(&wires->a, wires->a_fds[0], &byte, 1, &len), INPUT_WOULD_BLOCK);
	input_rearm(&wires->a);
	assert_reads(&wires->a, wires->a_fds[0], "y");
}

static void reports_an_end_repeatedly(void **state)
{
	struct wires *wires = *state;
	uint8_t byte;
	size_t len;
	assert_int_equal(input_read(&wires->a, wires->a_fds[0], &byte, 1, &len), INPUT_WOULD_BLOCK);
	shutdown(wires->a_fds[1], SHUT_WR);
	assert_int_equal(input_read(&wires->a, wires->a_fds[0], &byte, 1, &len), INPUT_EOF);
	assert_int_equal(input_read(&wires->a, wires->a_fds[0], &byte, 1, &len), INPUT_EOF);
	assert_null(wires->scratch->owner);
}

static void reports_a_broken_socket_and_its_error(void **state)
{
	struct wires *wires = *state;
	uint8_t byte;
	size_t len;
	assert_int_equal(input_read(&wires->a, -1, &byte, 1, &len), INPUT_BROKEN);
	assert_int_equal(wires->a.errnum, EBADF);
}

static void send_to(const struct wires *wires, const char *bytes, size_t len)
{
	assert_int_equal(send(wires->a_fds[1], bytes, len, 0), (ssize_t)len);
}

static enum input_status read_some(struct wires *wires)
{
	uint8_t bytes[64];
	size_t len;
	input_rearm(&wires->a);
	return input_read(&wires->a, wires->a_fds[0], bytes, sizeof bytes, &len);
}

/* RFC 8446 5 */
static void drops_change_cipher_spec_before_the_hello_and_in_parts(void **state)
{
	struct wires *wires = *state;
	wires->a.awaits_hello = true;
	send_to(wires, CHANGE_CIPHER_SPEC CHANGE_CIPHER_SPEC "\x14\x03", 14);
	assert_int_equal(read_some(wires), INPUT_WOULD_BLOCK);
	assert_null(wires->scratch->owner);
	send_to(wires, "\x03\x00\x01\x01" CHANGE_CIPHER_SPEC, 10);
	assert_int_equal(read_some(wires), INPUT_WOULD_BLOCK);
	send_to(wires, CHANGE_CIPHER_SPEC "\x16\x03\x03 hello", 15);
	input_rearm(&wires->a);
	assert_reads(&wires->a, wires->a_fds[0], "\x16\x03\x03 hello");
	send_to(wires, CHANGE_CIPHER_SPEC, 6); /* now it is the library's */
	assert_int_equal(read_some(wires), INPUT_BYTES);
}

static void what_only_begins_like_one_is_broken(void **state)
{
	struct wires *wires = *state;
	wires->a.awaits_hello = true;
	send_to(wires, "\x14\x03\x03\x00\x02\x01", 6);
	assert_int_equal(read_some(wires), INPUT_BROKEN);
	assert_int_equal(wires->a.errnum, EPROTO);
	assert_int_equal(read_some(wires), INPUT_BROKEN);
	assert_null(wires->scratch->owner);
}

static void a_server_that_sends_nothing_else_is_broken(void **state)
{
	struct wires *wires = *state;
	wires->a.awaits_hello = true;
	for (int i = 0; i < CHANGES_MAX; i++) {
		send_to(wires, CHANGE_CIPHER_SPEC, 6);
		assert_int_equal(read_some(wires), INPUT_WOULD_BLOCK);
	}
	send_to(wires, CHANGE_CIPHER_SPEC, 6);
	assert_int_equal(read_some(wires), INPUT_BROKEN);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(keeps_unread_bytes_when_another_session_uses_the_area),
		CASE(calls_recv_again_only_when_rearmed),
		CASE(reports_an_end_repeatedly),
		CASE(reports_a_broken_socket_and_its_error),
		CASE(drops_change_cipher_spec_before_the_hello_and_in_parts),
		CASE(what_only_begins_like_one_is_broken),
		CASE(a_server_that_sends_nothing_else_is_broken),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
