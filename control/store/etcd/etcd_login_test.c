#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "base/rpc/rpc_server.h"
#include "control/store/etcd/etcd_login.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka requires the headers above */
#include <cmocka.h>

#define LOGIN_MS 1000

struct world {
	struct clock_fake clock;
	struct loop *loop;
	struct rpc_server *server;
	struct rpc_client *client;
	struct etcd_login login;
	char *password_file;
	char asked[256], token_seen[64]; /* the last request, and the metadata of the last other call */
	bool is_silent;
	enum rpc_status status;
	const char *message;
	struct span answer;
	unsigned num_done, num_asked;
	enum err err;
	struct why detail;
};

/* --- etcd's side --- */

static void on_start(void *arg, struct rpc_call *call, struct rpc_peer *peer)
{
	struct world *world = arg;
	struct span token = rpc_call_metadata(call, "token");
	(void)peer;
	rpc_call_set_arg(call, arg);
	CHECK(token.len < sizeof world->token_seen);
	memset(world->token_seen, 0, sizeof world->token_seen);
	if (token.len > 0)
		memcpy(world->token_seen, token.ptr, token.len);
}

static void on_login_message(void *arg, struct rpc_call *call, struct span message)
{
	struct world *world = arg;
	CHECK(message.len < sizeof world->asked);
	memset(world->asked, 0, sizeof world->asked);
	memcpy(world->asked, message.ptr, message.len);
	world->num_asked++;
	if (world->is_silent)
		return;
	if (world->status == RPC_OK)
		CHECK(rpc_call_send(call, world->answer) == ERR_NONE);
	rpc_call_finish(call, world->status, world->message, 0);
}

static void on_other_message(void *arg, struct rpc_call *call, struct span message)
{
	(void)arg;
	(void)message;
	rpc_call_finish(call, RPC_OK, NULL, 0);
}

static void on_call_done(void *arg, struct rpc_call *call)
{
	(void)arg;
	(void)call;
}

static const struct rpc_method methods[] = {
	{"/etcdserverpb.Auth/Authenticate", true, 0, 0, NULL, on_start, on_login_message, NULL, on_call_done},
	{"/other", true, 0, 0, NULL, on_start, on_other_message, NULL, on_call_done},
};

/* --- this side --- */

static void on_done(void *arg, enum err err, const struct why *why)
{
	struct world *world = arg;
	world->num_done++;
	world->err = err;
	world->detail = *why;
}

static void pass(struct world *world, unsigned ms)
{
	for (unsigned done = 0; done <= ms; done += 10) {
		for (unsigned i = 0; i < 4; i++)
			loop_run_once(world->loop, false);
		clock_fake_advance(&world->clock, 10);
	}
}

static void write_password(struct world *world, const char *text)
{
	struct why why = {0};
	assert_int_equal(fd_write_file(world->password_file, span_of_str(text), 0600, &why), ERR_NONE);
}

static int set_up(void **state)
{
	struct world *world = mem_new(struct world);
	const struct addr from = {.ip = {.family = AF_INET}};
	const char *folder = getenv("TEST_TMPDIR");
	int ends[2];
	clock_fake_init(&world->clock, 1900000000000);
	world->loop = loop_new(&world->clock.clock);
	world->password_file = mem_printf("%s/etcd_password", folder == NULL ? "/tmp" : folder);
	world->answer = SPAN_LITERAL("\x12\x09"
				     "first.123");
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
	world->server = rpc_server_new(
		&(struct rpc_server_options){.loop = world->loop, .methods = methods, .num_methods = 2, .arg = world});
	rpc_server_adopt(world->server, transport_new_plain(ends[1]), &from);
	world->client = rpc_client_new(&(struct rpc_client_options){
		.loop = world->loop, .transport = transport_new_plain(ends[0]), .authority = "etcd"});
	etcd_login_init(&world->login, world->loop, "handfast", world->password_file, on_done, world);
	write_password(world, "correct horse\n");
	pass(world, 20);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	etcd_login_stop(&world->login);
	rpc_client_free(world->client);
	rpc_server_free(world->server);
	loop_run_once(world->loop, false);
	loop_free(world->loop);
	unlink(world->password_file);
	mem_free(world->password_file);
	mem_free(world);
	return 0;
}

static void ignore_message(void *arg, struct rpc_call *call, struct span message)
{
	(void)arg;
	(void)call;
	(void)message;
}

static void ignore_done(
	void *arg, struct rpc_call *call, enum rpc_status status, const char *message, uint32_t retry_after_ms)
{
	(void)arg;
	(void)call;
	(void)status;
	(void)message;
	(void)retry_after_ms;
}

