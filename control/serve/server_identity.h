/* The control plane's own server certificate: `spiffe://<trust domain>/handfast/control`, by the bootstrap root, a new
 * key each time, renewed at half of its life. */
#pragma once

#include "certs/private_key.h"
#include "certs/svid.h"
#include "control/issue/issuer.h"

#define SERVER_IDENTITY_TTL_S 86400

struct server_identity;

/* on_ready: ERR_NONE once there is a first one; else why not, and then no more. */
struct server_identity *server_identity_new(struct loop *loop, struct issuer *issuer,
	void (*on_ready)(void *arg, enum err err, const struct why *why), void *arg);
void server_identity_free(struct server_identity *identity); /* before the issuer */

struct svid *server_identity_svid(const struct server_identity *identity); /* NULL: none yet; borrowed */
struct private_key *server_identity_key(const struct server_identity *identity);
struct span server_identity_root(const struct server_identity *identity); /* sent after the leaf */
