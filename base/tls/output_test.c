#include "base/core/mem.h"
#include "base/tls/output.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka requires <setjmp.h> and <stdarg.h> */
#include <cmocka.h>

struct wire {
	struct tls_scratch *scratch;
	struct output output;
	int fds[2];
};

static int setup(void **state)
{
	static struct wire wire;
	wire.scratch = tls_scratch_new();
	output_init(&wire.output, wire.scratch);
	*state = &wire;
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, wire.fds);
}

static int teardown(void **state)
{
	struct wire *wire = *state;
	output_done(&wire->output);
	tls_scratch_free(wire->scratch);
	close(wire->fds[0]);
	close(wire->fds[1]);
	return 0;
}

/* A continuing count, so that lost or duplicated bytes are detected. */
static void append_counting(struct output *output, size_t len, uint8_t *counter)
{
	uint8_t *bytes = mem_alloc(len);
	for (size_t i = 0; i < len; i++)
		bytes[i] = (*counter)++;
	assert_int_equal(output_append(output, span_of(bytes, len)), ERR_NONE);
	mem_free(bytes);
}

static size_t receive_counting(int fd, size_t most, uint8_t *counter)
{
	uint8_t bytes[8192];
	size_t total = 0;
	ssize_t got;
	while (total < most && (got = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0) {
		for (ssize_t i = 0; i < got; i++)
			assert_int_equal(bytes[i], (*counter)++);
		total += (size_t)got;
	}
	return total;
}

static void sends_gathered_bytes_and_then_has_no_memory(void **state)
{
	struct wire *wire = *state;
	uint8_t sent = 0, received = 0;
	for (size_t len = 1; len < 4000; len += 500)
		append_counting(&wire->output, len, &sent);
	assert_int_equal(output_flush(&wire->output, wire->fds[0]), IO_DONE);
	assert_null(wire->output.ptr);
	assert_true(receive_counting(wire->fds[1], SIZE_MAX, &received) > 10000);
	assert_int_equal(sent, received);
	assert_int_equal(wire->scratch->num_spare, 0); /* small amounts borrow no block */
}

static void loses_nothing_when_the_kernel_accepts_it_in_parts(void **state)
{
	struct wire *wire = *state;
	uint8_t sent = 0, received = 0;
	size_t total = 0, arrived = 0;
	for (int i = 0; i < 200; i++) {
		size_t len = (size_t)(i * 397 % 60000) + 1;
		if (output_room(&wire->output, 1024 * 1024) >= len) {
			append_counting(&wire->output, len, &sent);
			total += len;
		}
		assert_int_not_equal(output_flush(&wire->output, wire->fds[0]), IO_FAILED);
		arrived += receive_counting(wire->fds[1], 20000, &received);
	}
	while (arrived < total) {
		(void)!output_flush(&wire->output, wire->fds[0]);
		arrived += receive_counting(wire->fds[1], SIZE_MAX, &received);
	}
	assert_int_equal(arrived, total);
	assert_int_equal(output_len(&wire->output), 0);
	assert_null(wire->output.ptr);
}

static void releases_a_block_when_little_is_left_in_it(void **state)
{
	struct wire *wire = *state;
	uint8_t sent = 0, received = 0;
	append_counting(&wire->output, 400000, &sent);
	assert_int_equal(wire->output.cap, SCRATCH_BLOCK_LEN);
	assert_int_equal(output_flush(&wire->output, wire->fds[0]), IO_WANT_WRITE);
	while (output_len(&wire->output) > 100000) {
		(void)receive_counting(wire->fds[1], SIZE_MAX, &received);
		(void)!output_flush(&wire->output, wire->fds[0]);
	}
	assert_true(wire->output.cap < SCRATCH_BLOCK_LEN);
	assert_int_equal(wire->scratch->num_spare, 1);
}

static void refuses_more_than_a_block_holds(void **state)
{
	struct wire *wire = *state;
	uint8_t counter = 0;
	assert_int_equal(output_reserve(&wire->output, SCRATCH_BLOCK_LEN + 1), ERR_LIMIT);
	append_counting(&wire->output, SCRATCH_BLOCK_LEN, &counter);
	assert_int_equal(output_append(&wire->output, SPAN_LITERAL("x")), ERR_LIMIT);
	assert_int_equal(output_room(&wire->output, 1024 * 1024), 0);
}

static void reports_a_broken_socket_repeatedly(void **state)
{
	struct wire *wire = *state;
	uint8_t counter = 0;
	close(wire->fds[1]);
	wire->fds[1] = -1;
	append_counting(&wire->output, 10, &counter);
	assert_int_equal(output_flush(&wire->output, wire->fds[0]), IO_FAILED);
	assert_int_equal(wire->output.errnum, EPIPE);
	assert_int_equal(output_flush(&wire->output, wire->fds[0]), IO_FAILED);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(sends_gathered_bytes_and_then_has_no_memory),
		CASE(loses_nothing_when_the_kernel_accepts_it_in_parts),
		CASE(releases_a_block_when_little_is_left_in_it),
		CASE(refuses_more_than_a_block_holds),
		CASE(reports_a_broken_socket_repeatedly),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
