#include "base/net/fd.h"
#include "sidecar/conn/conn_sweep.h"
#include "sidecar/conn/test_conns.h"
#include "sidecar/leg/tcp_pair.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Of 8 places, 2 are reserved for streams and 1 for plaintext; at most 4 for plaintext, 2 per source, 4 per identity.
 */
enum { MAX = 8, MAX_OUTBOUND = 5 };
#define FRIEND "spiffe://td.test/friend"
#define FOE    "spiffe://td.test/foe"

static int set_up(void **state)
{
	*state = test_conns_new(MAX);
	return 0;
}

static int tear_down(void **state)
{
	test_conns_free(*state);
	return 0;
}

static void D2_T5_a_new_policy_ends_exactly_the_connections_that_it_denies(void **state)
{
	struct test_conns *conns = *state;
	struct inbound_stream friendly, hostile;
	test_inbound(conns, &friendly, NULL, FRIEND);
	test_inbound(conns, &hostile, NULL, FOE);
	_cleanup_fd_ int plain = test_inbound_plain(conns, NULL);
	assert_int_equal(conns->num_relayed, 3);
	struct policy *policy = test_policy_new(INBOUND_STRICT);
	struct policy_rule *rule = policy_add_rule(policy, "no_foe");
	rule->deny = true;
	assert_int_equal(
		policy_rule_add_source(rule, MATCH_ID, span_of_str("td.test"), span_of_str("/foe"), NULL), ERR_NONE);
	test_policy(conns, policy);
	assert_int_equal(conns->num_ended, 2);
	assert_int_equal(conns->reason, CLOSE_POLICY_CHANGED);
	assert_true(test_was_reset(hostile.far) && test_was_reset(plain));
	assert_true(test_is_open(friendly.far));
	fd_close(friendly.far);
	fd_close(hostile.far);
}

static void D21_a_ban_ends_the_open_connections_of_that_identity_only(void **state)
{
	struct test_conns *conns = *state;
	struct inbound_stream friendly, hostile;
	test_inbound(conns, &friendly, NULL, FRIEND);
	test_inbound(conns, &hostile, NULL, FOE);
	test_ban(conns, FOE);
	assert_int_equal(conns->num_ended, 1);
	assert_int_equal(conns->reason, CLOSE_WITHDRAWN);
	assert_int_equal(conns->detail.err, ERR_REVOKED);
	assert_true(test_was_reset(hostile.far));
	assert_true(test_is_open(friendly.far));
	fd_close(friendly.far);
	fd_close(hostile.far);
}

static void T5_a_ban_refuses_a_stream_that_waits_for_policy(void **state)
{
	struct test_conns *conns = *state;
	struct inbound_stream stream;
	test_policy(conns, NULL);
	test_inbound(conns, &stream, NULL, FOE);
	test_ban(conns, FOE);
	test_policy(conns, test_policy_new(INBOUND_STRICT));
	assert_int_equal(conns->num_relayed, 0);
	assert_int_equal(conns->reason, CLOSE_WITHDRAWN);
	assert_int_equal(stream.status, 401);
	assert_string_equal(stream.reason, "withdrawn");
}

static void a_connection_above_the_limit_is_reset_and_places_are_returned(void **state)
{
	struct test_conns *conns = *state;
	int apps[MAX_OUTBOUND];
	for (unsigned i = 0; i < MAX_OUTBOUND; i++)
		apps[i] = test_outbound(conns, "10.0.0.1:80");
	_cleanup_fd_ int over = test_outbound(conns, "10.0.0.1:80");
	assert_int_equal(conns->num_ended, 1);
	assert_int_equal(conns->reason, CLOSE_LIMIT_REACHED);
	assert_int_equal(conns->limit, SHARE_LIMIT_CAPACITY);
	assert_true(test_was_reset(over));
	conn_table_cut_all(conns->env.table, CLOSE_DRAINED);
	assert_int_equal(conn_table_num(conns->env.table), 0);
	for (unsigned i = 0; i < MAX_OUTBOUND; i++)
		fd_close(apps[i]);
	_cleanup_fd_ int again = test_outbound(conns, "10.0.0.1:80");
	assert_true(test_is_open(again));
}

