/* Mutual TLS without a tunnel: one connection is one TLS session, for callers that hold an SVID and have no sidecar
 * (decision 083). Of one worker. After the handshake the connection is a leg whose peer is known; where it may go and
 * whether it is allowed is its owner's. */
#pragma once

#include "base/core/clock.h"
#include "base/core/shares.h"
#include "base/tls/tls_session.h"
#include "certs/credentials.h"
#include "certs/verify.h"
#include "sidecar/leg/leg.h"

struct direct_server;

struct direct_connection { /* borrowed during the call, but the leg, which is handed over */
	struct leg *leg;
	struct svid *peer;
	enum key_exchange key_exchange;
	const struct addr *local, *remote;
};

struct direct_failure { /* a caller that did not become a connection; borrowed during the call */
	const struct addr *local, *remote;
	const struct svid *peer; /* NULL: none was verified */
	uint64_t begun_ms;       /* on the loop's clock */
	bool failed_by_peer;     /* it sent the alert */
	const struct why *detail;
};

struct direct_server_options { /* pointers are borrowed */
	struct loop *loop;
	struct tls_context *context; /* of a server that requires a certificate */
	struct tls_scratch *scratch;
	struct verify_cache *verify_cache;
	const struct trusted_time *time;
	uint32_t handshake_timeout_ms;
	uint32_t max_handshakes; /* under way at once, which each have a descriptor; 0: 256 */
	void (*on_connection)(void *arg, const struct direct_connection *connection);
	void (*on_failure)(void *arg, const struct direct_failure *failure);
	/* A limit keeps a handshake out; on_failure follows. */
	void (*on_limit)(void *arg, enum share_limit limit);
	void *arg;
};
struct direct_server *direct_server_new(const struct direct_server_options *options);
void direct_server_free(struct direct_server *server); /* after its legs */
/* `local`: what the caller dialed. */
void direct_server_adopt(struct direct_server *server, int fd, const struct addr *local, const struct addr *remote);
/* Legs whose peer these do not trust any more are cut as withdrawn. NULL: nothing is accepted. */
void direct_server_set_credentials(struct direct_server *server, struct credentials *credentials);
