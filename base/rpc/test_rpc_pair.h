/* For tests: a server with a few methods, connections to it over socket pairs, and a fake clock.
 * Methods: /t/Echo (returns each message, OK when the client has half-closed), /t/Fail (NOT_FOUND after the first
 * message), /t/Denied (never authorized), /t/Small (messages of at most 10 bytes), /t/Unary (returns one message),
 * /t/Silent (never answers), /t/Flood (sends until its queue is full). */
#pragma once

#include "base/rpc/rpc_client.h"
#include "base/rpc/rpc_server.h"

struct test_rpc_call { /* the callbacks of a client's call */
	struct rpc_call *call;
	unsigned num_messages;
	struct buf received; /* all messages, concatenated */
	bool is_done;
	enum rpc_status status;
	char message[128];
	uint32_t retry_after_ms;
};

struct test_rpc {
	struct clock_fake clock;
	struct loop *loop;
	struct rpc_server *server;
	struct rpc_client *client;
	bool client_ready, client_closed;
	struct why client_detail;
	unsigned num_connects, num_disconnects, num_starts, num_dones, num_server_messages, num_half_closes;
	unsigned num_flooded; /* messages that /t/Flood queued */
	enum err flood_end;
	struct rpc_call *last_call; /* the server's */
	struct rpc_peer *last_peer;
};

void test_rpc_init(struct test_rpc *test, const struct rpc_server_options *server_options);
void test_rpc_connect(
	struct test_rpc *test, const struct rpc_client_options *client_options); /* and waits until ready */
/* The same over the given transports, which are adopted. */
void test_rpc_connect_over(struct test_rpc *test, const struct rpc_client_options *client_options,
	struct transport *client, struct transport *server);
int test_rpc_raw(struct test_rpc *test); /* a bare descriptor to the server */
void test_rpc_done(struct test_rpc *test);
void test_rpc_run(struct test_rpc *test);               /* until idle */
void test_rpc_wait(struct test_rpc *test, uint64_t ms); /* moves the clock in steps */
void test_rpc_call(struct test_rpc *test, struct test_rpc_call *call, const char *path, uint32_t deadline_ms);
void test_rpc_unary(struct test_rpc *test, struct test_rpc_call *call, const char *path, struct span message);
