/* One TCP connection to a server without a SPIFFE ID, such as the API server of Kubernetes or a member of etcd, and the
 * TLS session on it: resolves the name, tries the addresses in turn. */
#pragma once

#include "base/core/loop.h"
#include "base/rpc/transport.h"
#include "certs/verify_web.h"

struct name_servers; /* base/net/resolver.h */

struct web_peer {         /* borrowed until the end of the dial */
	const char *host; /* a DNS name, or an IP address without brackets */
	uint16_t port;
	const struct name_servers *name_servers; /* where /etc/resolv.conf may not be read any more; NULL: none */
	const char *server_name; /* what the server's certificate must be for, if not `host`; NULL: host */
	/* Before each handshake, since files are replaced: what this end trusts, and what it presents (NULL: nothing).
	 * The caller owns both. */
	enum err (*load)(void *arg, struct web_roots **out_roots, struct web_identity **out_identity, struct why *why);
	/* Instead of the verification by roots and name, for a server that has a SPIFFE ID: `load` then gives no roots.
	 * NULL: by roots and name. */
	enum err (*verify)(void *arg, const struct span *chain, size_t num_chain, struct why *why);
	void *arg;
	struct {
		const char *listener, *fix;        /* "an API server that listens", and what to check where none does */
		const char *address, *fix_address; /* the same of its name */
	} texts;
};

/* "host:port" or "[v6]:port": what HTTP calls the server (RFC 9112 3.2). The caller frees. */
char *web_peer_authority(const struct web_peer *peer);

struct web_dial;

/* err ERR_NONE: *transport is adopted by the callee, and its handshake is still to be run. Never within
 * web_dial_start(); the callee may start the next dial. */
typedef void web_dial_fn(void *arg, enum err err, struct transport *transport, const struct why *why);

/* alpn: "h2" or "http/1.1", a literal. */
struct web_dial *web_dial_new(struct loop *loop, const char *alpn, web_dial_fn *on_done, void *arg);
/* The same for "http/1.1" with a server that may know no ALPN. */
struct web_dial *web_dial_new_without_alpn(struct loop *loop, web_dial_fn *on_done, void *arg);
void web_dial_free(struct web_dial *dial);
/* timeout_ms: per address. No dial may be under way. */
void web_dial_start(struct web_dial *dial, const struct web_peer *peer, uint32_t timeout_ms);
bool web_dial_is_under_way(const struct web_dial *dial);
