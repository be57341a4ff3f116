/* For tests: a client and a server session over a socketpair(2), with two identities of one authority. */
#pragma once

#include "base/tls/test_identity.h"
#include "base/tls/tls_session.h"

#define TEST_CLIENT_ID "spiffe://cluster.local/ns/shop/sa/client"
#define TEST_SERVER_ID "spiffe://cluster.local/ns/shop/sa/server"

/* The result of one side's verifier. */
struct test_verdict {
	enum err err;
	const char *got;
	unsigned calls;
};

struct test_pair {
	struct test_cert *root;
	struct test_identity client_identity, server_identity;
	struct tls_scratch *scratch;
	struct tls_context *client_context, *server_context;
	struct test_verdict client_verdict, server_verdict;
	struct tls_session *client, *server;
	int fds[2]; /* client's, server's: owned by the sessions once they are open */
};

/* Fixtures for cmocka: *state is the pair. */
int test_pair_setup(void **state);
int test_pair_teardown(void **state);

struct tls_context *test_context(enum tls_role role, enum tls_client_auth auth, const char *alpn);
void test_pair_connect(struct test_pair *pair); /* only the sockets */
void test_pair_open(struct test_pair *pair);    /* sockets and sessions with both identities */
void test_pair_open_as(struct test_pair *pair, const struct tls_session_options *client,
	const struct tls_session_options *server); /* fd, context, scratch, and a missing verifier are filled in */
/* Fills in the same; a session of the given options, which have a descriptor. */
struct tls_session *test_session_of(struct test_pair *pair, enum tls_role role, struct tls_session_options options);
/* A session on the given descriptor, with the pair's identity for that side. */
struct tls_session *test_session(struct test_pair *pair, enum tls_role role, int fd);
/* Both sides take turns until neither makes progress. */
struct test_outcome {
	enum io_result client, server;
};
struct test_outcome test_pair_handshake(struct test_pair *pair);
void test_pair_establish(struct test_pair *pair); /* open, handshake, assert */
/* The client's result after a handshake that the server refused: reported by its first read. */
enum io_result test_read_result(struct tls_session *session);
void test_send(struct tls_session *from, const char *text);
void test_expect(struct tls_session *at, const char *text);
enum err test_verify(void *arg, const struct span *chain, size_t num_chain, struct svid **out_svid, struct why *why);
