#include "base/rpc/transport.h"
#include "base/tls/test_pair.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
/* cmocka requires <setjmp.h> and <stdarg.h> */
#include <cmocka.h>

struct ends {
	struct transport *client, *server;
};

/* They adopt the sessions of the pair. */
static struct ends open_ends(struct test_pair *pair)
{
	test_pair_open(pair);
	return (struct ends){transport_new_tls(TAKE_PTR(pair->client)), transport_new_tls(TAKE_PTR(pair->server))};
}

static void free_ends(struct ends *ends)
{
	transport_free(ends->client);
	transport_free(ends->server);
}

static void handshake(const struct ends *ends, enum io_result client, enum io_result server)
{
	enum io_result got_client = IO_WANT_READ, got_server = IO_WANT_READ;
	for (int i = 0; i < 10; i++) {
		got_client = transport_handshake(ends->client);
		got_server = transport_handshake(ends->server);
	}
	assert_int_equal(got_client, client);
	assert_int_equal(got_server, server);
}

static void bytes_pass_after_the_handshake(void **state)
{
	_cleanup_(free_ends) struct ends ends = open_ends(*state);
	uint8_t bytes[16];
	size_t len = 0;
	assert_int_equal(transport_handshake(ends.server), IO_WANT_READ);
	assert_null(transport_svid(ends.server));
	handshake(&ends, IO_DONE, IO_DONE);
	assert_int_equal(transport_read(ends.server, bytes, sizeof bytes, &len), IO_WANT_READ);
	assert_int_equal(transport_write(ends.client, SPAN_LITERAL("ping"), &len), IO_DONE);
	assert_int_equal(len, 4);
	assert_int_equal(transport_read(ends.server, bytes, sizeof bytes, &len), IO_WANT_READ); /* until the flush */
	assert_int_equal(transport_flush(ends.client), IO_DONE);
	assert_int_equal(transport_read(ends.server, bytes, sizeof bytes, &len), IO_DONE);
	assert_int_equal(len, 4);
	assert_memory_equal(bytes, "ping", 4);
}

static void each_end_has_its_session_and_the_identity_of_the_other(void **state)
{
	struct test_pair *pair = *state;
	test_pair_open(pair);
	struct tls_session *session = pair->client;
	int fd = tls_session_fd(session);
	_cleanup_(free_ends) struct ends ends = {
		transport_new_tls(TAKE_PTR(pair->client)), transport_new_tls(TAKE_PTR(pair->server))};
	assert_ptr_equal(transport_tls(ends.client), session);
	assert_int_equal(transport_fd(ends.client), fd);
	handshake(&ends, IO_DONE, IO_DONE);
	assert_string_equal(svid_id(transport_svid(ends.client))->text, TEST_SERVER_ID);
	assert_string_equal(svid_id(transport_svid(ends.server))->text, TEST_CLIENT_ID);
}

/* More than the session's buffer has room for: what did not fit stays. */
static void what_is_written_at_once_is_flushed_and_consumed(void **state)
{
	static uint8_t bytes[3 * TLS_OUTPUT_MAX];
	_cleanup_(free_ends) struct ends ends = open_ends(*state);
	_cleanup_(buf_done) struct buf out = BUF_INIT(sizeof bytes);
	size_t num_read = 0;
	handshake(&ends, IO_DONE, IO_DONE);
	assert_int_equal(buf_append(&out, span_of(bytes, sizeof bytes)), ERR_NONE);
	while (transport_write_all(ends.client, &out) == IO_WANT_WRITE) {
		size_t len = 0;
		while (transport_read(ends.server, bytes, sizeof bytes, &len) == IO_DONE)
			num_read += len;
		assert_in_range(buf_len(&out), 0, sizeof bytes - num_read);
	}
	assert_int_equal(buf_len(&out), 0);
	for (size_t len = 0; transport_read(ends.server, bytes, sizeof bytes, &len) == IO_DONE;)
		num_read += len;
	assert_int_equal(num_read, sizeof bytes);
}

static void an_end_with_close_notify_is_one_and_a_cut_is_a_failure(void **state)
{
	for (int is_cut = 0; is_cut < 2; is_cut++) {
		_cleanup_(free_ends) struct ends ends = open_ends(*state);
		uint8_t bytes[16];
		size_t len = 0;
		handshake(&ends, IO_DONE, IO_DONE);
		if (!is_cut) {
			transport_close_notify(ends.client);
			assert_int_equal(transport_flush(ends.client), IO_DONE);
		}
		transport_free(TAKE_PTR(ends.client));
		enum io_result result = transport_read(ends.server, bytes, sizeof bytes, &len);
		if (result == IO_WANT_READ)
			result = transport_read(ends.server, bytes, sizeof bytes, &len);
		assert_int_equal(result, is_cut ? IO_FAILED : IO_EOF);
		if (is_cut)
			assert_true(transport_why(ends.server)->got[0] != '\0');
	}
}

static void a_peer_that_is_refused_is_explained_by_the_verifier(void **state)
{
	struct test_pair *pair = *state;
	pair->server_verdict.err = ERR_DENIED;
	_cleanup_(free_ends) struct ends ends = open_ends(pair);
	handshake(&ends, IO_DONE, IO_FAILED); /* of TLS 1.3: the client learns it from its first read */
	const struct why *why = transport_why(ends.server);
	assert_int_equal(why->err, ERR_DENIED);
	assert_string_equal(why->got, "this one");
	assert_true(why->expected[0] != '\0' && why->fix[0] != '\0');
	assert_null(transport_svid(ends.server));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, test_pair_setup, test_pair_teardown)
	const struct CMUnitTest tests[] = {
		TEST(bytes_pass_after_the_handshake),
		TEST(each_end_has_its_session_and_the_identity_of_the_other),
		TEST(what_is_written_at_once_is_flushed_and_consumed),
		TEST(an_end_with_close_notify_is_one_and_a_cut_is_a_failure),
		TEST(a_peer_that_is_refused_is_explained_by_the_verifier),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