/* The token that another call carries. */
static const char *token_of_a_call(struct world *world)
{
	static const struct rpc_call_handlers handlers = {ignore_message, ignore_done};
	struct rpc_call *call;
	world->token_seen[0] = '?';
	assert_int_equal(rpc_client_call(world->client, "/other", 0, &handlers, NULL, &call), ERR_NONE);
	assert_int_equal(rpc_call_send(call, SPAN_LITERAL("")), ERR_NONE);
	rpc_call_close_send(call);
	pass(world, 20);
	return world->token_seen;
}

static enum err logged_in(struct world *world, unsigned ms)
{
	unsigned before = world->num_done;
	etcd_login_start(&world->login, world->client, LOGIN_MS);
	assert_int_equal(world->num_done, before);
	pass(world, ms);
	assert_int_equal(world->num_done, before + 1);
	return world->err;
}

/* --- tests --- */

static void each_call_carries_the_token(void **state)
{
	struct world *world = *state;
	assert_string_equal(token_of_a_call(world), "");
	assert_int_equal(logged_in(world, 50), ERR_NONE);
	assert_string_equal(world->asked, "\x0a\x08"
					  "handfast"
					  "\x12\x0d"
					  "correct horse"); /* without the line's end */
	assert_string_equal(token_of_a_call(world), "first.123");
	assert_true(etcd_login_has_token(&world->login));
	etcd_login_stop(&world->login);
	assert_false(etcd_login_has_token(&world->login));
}

static void the_file_is_read_for_each_login(void **state)
{
	struct world *world = *state;
	assert_int_equal(logged_in(world, 50), ERR_NONE);
	write_password(world, "another one\r\n");
	world->answer = SPAN_LITERAL("\x12\x06"
				     "second");
	assert_int_equal(logged_in(world, 50), ERR_NONE);
	assert_non_null(strstr(world->asked, "another one"));
	assert_null(strchr(world->asked, '\r'));
	assert_string_equal(token_of_a_call(world), "second");
}

static void a_refused_password_is_an_error_that_does_not_show_it(void **state)
{
	struct world *world = *state;
	world->status = RPC_INVALID_ARGUMENT;
	world->message = "etcdserver: authentication failed, invalid user ID or password";
	assert_int_equal(logged_in(world, 50), ERR_DENIED);
	assert_non_null(strstr(world->detail.got, "'handfast'"));
	assert_null(strstr(world->detail.got, "correct horse"));
	assert_false(etcd_login_has_token(&world->login));
}

static void a_file_without_a_password_is_not_sent(void **state)
{
	struct world *world = *state;
	static const char *const texts[] = {"", "\n", "\r\n", "two\nlines\n"};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		write_password(world, texts[i]);
		assert_int_equal(logged_in(world, 50), ERR_DENIED);
	}
	assert_int_equal(unlink(world->password_file), 0);
	assert_int_equal(logged_in(world, 50), ERR_DENIED);
	assert_int_equal(world->num_asked, 0);
}

static void where_authentication_is_off_no_token_is_needed(void **state)
{
	struct world *world = *state;
	world->status = RPC_FAILED_PRECONDITION;
	world->message = "etcdserver: authentication is not enabled";
	assert_int_equal(logged_in(world, 50), ERR_NONE);
	assert_false(etcd_login_has_token(&world->login));
	assert_string_equal(token_of_a_call(world), "");
}

static void an_answer_without_a_usable_token_is_refused(void **state)
{
	struct world *world = *state;
	world->answer = SPAN_LITERAL("");
	assert_int_equal(logged_in(world, 50), ERR_MALFORMED);
	world->answer = SPAN_LITERAL("\x12\x03"
				     "a\nb"); /* it would end the header */
	assert_int_equal(logged_in(world, 50), ERR_MALFORMED);
	world->answer = SPAN_LITERAL("\xff");
	assert_int_equal(logged_in(world, 50), ERR_MALFORMED);
	assert_string_equal(token_of_a_call(world), "");
}

static void a_member_that_does_not_answer_is_given_up(void **state)
{
	struct world *world = *state;
	world->is_silent = true;
	assert_int_equal(logged_in(world, LOGIN_MS + 100), ERR_UNAVAILABLE);
}

static void a_login_that_is_stopped_reports_nothing(void **state)
{
	struct world *world = *state;
	world->is_silent = true;
	etcd_login_start(&world->login, world->client, LOGIN_MS);
	pass(world, 20);
	etcd_login_stop(&world->login);
	rpc_client_free(TAKE_PTR(world->client));
	pass(world, LOGIN_MS + 100);
	assert_int_equal(world->num_done, 0);
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(each_call_carries_the_token),
		WORLD_TEST(the_file_is_read_for_each_login),
		WORLD_TEST(a_refused_password_is_an_error_that_does_not_show_it),
		WORLD_TEST(a_file_without_a_password_is_not_sent),
		WORLD_TEST(where_authentication_is_off_no_token_is_needed),
		WORLD_TEST(an_answer_without_a_usable_token_is_refused),
		WORLD_TEST(a_member_that_does_not_answer_is_given_up),
		WORLD_TEST(a_login_that_is_stopped_reports_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