/* All plaintext connections come from one address (127.0.0.1). */
static void finding_l1_a_plaintext_source_is_limited_to_its_share(void **state)
{
	struct test_conns *conns = *state;
	int plains[MAX], apps[MAX_OUTBOUND];
	struct inbound_stream stream;
	for (unsigned i = 0; i < MAX; i++)
		plains[i] = test_inbound_plain(conns, NULL);
	assert_int_equal(conns->num_ended, MAX - 2);
	assert_int_equal(conns->limit, SHARE_LIMIT_ADDRESS);
	assert_non_null(strstr(conns->detail.got, "the limit per address is reached: 127.0.0.1"));
	assert_non_null(strstr(conns->detail.fix, "limits.per_source"));
	for (unsigned i = 0; i < MAX_OUTBOUND - 1;
		i++) /* one plaintext connection is outside the reserve of its class */
		apps[i] = test_outbound(conns, "10.0.0.1:80");
	test_inbound(conns, &stream, NULL, FRIEND);
	assert_int_equal(conns->num_ended, MAX - 2);
	assert_int_equal(conn_table_num(conns->env.table), 2 + MAX_OUTBOUND - 1 + 1);
	for (unsigned i = 0; i < MAX; i++)
		fd_close(plains[i]);
	for (unsigned i = 0; i < MAX_OUTBOUND - 1; i++)
		fd_close(apps[i]);
	fd_close(stream.far);
}

static void finding_l3_an_identity_is_limited_to_its_share(void **state)
{
	struct test_conns *conns = *state;
	struct inbound_stream streams[MAX], friendly;
	for (unsigned i = 0; i < MAX; i++)
		test_inbound(conns, &streams[i], NULL, FOE);
	assert_int_equal(conns->num_ended, MAX - 4);
	assert_int_equal(conns->limit, SHARE_LIMIT_IDENTITY);
	assert_int_equal(streams[4].status, 503);
	assert_string_equal(streams[4].reason, "limit_reached");
	assert_non_null(strstr(conns->detail.got, "the limit per identity is reached: " FOE));
	test_inbound(conns, &friendly, NULL, FRIEND);
	assert_int_equal(conns->num_ended, MAX - 4);
	_cleanup_fd_ int app = test_outbound(conns, "10.0.0.1:80");
	assert_true(test_is_open(app));
	for (unsigned i = 0; i < 4; i++)
		fd_close(streams[i].far);
	fd_close(friendly.far);
}

static void note_full(void *arg, enum conn_kind kind, bool full)
{
	char *reported = arg;
	size_t len = strlen(reported);
	reported[len] = "oip"[kind];
	reported[len + 1] = full ? 'F' : 'f';
	reported[len + 2] = '\0';
}

static void the_owner_is_notified_of_the_limit_before_a_connection_is_refused(void **state)
{
	struct test_conns *conns = *state;
	char reported[32] = "";
	int apps[MAX_OUTBOUND];
	conn_table_on_full(conns->env.table, note_full, reported);
	for (unsigned i = 0; i < MAX_OUTBOUND; i++) {
		assert_string_equal(reported, "");
		apps[i] = test_outbound(conns, "10.0.0.1:80");
	}
	assert_string_equal(reported, "oF");
	assert_true(conn_table_is_full(conns->env.table, CONN_OUTBOUND));
	assert_false(conn_table_is_full(conns->env.table, CONN_INBOUND));
	assert_int_equal(conns->num_ended, 0);
	conn_table_cut_all(conns->env.table, CLOSE_DRAINED);
	assert_string_equal(reported, "oFof");
	for (unsigned i = 0; i < MAX_OUTBOUND; i++)
		fd_close(apps[i]);
}

static void finding_l1_an_idle_plaintext_connection_returns_its_place(void **state)
{
	struct test_conns *conns = *state;
	conns->env.timeouts.plaintext_idle = 60000;
	_cleanup_fd_ int plain = test_inbound_plain(conns, NULL);
	struct inbound_stream stream;
	test_inbound(conns, &stream, NULL, FRIEND);
	test_conns_wait(conns, 59000);
	assert_int_equal(conns->num_ended, 0);
	test_conns_wait(conns, 62000);
	assert_int_equal(conns->num_ended, 1);
	assert_int_equal(conns->reason, CLOSE_IDLE);
	assert_true(test_is_open(stream.far));
	fd_close(stream.far);
}

