/* Mutual TLS without a tunnel to a peer's own port: one connection is one TLS session, for endpoints that are sidecars
 * of Istio (ALPN "istio") or have such a listener (decision 090). Of one worker. After the handshake the connection is
 * a leg whose peer has the expected identity. A client is done with its handshake before the server has judged it (RFC
 * 8446 4.4.4): a refusal comes as the end of an open leg. */
#pragma once

#include "base/core/clock.h"
#include "base/net/socket.h"
#include "base/tls/tls_session.h"
#include "certs/credentials.h"
#include "certs/verify.h"
#include "sidecar/leg/leg.h"

#define DIRECT_ALPN                                                                                                    \
	"istio" /* by it a sidecar of Istio takes a connection to the workload's port as one of its mesh               \
		 */

struct direct_client;

struct direct_client_options { /* pointers are borrowed */
	struct loop *loop;
	struct tls_context *context; /* of a client, with DIRECT_ALPN, which may be left unanswered */
	struct tls_scratch *scratch;
	struct verify_cache *verify_cache;
	const struct trusted_time *time;
	uint32_t handshake_timeout_ms; /* from the first SYN on */
};
struct direct_client *direct_client_new(const struct direct_client_options *options);
void direct_client_free(struct direct_client *client); /* after its legs and attempts */
/* Legs whose peer these do not trust any more are cut as withdrawn. NULL: nothing is opened. */
void direct_client_set_credentials(struct direct_client *client, struct credentials *credentials);

enum direct_outcome { DIRECT_OPEN, DIRECT_UNREACHABLE, DIRECT_TLS_FAILED, DIRECT_NO_IDENTITY };
struct direct_result { /* borrowed during the call */
	enum direct_outcome outcome;
	bool failed_by_peer;            /* DIRECT_TLS_FAILED: it sent the alert */
	enum key_exchange key_exchange; /* DIRECT_OPEN */
	uint64_t answer_ms;             /* DIRECT_OPEN: from the first SYN to the peer's Finished */
	struct why detail;
};
struct direct_request {
	struct addr endpoint;
	const struct spiffe_id *expected; /* who must be there; copied */
	struct local_ports *ports;        /* of this thread; NULL: unbounded */
	uint32_t wait_ms; /* from the first SYN on, if shorter than the handshake's; 0: the handshake's */
	/* Once, never from within direct_client_open(). `leg` is handed over, or NULL. No byte of the workload has been
	 * sent by then. */
	void (*on_result)(void *arg, struct leg *leg, const struct direct_result *result);
	void *arg;
};
struct direct_attempt;
struct direct_attempt *direct_client_open(struct direct_client *client, const struct direct_request *request);
void direct_attempt_cancel(struct direct_attempt *attempt); /* before on_result only */
