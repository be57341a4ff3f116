/* For tests: a peer that can violate the protocol. It uses BoringSSL directly on one end of a pair's sockets, and can
 * seal arbitrary records after the handshake. */
#pragma once

#include "base/tls/test_pair.h"
#include <openssl/ssl.h>

struct test_raw_peer {
	SSL_CTX *ctx;
	SSL *ssl;
	int fd;
	uint8_t secret[48]; /* its own traffic secret (RFC 8446 7.1) */
	size_t secret_len;
	uint64_t sequence;
	SSL_SESSION *ticket; /* the last one received */
};

/* Offers ALPN "h2" and has the pair's client identity; tests change ctx or ssl before the handshake. */
void test_raw_peer_init(struct test_raw_peer *peer, const struct test_pair *pair, enum tls_role role, int fd);
void test_raw_peer_done(struct test_raw_peer *peer);
void test_raw_peer_set_identity(struct test_raw_peer *peer, const struct test_identity *identity);
/* Takes turns with `other` until neither makes progress; returns the other side's result. */
enum io_result test_raw_peer_handshake(struct test_raw_peer *peer, struct tls_session *other);
/* Reads until an end or a failure and returns the received alert; -1: none. */
int test_raw_peer_alert(struct test_raw_peer *peer);
/* One sealed record of this inner type; only after the handshake, and never beside SSL_write(). */
void test_raw_peer_send_record(struct test_raw_peer *peer, uint8_t type, struct span plain);
