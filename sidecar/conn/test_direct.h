/* For tests: two endpoints that are reached by mutual TLS on their own port, by a real client and a real server. */
#pragma once

#include "sidecar/conn/test_conns.h"
#include "sidecar/direct/direct_server.h"

enum { TEST_DIRECT_ENDPOINTS = 2 };

struct test_direct {
	struct test_conns *conns;
	struct tls_context *client_context, *server_context;
	struct tls_scratch *scratch;
	struct verify_cache *client_cache, *server_cache;
	struct direct_server *server; /* of all endpoints */
	int listening[TEST_DIRECT_ENDPOINTS];
	struct addr at[TEST_DIRECT_ENDPOINTS];
	struct leg *far; /* of the connection that the server accepted last; NULL: none */
};

/* TEST_MESHED leads to the first `num` of them from now on. */
struct test_direct *test_direct_new(struct test_conns *conns, size_t num);
void test_direct_free(struct test_direct *direct);               /* ends all connections; before test_conns_free() */
void test_direct_refuse(struct test_direct *direct, bool does);  /* the server trusts this workload no more, or again */
void test_direct_turn(struct test_direct *direct, bool accepts); /* enough for a handshake; not `accepts`: silent */
