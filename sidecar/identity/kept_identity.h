/* The identity as it is kept for a restart without a control plane: SVID and key, the trust state in which it is valid,
 * bans of former incarnations, and the time. Encodes, and parses with all checks of a received message. Pure. */
#pragma once

#include "certs/private_key.h"
#include "sidecar/identity/messages.h"

#define KEPT_IDENTITY "identity" /* the file's name */
#define BOOT_ID_MAX   40

struct kept_identity { /* zeroed is valid to kept_identity_done() */
	struct spiffe_id id;
	struct epoch before; /* the newest of the state folder when it was written */
	int64_t not_after_s; /* of the SVID that was in use */
	int64_t time_ms;     /* authenticated, when it was written; with the boot time of that moment */
	uint64_t boot_ms;
	char boot_id[BOOT_ID_MAX];
	struct svid *svid; /* NULL, with the key: not kept */
	struct private_key *key;
	struct trust trust;          /* its bundles have the retained bans, too */
	struct bundle_set *retained; /* NULL: none */
};
void kept_identity_done(struct kept_identity *kept);

/* trust.encoded is what is encoded. */
enum err kept_identity_encode(const struct kept_identity *kept, struct buf *out) _must_use_;
/* ERR_WRONG_PEER: of another trust domain. Other errors: not such bytes. */
enum err kept_identity_parse(
	struct span bytes, const struct trust_domain *own, struct kept_identity *out, struct why *why) _must_use_;
