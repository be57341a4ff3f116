/* For tests: an HTTP/2 client that can violate gRPC. */
#pragma once

#include "base/h2/h2_session.h"
#include "base/rpc/test_rpc_pair.h"

struct raw_client {
	int fd;
	struct h2_session *h2;
	struct span body;
	size_t sent;
	size_t piece; /* bytes per DATA frame */
	bool ends;
	char http_status[8], grpc_status[8], allow[8], accept_encoding[16];
	bool is_closed, is_deaf; /* is_deaf: does not read */
	uint32_t error;
	unsigned num_goaways;
};

struct request {
	const char *method, *path, *content_type, *extra_name, *extra_value;
};

void raw_open(struct test_rpc *test, struct raw_client *client);
void raw_close(struct raw_client *client);
void raw_run(struct test_rpc *test, struct raw_client *client);
void raw_request(struct test_rpc *test, struct raw_client *client, struct request request, struct span body);
/* Opens, sends the request, checks the response and that the stream ended, closes. */
void raw_expect(struct test_rpc *test, struct request request, struct span body, const char *http_status,
	const char *grpc_status);
