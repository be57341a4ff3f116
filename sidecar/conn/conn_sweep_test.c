#include "sidecar/conn/conn_sweep.h"

#include "base/net/fd.h"
#include "sidecar/conn/test_conns.h"
#include "sidecar/leg/tcp_pair.h"
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { MAX = 1200 }; /* one plaintext source may have a quarter of them */

struct fixture {
	struct test_conns *conns;
	struct conn_sweep *sweep;
};

static int set_up(void **state)
{
	static struct fixture fixture;
	fixture.conns = test_conns_new(MAX);
	fixture.sweep = conn_sweep_new(&fixture.conns->env);
	*state = &fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;
	conn_sweep_free(fixture->sweep);
	test_conns_free(fixture->conns);
	return 0;
}

static void wait_a_pass(struct fixture *fixture)
{
	loopback_settle();
	test_conns_turn(fixture->conns);
	test_conns_wait(fixture->conns, 1100);
	for (unsigned i = 0; i < 5; i++)
		test_conns_wait(fixture->conns, 20);
}

static void finding_o7_bytes_are_counted_once_each_while_a_connection_is_open(void **state)
{
	struct fixture *fixture = *state;
	struct test_conns *conns = fixture->conns;
	_cleanup_fd_ int caller = test_inbound_plain(conns, NULL);
	_cleanup_fd_ int app = test_app_accept(conns);
	assert_int_equal(send(caller, "question", 8, 0), 8);
	wait_a_pass(fixture);
	assert_int_equal(conns->bytes.to_upstream, 8);
	assert_int_equal(send(app, "answer", 6, 0), 6);
	wait_a_pass(fixture);
	wait_a_pass(fixture);
	assert_int_equal(conns->num_ended, 0);
	assert_int_equal(conns->bytes.to_upstream, 8);
	assert_int_equal(conns->bytes.to_downstream, 6);
	assert_int_equal(send(caller, "bye", 3, 0), 3);
	loopback_settle();
	test_conns_turn(conns);
	tcp_abort(caller);
	caller = -1;
	wait_a_pass(fixture);
	assert_int_equal(conns->num_ended, 1);
	assert_int_equal(conns->bytes.to_upstream, 11);
	assert_int_equal(conns->record.bytes_sent, 11);
}

static void finding_l3_a_reset_by_the_caller_is_detected_while_its_bytes_wait(void **state)
{
	struct fixture *fixture = *state;
	struct test_conns *conns = fixture->conns;
	static const char block[65536];
	int caller = test_inbound_plain(conns, NULL);
	_cleanup_fd_ int app = test_app_accept(conns); /* which reads nothing */
	for (unsigned i = 0; i < 2000 && send(caller, block, sizeof(block), MSG_DONTWAIT) > 0; i++)
		test_conns_turn(conns);
	loopback_settle();
	test_conns_turn(conns);
	while (send(caller, block, sizeof(block), MSG_DONTWAIT) > 0)
		;
	tcp_abort(caller);
	loopback_settle();
	test_conns_turn(conns);
	assert_int_equal(conns->num_ended, 0);
	wait_a_pass(fixture);
	assert_int_equal(conns->num_ended, 1);
	assert_int_equal(conns->reason, CLOSE_RESET_BY_DOWNSTREAM);
}

static void a_connection_whose_upstream_is_not_open_yet_is_not_ended(void **state)
{
	struct fixture *fixture = *state;
	struct test_conns *conns = fixture->conns;
	test_answer(conns, "10.0.0.2:80", DESTINATION_MESHED, 1);
	int caller = test_outbound(conns, "10.0.0.2:80");
	assert_int_equal(conns->num_begun, 1);
	wait_a_pass(fixture); /* the test's pool attaches no leg: an inspection must not report that as a loss */
	assert_int_equal(conns->num_ended, 0);
	fd_close(caller);
}

static void a_pass_inspects_every_connection_slice_by_slice(void **state)
{
	struct fixture *fixture = *state;
	struct test_conns *conns = fixture->conns;
	enum { NUM = 300 };
	static int callers[NUM];
	for (unsigned i = 0; i < NUM; i++) {
		callers[i] = test_inbound_plain(conns, NULL);
		assert_int_equal(send(callers[i], "x", 1, 0), 1);
		fd_close(test_app_accept(conns));
	}
	loopback_settle();
	wait_a_pass(fixture);
	assert_int_equal(conns->bytes.to_upstream, NUM);
	for (unsigned i = 0; i < NUM; i++)
		fd_close(callers[i]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(finding_o7_bytes_are_counted_once_each_while_a_connection_is_open),
		TEST(finding_l3_a_reset_by_the_caller_is_detected_while_its_bytes_wait),
		TEST(a_connection_whose_upstream_is_not_open_yet_is_not_ended),
		TEST(a_pass_inspects_every_connection_slice_by_slice),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
