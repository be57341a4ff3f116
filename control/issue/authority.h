/* The mesh's certificate authorities in the signer: a bootstrap root (10 years, signs the control plane's own server
 * certificate and nothing else), the mesh's root (1 year) and an intermediate (7 days, replaced automatically at half
 * of its lifetime), which signs leaves. Checks every request again: the network process may be compromised. */
#pragma once

#include "base/core/clock.h"
#include "certs/spiffe_id.h"
#include "control/issue/key_folder.h"
#include "control/issue/token_link.h"

/* Which keys may be made when the folder is opened. */
enum key_policy {
	KEYS_MUST_EXIST,    /* the store has recorded its authorities: a missing key is lost */
	KEYS_MAY_BE_MADE,   /* the first start */
	KEYS_TAKE_ANY_STORE /* they must exist, and an operator has confirmed the store, whatever its mark
			     */
};

struct authority_options {
	enum key_policy policy;
	const char *folder; /* borrowed */
	struct trust_domain trust_domain;
	int64_t max_leaf_ttl_s, intermediate_life_s, root_life_s;
	const struct clock *clock; /* borrowed */
	/* PEM files of an authority of the operator's: the intermediate with the authorities above it, its key, the
	 * root. Borrowed; NULL: there are none. */
	const char *own_certificate, *own_key, *own_root;
	int token_fd; /* to handfast-pkcs11, which has the key of own_certificate; 0: none */
};

struct jwt_key { /* signs JWT-SVIDs; pair.key NULL: not loaded yet */
	struct key_pair pair;
	struct buf spki; /* its public key */
	int64_t made_s;  /* since 1970 */
};

struct authority {
	struct authority_options options;
	struct key_folder folder;
	struct key_pair bootstrap;
	struct key_pair root;                /* without its key: it is the operator's */
	struct key_pair intermediate;        /* empty: none yet, below a root of the operator's */
	struct key_pair former_intermediate; /* the one before, signs its revocation lists alone; empty: none */
	struct key_pair next_root;           /* prepared and not in use yet; empty: none */
	struct key_pair former_root;         /* replaced and not forgotten yet; empty: none */
	struct token_link token;
	struct key_pair imported;           /* an intermediate below the next root; empty: none */
	struct key_pair successor;          /* of the bootstrap root, signs in its place; empty: none */
	struct buf cross, former_bootstrap; /* DER, sent below and above it; empty: none (authority_bootstrap.c) */
	struct jwt_key jwt, next_jwt;       /* signs now; signs later */
	bool must_replace_intermediate;     /* the root was replaced, and the next intermediate is not stored yet */
	int64_t retry_s;        /* after a failure to store the next intermediate: not tried again before this time */
	int64_t jwt_retry_s;    /* likewise the next JWT key */
	uint64_t last_list;     /* the number of the newest revocation list that was signed; 0: none */
	struct store_mark mark; /* of the newest issuer, durable */
};

/* Loads the keys, or makes those that have never existed. */
enum err authority_open(
	struct authority *authority, const struct authority_options *options, struct why *why) _must_use_;
void authority_done(struct authority *authority);

/* Whether this store would be accepted. Writes nothing. ERR_STATE_DAMAGED: it is another store or an older copy. */
enum err authority_judge(const struct authority *authority, const struct store_mark *mark, struct why *why) _must_use_;
/* Introduces an issuer; from then on older ones are refused. Errors as authority_judge(). */
enum err authority_begin_epoch(struct authority *authority, const struct store_mark *mark, struct why *why) _must_use_;
/* Records the revision of the present issuer's store. ERR_CONFLICT: not from the present issuer. */
enum err authority_note(struct authority *authority, const struct store_mark *mark, struct why *why) _must_use_;

struct leaf_request {
	uint64_t epoch;
	struct span id;   /* SPIFFE ID, unchecked */
	struct span spki; /* DER, unchecked */
	int64_t ttl_s;    /* clamped to [1, max_leaf_ttl_s] and to the chain */
};
/* A workload's SVID: appends the leaf to *out_leaf; the chain above it is the intermediate. */
enum err authority_sign_leaf(struct authority *authority, const struct leaf_request *request, struct buf *out_leaf,
	struct why *why) _must_use_;
/* The control plane's own server certificate, by the bootstrap root in use; request->id is ignored. */
enum err authority_sign_control(struct authority *authority, const struct leaf_request *request, struct buf *out_leaf,
	struct why *why) _must_use_;
/* The SVID of the bundle endpoint, spiffe://TRUST-DOMAIN/handfast/federation, which no workload can have;
 * request->id is ignored. The chain above it is the intermediate, so that partners verify it by the mesh's root. */
enum err authority_sign_federation(struct authority *authority, const struct leaf_request *request,
	struct buf *out_leaf, struct why *why) _must_use_;

/* Replaces the intermediate where that is due and nothing is signed, as without sidecars. Does nothing for another
 * epoch than the present one, and below a root of the operator's. */
void authority_keep_fresh(struct authority *authority, uint64_t epoch);
/* Another intermediate, because the present one is revoked. ERR_DENIED: the root is the operator's. */
enum err authority_renew_intermediate(struct authority *authority, uint64_t epoch, struct why *why) _must_use_;

/* --- authority_lists.c: revocation lists --- */

#define LIST_LIFE_LEAST_S 3600
#define LIST_NUMBER_MAX   (1ULL << 62)

