/* For tests: a webhook on loopback, and an HTTP/2 client over TLS 1.3 that trusts its authority. */
#pragma once

#include "base/core/clock.h"
#include "base/core/test_wait.h"
#include "base/rpc/test_h2_stream.h"
#include "base/tls/tls_session.h"
#include "control/kube/webhook.h"

struct test_webhook {
	struct clock_fake clock; /* stands still unless the test advances it */
	struct loop *loop;
	struct webhook_identity *identity;
	struct inject_options options;
	struct admission admission;
	struct metrics *metrics;
	struct webhook *webhook;
	struct addr at;
	struct tls_context *client_context;
	struct tls_scratch *scratch;
};
void test_webhook_init(struct test_webhook *world);
void test_webhook_done(struct test_webhook *world);

struct test_call {
	struct test_client *client;
	struct test_h2_stream stream; /* to_send: the body; received: the answer */
	char status[4];
	unsigned rank; /* of its answer, among those of its client: 1 is the first */
};
struct test_client {
	struct test_webhook *world;
	struct h2_link *link;
	bool is_open, is_dead, has_goaway, is_verified;
	unsigned num_answers;
	bool is_slow; /* takes the first bytes of an answer alone */
};
void test_client_init(struct test_webhook *world, struct test_client *client);
void test_client_init_slow(struct test_webhook *world, struct test_client *client);
void test_client_done(struct test_client *client);
/* The call is sent when the client is open, which it must be. */
void test_call_start(
	struct test_client *client, struct test_call *call, const char *method, const char *path, struct span body);
void test_call_done(struct test_call *call);

#define test_webhook_run(world, condition) WAIT_UNTIL(condition, loop_run_once((world)->loop, false))