static void D41_a_connection_that_is_cut_in_any_step_frees_everything(void **state)
{
	struct test_conns *conns = *state;
	struct inbound_stream parked;
	test_answer(conns, "10.0.0.2:80", DESTINATION_MESHED, 1);
	_cleanup_fd_ int resolving = test_outbound(conns, "10.0.0.1:80");
	_cleanup_fd_ int opening = test_outbound(conns, "10.0.0.2:80");
	_cleanup_fd_ int relaying = test_inbound_plain(conns, NULL);
	test_policy(conns, NULL);
	test_inbound(conns, &parked, NULL, FRIEND);
	assert_int_equal(conn_table_num(conns->env.table), 4);
	conn_table_snapshot_changed(conns->env.table); /* posts the driver's task */
	conn_table_cut_all(conns->env.table, CLOSE_DRAINED);
	test_conns_turn(conns);
	assert_int_equal(conns->num_ended, 4);
	assert_int_equal(conns->pool.num_canceled, 1);
	assert_int_equal(parked.num_answers, 1);
	assert_true(test_was_reset(resolving) && test_was_reset(opening) && test_was_reset(relaying));
	test_answer(conns, "10.0.0.1:80", DESTINATION_MESHED, 1); /* no connection waits for it any longer */
}

/* How many outbound connections to the destination there is room for, of 30. */
static unsigned num_outbound(const struct conn_limits *limits, const char *destination)
{
	struct test_conns *conns = test_conns_new_limited(limits);
	int apps[30], fars[30];
	test_answer(conns, TEST_MESHED, DESTINATION_MESHED, 1);
	for (unsigned i = 0; i < 30; i++) {
		apps[i] = test_outbound(conns, destination);
		fars[i] = -1;
		if (conns->pool.attempt != NULL)
			test_pool_accept(&conns->pool, &fars[i]);
		test_conns_turn(conns);
	}
	unsigned num = (unsigned)conn_table_num(conns->env.table);
	assert_true(num < 30 && conns->limit != SHARE_LIMIT_NONE);
	assert_true(conn_table_is_full(conns->env.table, CONN_OUTBOUND));
	for (unsigned i = 0; i < 30; i++) {
		fd_close(apps[i]);
		fd_close(fars[i]);
	}
	test_conns_free(conns);
	return num;
}

/* Of 16 descriptors 4 are reserved for streams and 2 for plaintext. */
static void finding_l14_a_connection_through_a_tunnel_takes_one_descriptor_another_one_two(void **state)
{
	(void)state;
	const struct conn_limits limits = {.max = 16, .descriptors = 16};
	assert_int_equal(num_outbound(&limits, TEST_MESHED), 9); /* until it is known to be one it counts as another */
	assert_int_equal(num_outbound(&limits, "10.0.0.2:80"), 5);
}

/* One connection to each of many endpoints: each has a tunnel, which takes a descriptor, too. */
static void a_tunnel_that_carries_one_connection_takes_a_descriptor_of_its_own(void **state)
{
	(void)state;
	struct test_conns *conns = test_conns_new_limited(&(struct conn_limits){.max = 16, .descriptors = 16});
	struct conn_sweep *sweep = conn_sweep_new(&conns->env);
	int apps[6], fars[5];
	conns->pool.opens_tunnels = true;
	test_answer(conns, TEST_MESHED, DESTINATION_MESHED, 1);
	for (unsigned i = 0; i < 5; i++) {
		apps[i] = test_outbound(conns, TEST_MESHED);
		test_pool_accept(&conns->pool, &fars[i]);
		test_conns_turn(conns);
	}
	assert_int_equal(conns->num_ended, 0);
	assert_true(conn_table_is_full(conns->env.table, CONN_OUTBOUND));
	apps[5] = test_outbound(conns, TEST_MESHED);
	assert_int_equal(conns->reason, CLOSE_LIMIT_REACHED);
	conns->pool.num_tunnels = 1; /* the others are closed */
	test_conns_wait(conns, 1000);
	assert_int_equal(conn_table_room(conns->env.table, CONN_OUTBOUND), 4);
	for (unsigned i = 0; i < 5; i++)
		fd_close(fars[i]);
	for (unsigned i = 0; i < 6; i++)
		fd_close(apps[i]);
	conn_sweep_free(sweep);
	test_conns_free(conns);
}

