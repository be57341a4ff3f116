/* The connection to the control plane of a sidecar whose identity comes from elsewhere (workload_source.h,
 * istio_source.h): for Discovery alone, with the SVID as its client certificate. It is dialed anew with each new SVID,
 * because the control plane ends a connection with the certificate that opened it, and after each failure, forever.
 * Main thread only. */
#pragma once

#include "base/rpc/rpc_client.h"
#include "base/tls/tls_context.h"
#include "certs/credentials.h"
#include "sidecar/identity/identity_event.h"
#include "sidecar/identity/state_folder.h"

struct discovery_link;

struct discovery_link_options { /* all borrowed */
	struct loop *loop;
	struct tls_context *context; /* client */
	const struct state_folder *state;
	struct trust_domain trust_domain;
	const char *address;                                         /* control_address.h */
	const uint8_t *bootstrap_root_sha256;                        /* NULL: the state folder has it */
	void (*on_connection)(void *arg, struct rpc_client *client); /* NULL: it is about to close */
	void (*on_event)(void *arg, enum identity_event event, const struct why *why);
	void *arg;
};
/* ERR_CONFIG: the address is malformed, or there is no bootstrap root, without which no server can be verified. */
enum err discovery_link_new(
	const struct discovery_link_options *options, struct discovery_link **out, struct why *why) _must_use_;
void discovery_link_free(struct discovery_link *link); /* NULL is allowed */
/* NULL: they have expired; the connection stays as long as the control plane keeps it. */
void discovery_link_set_credentials(struct discovery_link *link, struct credentials *credentials);
bool discovery_link_is_up(const struct discovery_link *link);
const struct why *discovery_link_failure(const struct discovery_link *link); /* of this outage; err ERR_NONE: none */
struct addr discovery_link_dialed(const struct discovery_link *link);        /* last; family 0: none yet */