struct list_request {
	uint64_t epoch;
	struct span sha256;  /* of the certificate of the authority whose list it is */
	struct span entries; /* revocation_list.h; unchecked */
	uint64_t above;      /* the number of the last list that is known; 0: none */
	int64_t life_s;      /* clamped to an hour, and twice the longest lifetime of a leaf */
};
/* Appends a list of that authority (DER). ERR_NOT_FOUND: its key is not here; ERR_UNSUPPORTED: its certificate allows
 * no lists; ERR_LIMIT, ERR_MALFORMED: of the entries. */
enum err authority_sign_list(struct authority *authority, const struct list_request *request, struct buf *out_der,
	struct why *why) _must_use_;

/* --- authority_jwt.c: JWT-SVIDs. Each signer has keys of its own, which its store publishes to all sidecars --- */

#define JWT_KEY_LIFE_S    (7 * 86400) /* as the next key, and again as the signing one */
#define JWT_TTL_S         300
#define JWT_AUDIENCES_MAX 8
#define JWT_AUDIENCE_MAX  255 /* bytes: printable ASCII without quotation mark and backslash */

/* Loads or makes both keys, and changes to the next one when the present one is old. A lost key is made anew: tokens
 * live for minutes. */
enum err authority_jwt_keys(struct authority *authority, uint64_t epoch, struct why *why) _must_use_;
struct jwt_request {
	uint64_t epoch;
	struct span id;       /* SPIFFE ID, unchecked */
	struct span audience; /* unchecked; one per line */
};
/* Appends a compact JWS (JWT-SVID 2, 3): ES256, kid, sub, aud, iat, exp in JWT_TTL_S. */
enum err authority_sign_jwt(struct authority *authority, const struct jwt_request *request, struct buf *out_token,
	struct why *why) _must_use_;

/* --- authority_bootstrap.c: the bootstrap root gets a successor. Its key is in the store alone, sealed by that of the
 * first one, which stays in the key folder and from then on opens sealed keys only --- */

#define BOOTSTRAP_LIFE_S (3650LL * 86400)

struct bootstrap_request {
	uint64_t epoch;
	struct span certificate, sealed; /* of the successor, as authority_prepare_bootstrap() has made them */
	/* The successor, signed by the one before it, and that one: both or neither. With them a chain ends at either
	 * (RFC 4210 4.4, "new with old"). */
	struct span cross, former;
};
struct bootstrap_made { /* appended */
	struct buf certificate, cross, sealed;
};
/* Makes a successor of the bootstrap root in use; nothing is kept. */
enum err authority_prepare_bootstrap(
	struct authority *authority, uint64_t epoch, struct bootstrap_made *out, struct why *why) _must_use_;
/* It signs from now on, until the signer ends. ERR_STATE_DAMAGED: not made by a signer of this mesh. */
enum err authority_use_bootstrap(
	struct authority *authority, const struct bootstrap_request *request, struct why *why) _must_use_;
/* The one in use. */
const struct key_pair *authority_bootstrap_of(const struct authority *authority);

/* --- authority_roots.c: the mesh's root is replaced in steps, each of which may be repeated --- */

struct root_request {
	uint64_t epoch;
	struct span certificate, sealed; /* DER; authority_adopt_root() */
	struct span sha256;              /* of the root's certificate; activate, forget */
};
/* Makes the next root; a repetition shows the one that is there. Appends its key, sealed for the signers that have the
 * same bootstrap root. */
enum err authority_prepare_root(struct authority *authority, const struct root_request *request, struct buf *out_sealed,
	struct why *why) _must_use_;
/* Takes over a root that another signer has prepared, as the next one. Does nothing with the one in use. */
enum err authority_adopt_root(
	struct authority *authority, const struct root_request *request, struct why *why) _must_use_;
/* The next root becomes the one in use, with an intermediate below it. ERR_NOT_FOUND: it was not prepared here. */
enum err authority_activate_root(
	struct authority *authority, const struct root_request *request, struct why *why) _must_use_;
/* Removes the key of a next or former root. ERR_DENIED: it is in use. One that is not there: ERR_NONE. */
enum err authority_forget_root(
	struct authority *authority, const struct root_request *request, struct why *why) _must_use_;

/* --- authority_import.c: an authority of the operator's. The signer has the key of an intermediate below it alone ---
 */

#define IMPORT_MAX 24576 /* bytes of PEM */

/* Appends a certification request (DER) for an intermediate. Its key is made here, and stays the same one until a
 * certificate for it is in use. */
enum err authority_request_intermediate(
	struct authority *authority, uint64_t epoch, struct buf *out_der, struct why *why) _must_use_;

struct import_request {
	uint64_t epoch;
	struct span pem; /* the intermediate, the authorities above it and their root, in any order; unchecked */
	struct span root_sha256; /* if the root is not the one in use it must be this one; empty: any */
};
struct imported { /* borrowed from the authority; DER */
	struct span root, intermediate;
};
/* Checks the chain as a sidecar does. Below the root in use it is used from now on; below another one it is kept, that
 * root is the next one, and authority_activate_root() uses both. ERR_NOT_FOUND: no certificate is for a key that was
 * made here; ERR_EXISTS: the root is another one; else as verify_chain(). Nothing was changed then. The root may be
 * left out if it is in use or the next one. */
enum err authority_import(struct authority *authority, const struct import_request *request, struct imported *out,
	struct why *why) _must_use_;
/* The same with the files of the options; request->pem is ignored. With a token the intermediate is made here, and the
 * token signs it. */
enum err authority_import_files(struct authority *authority, const struct import_request *request, struct imported *out,
	struct why *why) _must_use_;
