/* The control plane's own server certificate: `spiffe://<trust domain>/handfast/control`, signed by the bootstrap root,
 * with a new key each time. It is renewed when half of its lifetime is over by the wall clock or by CLOCK_BOOTTIME,
 * whichever comes first: the wall clock can be set, and CLOCK_BOOTTIME is not the time that sidecars check. */
#pragma once

#include "certs/private_key.h"
#include "certs/svid.h"
#include "control/issue/issuer.h"

#define SERVER_IDENTITY_TTL_S 86400

struct server_identity;

/* on_ready: ERR_NONE once there is a first certificate; else the reason, and it is not tried again. */
struct server_identity *server_identity_new(struct loop *loop, struct issuer *issuer,
	void (*on_ready)(void *arg, enum err err, const struct why *why), void *arg);
void server_identity_free(struct server_identity *identity); /* before the issuer */

/* What to do with a certificate valid from..to that was issued `age_ms` ago. Pure. */
enum server_identity_state { SERVER_IDENTITY_GOOD, SERVER_IDENTITY_DUE, SERVER_IDENTITY_EXPIRED };
enum server_identity_state server_identity_judge(int64_t from_s, int64_t to_s, int64_t now_s, uint64_t age_ms);

/* Before each use, and about once per second by itself: false if it has expired. Starts a renewal if it is due or has
 * expired. */
bool server_identity_poll(struct server_identity *identity);
bool server_identity_is_usable(const struct server_identity *identity);
int64_t server_identity_not_after_s(const struct server_identity *identity); /* 0: none yet */

struct svid *server_identity_svid(const struct server_identity *identity); /* NULL: none yet; borrowed */
struct private_key *server_identity_key(const struct server_identity *identity);
/* Sent after the leaf: the bootstrap root that has signed it; or that cross-signed, that, and the former one. Borrowed
 * until the next renewal. */
#define SERVER_IDENTITY_ABOVE_MAX (ISSUER_CHAIN_MAX - 1)
const struct span *server_identity_above(const struct server_identity *identity, size_t *out_num);
struct span server_identity_root(const struct server_identity *identity); /* the bootstrap root that has signed it */
/* Another certificate at once, because another bootstrap root signs. The present one stays in use until then. */
void server_identity_renew(struct server_identity *identity);
