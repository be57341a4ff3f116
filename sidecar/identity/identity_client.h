/* The client for the workload's identity: dials the control plane, attests while there is no valid SVID, otherwise
 * keeps the identity stream open and renews on it, and reports each new snapshot. It retries forever and releases the
 * old credentials only after the new ones are in use. Main thread only. */
#pragma once

#include "base/core/loop.h"
#include "base/health/sidecar_health.h"
#include "base/rpc/rpc_client.h"
#include "base/tls/tls_context.h"
#include "certs/credentials.h"
#include "sidecar/identity/address_claim.h"
#include "sidecar/identity/identity_event.h"
#include "sidecar/identity/state_folder.h"

struct identity_client;

struct identity_options { /* all borrowed; the callbacks' arguments are borrowed during the call */
	struct loop *loop;
	struct tls_context *context; /* client */
	struct state_folder *state;
	struct trust_domain trust_domain;
	const char *address;                            /* of the control plane, in the format of control_address.h */
	const char *token_file, *kubernetes_token_file; /* NULL: none */
	bool unix_peer;                                 /* attest as this process, over a Unix socket */
	const char *x509_certificate_file, *x509_key_file; /* of the machine; NULL: none */
	const uint8_t *bootstrap_root_sha256;              /* NULL: the token or the state folder has it */
	bool claims_address;
	const char *release;                            /* of this program */
	uint32_t zone;                                  /* of this host (base/core/zone.h); 0: none */
	size_t (*own_addresses)(struct ip_addr out[2]); /* of this host, one per family; NULL: not reported */

	/* NULL: the credentials have expired. */
	void (*on_credentials)(void *arg, struct credentials *credentials);
	void (*on_time)(void *arg, const struct trusted_time *time);
	bool keeps_svid; /* with its key, in the state folder; else what is kept has neither */
	/* The connection that discovery shares; NULL: it has closed. */
	void (*on_connection)(void *arg, struct rpc_client *client);
	void (*on_event)(void *arg, enum identity_event event, const struct why *why); /* why: NULL on success */
	/* An attempt has ended, and not by a refusal. NULL: nothing is kept for a restart. */
	void (*on_outage)(void *arg);
	void *arg;
};

/* ERR_CONFIG: the address is malformed, or there is no bootstrap root, without which no server can be verified. */
enum err identity_client_new(
	const struct identity_options *options, struct identity_client **out, struct why *why) _must_use_;
void identity_client_start(struct identity_client *client);
void identity_client_free(struct identity_client *client);

struct retained_bans {
	unsigned num_ids, num_serials;
	char first[200]; /* of the identities, cut; "": none */
};

struct identity_status {
	struct credentials *credentials;  /* borrowed; NULL: none */
	bool is_banned;                   /* by the trust state in use, or by a refusal of the control plane */
	bool is_released;                 /* the addresses that it would claim, by command: until the process ends */
	bool is_valid, is_connected;      /* connected: the identity stream is open and its trust state has arrived */
	struct claimed_address claims[2]; /* one per family: over the identity stream, and over a stream of its own */
	struct retained_bans retained;    /* what this sidecar refuses, and the control plane's restored store lacks */
	struct why last_failure;          /* of the current outage; err ERR_NONE: none */
	struct addr dialed;               /* the control plane's address that was tried last; family 0: none yet */
};
void identity_client_status(const struct identity_client *client, struct identity_status *out);
/* How often the control plane wants a report, in seconds; 0: it wants none, or there is no stream. */
uint32_t identity_client_report_each_s(const struct identity_client *client);
struct report; /* messages.h */
void identity_client_report(struct identity_client *client, const struct report *report);
/* Why it is not kept for a restart without a control plane, or the fence is not stored; err ERR_NONE: both are. */
const struct why *identity_client_kept_failure(const struct identity_client *client);
/* The identity of before the restart while it counts: no control plane could be reached, and its SVID, kept or not, has
 * not ended. NULL: none. Borrowed until the next callback. */
const struct spiffe_id *identity_client_kept_id(const struct identity_client *client);
/* Writes what is due to be kept for a restart, without a pause. */
void identity_client_keep_now(struct identity_client *client);
/* The workload is about to end: callers get other endpoints of its services. Its claims stay. Lasts until the process
 * ends. */
void identity_client_drain(struct identity_client *client);
/* Reported over the identity stream when it changes, at most once per 5 s. */
void identity_client_set_health(struct identity_client *client, const struct sidecar_health *health);
/* Releases all addresses of this sidecar until the process ends. Only by an explicit command, never at SIGTERM. */
void identity_client_release_address(struct identity_client *client);
