/* Connections without a tunnel, of either direction: what they count in the limits, and how long they wait. */
#include "base/net/fd.h"
#include "sidecar/conn/test_direct.h"
#include "sidecar/leg/tcp_pair.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires setjmp, stdarg, stddef and stdint */
#include <cmocka.h>

#define FRIEND "spiffe://td.test/friend"

enum { TRIES = 30 };

static const struct conn_limits scarce = {.max = 16, .descriptors = 16};

/* Of 16 descriptors 4 are reserved for streams and 2 for plaintext: 10 are left, of which each needs two. */
static void each_to_an_endpoint_without_a_tunnel_takes_two_descriptors(void **state)
{
	(void)state;
	struct test_conns *conns = test_conns_new_limited(&scarce);
	struct test_direct *direct = test_direct_new(conns, 1);
	int apps[TRIES];
	for (unsigned i = 0; i < TRIES; i++)
		apps[i] = test_outbound(conns, TEST_MESHED);
	assert_int_equal(conn_table_num(conns->env.table), 5);
	assert_int_equal(conns->reason, CLOSE_LIMIT_REACHED);
	for (unsigned i = 0; i < TRIES; i++)
		fd_close(apps[i]);
	test_direct_free(direct);
	test_conns_free(conns);
}

/* A tunnel's endpoint first, then one without, which drains. */
static void lead_to_both(struct test_conns *conns, const struct test_direct *direct)
{
	struct addr to;
	assert_int_equal(addr_parse(span_of_str(TEST_MESHED), &to), ERR_NONE);
	_cleanup_(answer_unrefp) struct answer *answer = answer_new(&to, DESTINATION_MESHED, 2, 2);
	answer->num_draining = 1;
	answer->endpoints[0].address = to;
	answer->endpoints[1].address = direct->at[0];
	answer->endpoints[1].transport = TRANSPORT_ISTIO_TLS;
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(
			spiffe_id_parse(SPAN_LITERAL("spiffe://td.test/there"), &answer->endpoints[i].id, NULL),
			ERR_NONE);
	endpoint_table_put(conns->snapshot.answers, answer);
}

static void without_room_for_a_second_descriptor_a_failover_is_refused(void **state)
{
	(void)state;
	struct test_conns *conns = test_conns_new_limited(&scarce);
	struct test_direct *direct = test_direct_new(conns, 1);
	struct inbound_stream streams[5]; /* one more than is reserved for them: 9 are left for the rest */
	int apps[9], fars[8];
	lead_to_both(conns, direct);
	for (unsigned i = 0; i < 9; i++) {
		apps[i] = test_outbound(conns, TEST_MESHED);
		if (i < 8)
			test_pool_accept(&conns->pool, &fars[i]);
		test_conns_turn(conns);
	}
	for (unsigned i = 0; i < 5; i++)
		test_inbound(conns, &streams[i], NULL, FRIEND);
	assert_int_equal(conns->num_ended, 0);
	test_pool_fail(&conns->pool, STREAM_UNREACHABLE, ERR_REFUSED, false);
	test_conns_turn(conns);
	assert_int_equal(conns->num_ended, 1);
	assert_int_equal(conns->reason, CLOSE_LIMIT_REACHED);
	assert_int_equal(conns->limit, SHARE_LIMIT_CAPACITY);
	assert_true(test_was_reset(apps[8]));
	for (unsigned i = 0; i < 9; i++)
		fd_close(apps[i]);
	for (unsigned i = 0; i < 8; i++)
		fd_close(fars[i]);
	for (unsigned i = 0; i < 5; i++)
		fd_close(streams[i].far);
	test_direct_free(direct);
	test_conns_free(conns);
}

/* A tunnel has 2 s while another endpoint is left; so has a handshake without one. */
static void a_silent_endpoint_gives_way_after_two_seconds(void **state)
{
	struct test_conns *conns = *state;
	struct test_direct *direct = test_direct_new(conns, 2);
	_cleanup_fd_ int app = test_outbound(conns, TEST_MESHED);
	test_direct_turn(direct, false);
	test_conns_wait(conns, 1900);
	test_direct_turn(direct, false);
	assert_int_equal(conns->num_outliers, 0);
	test_conns_wait(conns, 100);
	test_direct_turn(direct, false);
	assert_int_equal(conns->num_outliers, 1);
	assert_int_equal(conns->num_ended, 0);
	test_conns_wait(conns, 4900); /* the last one has the whole timeout */
	test_direct_turn(direct, false);
	assert_int_equal(conns->num_ended, 0);
	test_conns_wait(conns, 100);
	test_direct_turn(direct, false);
	assert_int_equal(conns->num_ended, 1);
	assert_int_equal(conns->reason, CLOSE_TLS_TIMEOUT);
	test_direct_free(direct);
}

static int call_directly(struct test_conns *conns)
{
	struct tcp_pair pair;
	tcp_pair_open(&pair);
	_cleanup_(credentials_unrefp) struct credentials *theirs = test_mesh_credentials(conns->mesh, FRIEND);
	conns->loopback_is_ours = true;
	conn_start_inbound_direct(&conns->env, leg_new_plain(conns->loop, pair.near), credentials_svid(theirs),
		KEY_EXCHANGE_X25519, &conns->app_at, &pair.near_addr);
	test_conns_turn(conns);
	return pair.far;
}

static void one_of_an_identity_is_always_allowed_and_no_more_than_the_limit(void **state)
{
	(void)state;
	const struct conn_limits limits = {.max = 16, .descriptors = 16, .per_identity = 1};
	struct test_conns *conns = test_conns_new_limited(&limits);
	_cleanup_fd_ int first = call_directly(conns);
	assert_int_equal(conns->num_ended, 0);
	_cleanup_fd_ int second = call_directly(conns);
	assert_int_equal(conns->num_ended, 1);
	assert_int_equal(conns->limit, SHARE_LIMIT_IDENTITY);
	test_conns_free(conns);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_to_an_endpoint_without_a_tunnel_takes_two_descriptors),
		cmocka_unit_test(without_room_for_a_second_descriptor_a_failover_is_refused),
		CONNS_TEST(a_silent_endpoint_gives_way_after_two_seconds),
		cmocka_unit_test(one_of_an_identity_is_always_allowed_and_no_more_than_the_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
