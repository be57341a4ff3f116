/* The workload's identity, from the first attestation data to the last renewal: dials the control plane, attests while
 * there is no valid SVID, else holds the identity stream; tells of every new snapshot. It tries for ever and never
 * gives the old credentials up before the new ones are in use. Main thread only. */
#pragma once

#include "base/core/loop.h"
#include "base/rpc/rpc_client.h"
#include "base/tls/tls_context.h"
#include "certs/credentials.h"
#include "sidecar/identity/address_claim.h"
#include "sidecar/identity/state_folder.h"

struct identity_client;

enum identity_event {
	IDENTITY_ATTESTED,
	IDENTITY_ATTEST_FAILED,
	IDENTITY_RENEWED,
	IDENTITY_RENEW_FAILED,
	IDENTITY_AWAY, /* the control plane could not be reached, or went away */
};

struct identity_options { /* borrowed all, but what the callbacks get is borrowed only during the call */
	struct loop *loop;
	struct tls_context *context; /* client */
	struct state_folder *state;
	struct trust_domain trust_domain;
	const char *address;                            /* of the control plane, as control_address.h reads it */
	const char *token_file, *kubernetes_token_file; /* NULL: none */
	const uint8_t *bootstrap_root_sha256;           /* NULL: it comes with the token or lies in the state */
	bool claims_address;
	const char *release;                            /* of this program */
	size_t (*own_addresses)(struct ip_addr out[2]); /* of this host, one per family; NULL: not said */

	/* NULL: what we had has expired. */
	void (*on_credentials)(void *arg, struct credentials *credentials);
	void (*on_time)(void *arg, const struct trusted_time *time);
	/* The connection that discovery shares; NULL: it is gone. */
	void (*on_connection)(void *arg, struct rpc_client *client);
	void (*on_event)(void *arg, enum identity_event event, const struct why *why); /* why: NULL on success */
	void *arg;
};

/* ERR_CONFIG: the address is none, or no bootstrap root is known, without which nobody could be trusted. */
enum err identity_client_new(
	const struct identity_options *options, struct identity_client **out, struct why *why) _must_use_;
void identity_client_start(struct identity_client *client);
void identity_client_free(struct identity_client *client);

struct identity_status {
	struct credentials *credentials; /* borrowed; NULL: none */
	bool is_valid, is_connected;     /* connected: the identity stream stands and its trust has come */
	int64_t time_to_expiry_s;        /* until the SVID expires; 0: there is none */
	int64_t renews_in_ms;
	struct claimed_address claims[2]; /* one a family: over the identity stream, and over a stream of its own */
	struct why last_failure;          /* of the present outage; err ERR_NONE: none */
	struct addr dialed;               /* the control plane's address that was tried last; family 0: none yet */
};
void identity_client_status(const struct identity_client *client, struct identity_status *out);
/* The workload is about to end: callers get other endpoints of its services. Claims stay. For the rest of this process.
 */
void identity_client_drain(struct identity_client *client);
/* All of our addresses, and for as long as this process lives; an explicit wish, never at SIGTERM. */
void identity_client_release_address(struct identity_client *client);
