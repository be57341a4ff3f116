/* The connections of one worker that have a TLS session of their own, in both directions (sidecar/direct). On the
 * worker's thread. */
#pragma once

#include "sidecar/conn/conn.h"
#include "sidecar/direct/direct_server.h"

struct worker_direct;

struct worker_direct_options { /* borrowed; outlive it */
	struct loop *loop;
	struct tls_context *client_context;
	struct tls_context *server_context; /* NULL: no listener takes mutual TLS without a tunnel */
	struct tls_scratch *scratch;
	struct verify_cache *verify_cache;
	const struct trusted_time *time;
	uint32_t handshake_timeout_ms;
	uint32_t max_handshakes; /* from outside, under way at once; 0: 256 */
	const struct listeners *listeners;
	struct conn_env *env;
	const struct tunnel_observer *observer;
};
struct worker_direct *worker_direct_new(const struct worker_direct_options *options);
void worker_direct_free(struct worker_direct *direct); /* after its connections */
struct direct_client *worker_direct_client(const struct worker_direct *direct);
bool worker_direct_takes_any(const struct worker_direct *direct); /* from outside: a listener with mtls is there */
void worker_direct_set_credentials(struct worker_direct *direct, struct credentials *credentials);
/* A connection to the port of such a listener; adopts fd. */
void worker_direct_accept(struct worker_direct *direct, int fd, const struct addr *peer);
/* A connection to the port for plaintext. Rules redirect what comes to a port with mtls, too: true, it is adopted. */
bool worker_direct_takes_redirected(struct worker_direct *direct, int fd, const struct addr *peer);
