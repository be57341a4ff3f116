/* For tests: an API server in this process, on loopback over TLS: it notes each request, and answers as the test
 * decides. Its clock is the test's: timers run when the test lets time pass. */
#pragma once

#include "base/core/clock.h"
#include "base/core/test_wait.h"
#include "base/kube/kube_client.h"
#include "base/rpc/test_h2_stream.h"

enum { TEST_REQUESTS_MAX = 64 };

struct test_request {
	char method[8], path[512], authorization[128], content_type[64], accept[64];
	struct test_h2_stream stream; /* received: the body; to_send: the answer */
	struct test_peer *peer;
};

struct test_server {
	struct clock_fake clock;
	struct loop *loop;
	struct kube_config config; /* for clients of this server */
	struct test_peer *peers;   /* connections, the newest first */
	unsigned num_accepted;
	bool is_mute; /* what is accepted from now on gets no byte */
	bool is_raw;  /* what is accepted from now on becomes `raw`, in place of the one before; the test reads and
			 writes it */
	struct transport *raw;
	bool goes_away; /* what is accepted from now on gets SETTINGS and GOAWAY in one flight */
	struct test_request requests[TEST_REQUESTS_MAX]; /* in the order in which they came */
	size_t num_requests;
	struct test_server_own *own;
};

void test_server_init(struct test_server *server);
void test_server_done(struct test_server *server);
/* No listening socket from now on: attempts to connect are refused. */
void test_server_stop_listening(struct test_server *server);
void test_server_listen(struct test_server *server); /* at the same port */

/* Rounds of the loop until the condition holds. */
#define test_server_run(server, condition) WAIT_UNTIL(condition, loop_run_once((server)->loop, false))
void test_server_settle(struct test_server *server);            /* rounds until nothing more is on the way */
void test_server_pass(struct test_server *server, uint64_t ms); /* lets time pass, in steps, with rounds of the loop */
/* Runs until so many requests came, all of them whole; returns the last. */
struct test_request *test_server_await(struct test_server *server, size_t num);

void test_answer(struct test_request *request, const char *status, const char *body); /* whole */
/* The header of an answer, which test_send() continues. name NULL: without another header. */
void test_answer_begin(struct test_request *request, const char *status, const char *name, const char *value);
void test_send(struct test_request *request, struct span bytes);
void test_send_text(struct test_request *request, const char *text);
void test_end(struct test_request *request);
void test_reset(struct test_request *request, uint32_t error);
void test_goaway(struct test_server *server); /* of the newest connection, which serves on */
void test_cut(struct test_server *server);    /* the newest connection, as when the server is killed */