static void of_many_connections_one_tunnel_in_64_is_counted_besides(void **state)
{
	(void)state;
	struct conn_table *table = conn_table_new(&(struct conn_limits){.max = 6400, .descriptors = 6400});
	uint64_t room = conn_table_room(table, CONN_OUTBOUND);
	conn_table_note_tunnels(table, 100);
	assert_int_equal(conn_table_room(table, CONN_OUTBOUND), room);
	conn_table_note_tunnels(table, 1100);
	assert_in_range(conn_table_room(table, CONN_OUTBOUND), 0, room - 1);
	conn_table_note_tunnels(table, 1000000); /* as many as there is room for */
	assert_int_equal(conn_table_room(table, CONN_OUTBOUND), 0);
	conn_table_note_tunnels(table, 0);
	assert_int_equal(conn_table_room(table, CONN_OUTBOUND), room);
	conn_table_free(table);
}

static void enough_descriptors_for_all_leave_the_number_of_connections_as_the_limit(void **state)
{
	(void)state;
	const struct conn_limits limits = {.max = 16, .descriptors = 32};
	assert_int_equal(num_outbound(&limits, TEST_MESHED), 10);
	assert_int_equal(num_outbound(&limits, "10.0.0.2:80"), 10);
}

static void no_more_than_the_limit_are_taken_while_descriptors_are_left(void **state)
{
	(void)state;
	const struct conn_limits limits = {.max = 12, .descriptors = 20};
	assert_int_equal(num_outbound(&limits, TEST_MESHED),
		10); /* a twelfth is for others, and the next is one of two at first */
}

/* What 20,000 descriptors carry, and all but a sixteenth and half of one. */
static void a_large_table_keeps_a_small_part_in_reserve(void **state)
{
	(void)state;
	struct conn_table *table = conn_table_new(&(struct conn_limits){.max = 16960, .descriptors = 16960});
	assert_int_equal(conn_table_room(table, CONN_OUTBOUND), 15370);
	assert_int_equal(conn_table_room(table, CONN_INBOUND), 15370);
	conn_table_free(table);
}

struct seen {
	unsigned num;
	char steps[64];
};

static void see(void *arg, const struct conn *conn)
{
	struct seen *seen = arg;
	struct conn_summary summary;
	conn_summary(conn, &summary);
	seen->num++;
	size_t len = strlen(seen->steps);
	snprintf(seen->steps + len, sizeof(seen->steps) - len, "%s ", summary.step);
}

static void the_summary_of_a_connection_names_its_step(void **state)
{
	struct test_conns *conns = *state;
	struct seen seen = {0};
	_cleanup_fd_ int resolving = test_outbound(conns, "10.0.0.1:80");
	_cleanup_fd_ int relaying = test_inbound_plain(conns, NULL);
	conn_table_each(conns->env.table, see, &seen);
	assert_int_equal(seen.num, 2);
	assert_string_equal(seen.steps, "relay resolve ");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(D2_T5_a_new_policy_ends_exactly_the_connections_that_it_denies),
		TEST(D21_a_ban_ends_the_open_connections_of_that_identity_only),
		TEST(T5_a_ban_refuses_a_stream_that_waits_for_policy),
		TEST(a_connection_above_the_limit_is_reset_and_places_are_returned),
		TEST(the_owner_is_notified_of_the_limit_before_a_connection_is_refused),
		TEST(finding_l1_a_plaintext_source_is_limited_to_its_share),
		TEST(finding_l1_an_idle_plaintext_connection_returns_its_place),
		TEST(finding_l3_an_identity_is_limited_to_its_share),
		cmocka_unit_test(finding_l14_a_connection_through_a_tunnel_takes_one_descriptor_another_one_two),
		cmocka_unit_test(a_tunnel_that_carries_one_connection_takes_a_descriptor_of_its_own),
		cmocka_unit_test(of_many_connections_one_tunnel_in_64_is_counted_besides),
		cmocka_unit_test(enough_descriptors_for_all_leave_the_number_of_connections_as_the_limit),
		cmocka_unit_test(no_more_than_the_limit_are_taken_while_descriptors_are_left),
		cmocka_unit_test(a_large_table_keeps_a_small_part_in_reserve),
		TEST(D41_a_connection_that_is_cut_in_any_step_frees_everything),
		TEST(the_summary_of_a_connection_names_its_step),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
