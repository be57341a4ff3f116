/* What tunnels of either direction are made with: what they borrow, their limits, and who observes them. */
#pragma once

#include "base/core/addr.h"
#include "base/core/loop.h"
#include "base/core/shares.h"
#include "base/tls/tls_session.h"
#include "certs/credentials.h"
#include "certs/verify.h"
#include "sidecar/tunnel/window.h"

struct tunnel_limits {               /* 0: the default in brackets */
	uint32_t max_streams;        /* [4096] streams we accept per tunnel */
	uint32_t max_tunnels;        /* [1024] inbound, of this worker; a source may have a quarter, an identity half */
	uint32_t connect_timeout_ms; /* [10,000] TCP */
	uint32_t handshake_timeout_ms; /* [5,000] TLS and SETTINGS */
	uint32_t idle_ms;              /* [60,000] a tunnel without a stream closes */
	uint32_t max_identity_age_s;   /* [none] of a connection under a rotated identity: identity_age.h */
	uint32_t identity_age_grace_s; /* [0] from the report to the close */
	uint32_t ping_ms; /* [10,000] PING after silence while streams live; lost after 20 s without an answer */
};

enum tunnel_resource { TUNNEL_RESOURCE_HANDSHAKES, TUNNEL_RESOURCE_TUNNELS };

/* What a tunnel's events mean to the outside (report counts and keeps the last failures for /why). All may be NULL. */
struct tunnel_observer {
	void (*on_open)(void *arg, bool outbound, enum key_exchange key_exchange, uint64_t handshake_ms);
	void (*on_close)(void *arg, bool outbound);
	/* Mutual TLS without a tunnel, inbound: a handshake is done, or has failed. */
	void (*on_direct)(void *arg, enum key_exchange key_exchange);
	void (*on_direct_failure)(void *arg, enum err err);
	/* A tunnel could not be made or broke. `expected`: the identity wanted there, NULL inbound. */
	void (*on_failure)(void *arg, bool outbound, const struct addr *remote, const struct spiffe_id *expected,
		const struct why *why);
	/* A limit keeps an inbound one out; on_failure follows. */
	void (*on_limit)(void *arg, enum tunnel_resource what, enum share_limit limit);
	void *arg;
};

struct tunnel_options { /* pointers are borrowed */
	struct loop *loop;
	struct tls_context *context;        /* one per process and direction */
	struct tls_scratch *scratch;        /* one per worker */
	struct verify_cache *verify_cache;  /* one per worker */
	struct flow_control_memory *budget; /* one per process */
	const struct trusted_time *time;    /* the worker's copy */
	struct tunnel_limits limits;
	struct tunnel_observer observer;
};

/* One tunnel, for a list of them. key_exchange: the name of the group, such as "X25519". */
typedef void tunnel_each_fn(void *arg, bool outbound, const struct addr *local, const struct addr *remote,
	const struct svid *peer, unsigned num_streams, bool draining, const char *key_exchange);
