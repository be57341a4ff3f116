#include "base/net/fd.h"
#include "base/net/socket.h"
#include "base/net/tcp_table.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
/* cmocka requires the four headers above */
#include <cmocka.h>

struct pair {
	int listening, client, accepted;
	struct addr at, from;
};

static void pair_open(struct pair *pair)
{
	const struct socket_listen_options listen = {0};
	const struct socket_connect_options connect = {0};
	const struct addr any = {.ip = {.family = AF_INET, .bytes = {127, 0, 0, 1}}};
	enum err err;
	assert_int_equal(socket_listen(&any, &listen, &pair->listening, NULL), ERR_NONE);
	assert_int_equal(socket_local_addr(pair->listening, &pair->at), ERR_NONE);
	assert_int_equal(socket_connect(&pair->at, &connect, &pair->client), ERR_NONE);
	while ((err = fd_accept(pair->listening, &pair->from, &pair->accepted)) == ERR_UNAVAILABLE)
		;
	assert_int_equal(err, ERR_NONE);
}

static void pair_close(struct pair *pair)
{
	fd_close(pair->accepted);
	fd_close(pair->client);
	fd_close(pair->listening);
}

static void K40_names_the_user_of_the_other_end(_unused_ void **state)
{
	_cleanup_fd_ int table = tcp_table_open();
	struct pair pair;
	uid_t uid = 12345;
	pair_open(&pair);
	assert_int_equal(tcp_table_user(table, &pair.from, &pair.at, &uid), ERR_NONE);
	assert_int_equal(uid, geteuid());
	pair_close(&pair);
}

/* Its end is still in the table, without a process, as if it were root's. */
static void K40_a_closed_end_has_no_user(_unused_ void **state)
{
	_cleanup_fd_ int table = tcp_table_open();
	struct pair pair;
	uid_t uid;
	pair_open(&pair);
	fd_close(pair.client);
	pair.client = -1;
	assert_int_equal(tcp_table_user(table, &pair.from, &pair.at, &uid), ERR_NOT_FOUND);
	pair_close(&pair);
}

static void K40_knows_nothing_of_other_connections(_unused_ void **state)
{
	_cleanup_fd_ int table = tcp_table_open();
	struct pair pair;
	uid_t uid;
	pair_open(&pair);
	const struct addr other = {.ip = {.family = AF_INET, .bytes = {127, 0, 0, 2}}, .port = pair.from.port};
	const struct addr v6 = {.ip = {.family = AF_INET6}, .port = 1};
	assert_int_equal(tcp_table_user(table, &other, &pair.at, &uid), ERR_NOT_FOUND);
	assert_int_equal(tcp_table_user(table, &v6, &pair.at, &uid), ERR_UNSUPPORTED);
	assert_int_equal(tcp_table_user(-1, &pair.from, &pair.at, &uid), ERR_UNSUPPORTED);
	pair_close(&pair);
}

static void finds_one_among_many(_unused_ void **state)
{
	enum { NUM = 100 };
	_cleanup_fd_ int table = tcp_table_open();
	static struct pair pairs[NUM];
	uid_t uid;
	for (unsigned i = 0; i < NUM; i++)
		pair_open(&pairs[i]);
	for (unsigned i = 0; i < NUM; i++)
		assert_int_equal(tcp_table_user(table, &pairs[i].from, &pairs[i].at, &uid), ERR_NONE);
	for (unsigned i = 0; i < NUM; i++)
		pair_close(&pairs[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(K40_names_the_user_of_the_other_end),
		cmocka_unit_test(K40_a_closed_end_has_no_user),
		cmocka_unit_test(K40_knows_nothing_of_other_connections),
		cmocka_unit_test(finds_one_among_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
