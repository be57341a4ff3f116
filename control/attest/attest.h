/* Attestation: attestation data in, identity out. Every request proves its attestation key anew on its own connection;
 * the names in the CSR are ignored. */
#pragma once

#include "base/core/addr.h"
#include "base/core/buf.h"
#include "control/attest/join_token.h"
#include "control/config/workload_entry.h"
#include "control/registry/svid_holders.h"
#include "control/store/store.h"

/* What a refusal expects of an identity that is banned. Sidecars know it (sidecar/identity/certificate_request.h). */
#define ATTEST_BANNED_EXPECTED "an identity that is not banned"
#define ATTEST_EXPORTER_LABEL  "EXPORTER-handfast-attest"
#define ATTEST_EXPORTED_LEN    32
#define ATTEST_KEY_MAX         1024 /* bytes of an attestation key's SubjectPublicKeyInfo */

struct attest;

enum attestation_kind {
	ATTESTATION_NONE,
	ATTESTATION_JOIN_TOKEN,
	ATTESTATION_KEY,
	ATTESTATION_KUBERNETES,
	ATTESTATION_UNIX_PEER,
	ATTESTATION_X509,
};

#define ATTEST_X509_CONTEXT   "handfast.v1.X509Data" /* what a machine's key signs begins with this */
#define ATTEST_X509_CHAIN_MAX 8

struct attest_request { /* as sent, unchecked; borrowed during the call */
	enum attestation_kind kind;
	struct span token_id, secret; /* of a join token */
	struct span kubernetes_token;
	struct {
		struct span chain[ATTEST_X509_CHAIN_MAX]; /* DER, leaf first */
		size_t num_chain;                         /* may be above the maximum */
		struct span signature;
	} x509;
	struct span attestation_key; /* SubjectPublicKeyInfo, DER */
	struct span csr, proof;
	uint8_t exported[ATTEST_EXPORTED_LEN]; /* by this connection, context SHA-256 of csr */
	struct ip_addr source;
	int unix_fd;                 /* of this connection, for ATTESTATION_UNIX_PEER; borrowed during the call */
	bool proves_claims;          /* from its hello */
	const struct spiffe_id *own; /* renewals: the stream's identity; NULL: enrollment */
};

struct attested { /* borrowed during the callback */
	const struct svid_holder *svid_holder;
	bool is_recorded; /* false: Kubernetes; nothing of it is stored, it is proven anew at each request */
	struct span spki; /* of the CSR: an allowed kind of key, and the requester has the private key */
	int64_t ttl_s;    /* of its entry; 0: none of its own */
};
/* ERR_DENIED, ERR_EXPIRED, ERR_NOT_YET_VALID, ERR_REVOKED (banned), ERR_UNSUPPORTED, ERR_MALFORMED, ERR_WEAK_KEY,
 * ERR_CRYPTO, ERR_IO (the store), ERR_UNAVAILABLE (Kubernetes: not known yet). Called once, later, never from within
 * attest_check(). */
typedef void attest_done_fn(void *arg, enum err err, const struct attested *attested, const struct why *why);

struct attest *attest_new(struct loop *loop, struct store *store, const struct trust_domain *domain);
void attest_free(struct attest *attest); /* after the store's last answer */
/* Who judges Kubernetes tokens. The account's names make a valid SPIFFE ID path, `/ns/<namespace>/sa/<account>`. */
struct attest_account { /* borrowed during the callback */
	const char *namespace_, *name;
};
typedef void attest_reviewed_fn(void *arg, enum err err, const struct attest_account *account, const struct why *why);
struct attest_kubernetes {
	/* token: as sent, unchecked, borrowed during the call. on_done is called once, and later. */
	void (*review)(void *arg, struct span token, const struct ip_addr *source, attest_reviewed_fn *on_done,
		void *done_arg);
	void *arg;
};
/* Without it, and with NULL, Kubernetes tokens are refused as not supported. */
void attest_set_kubernetes(struct attest *attest, const struct attest_kubernetes *kubernetes);
/* Whether each attested sidecar has a record in the store: pods have none, and may be another control plane's. */
bool attest_records_all(const struct attest *attest) _must_use_;
/* attestation.entries; borrowed until the next call. */
void attest_set_entries(struct attest *attest, const struct workload_entry *entries, size_t num);
/* Those, and the ones that were made by attest_entry_create(); borrowed during the callback. */
typedef void attest_entry_each_fn(void *arg, const struct workload_entry *entry, bool is_stored);
void attest_entry_each(struct attest *attest, attest_entry_each_fn *on_entry, void *arg);
/* At once: an error in the entry, or beside the others (ERR_EXISTS); else on_done as store_swap(). */
enum err attest_entry_create(struct attest *attest, const struct workload_entry *entry, store_done_fn *on_done,
	void *arg, struct why *why) _must_use_;
/* At once: ERR_NOT_FOUND; ERR_DENIED: it is in the settings; else on_done as store_swap(). */
enum err attest_entry_delete(
	struct attest *attest, struct span name, store_done_fn *on_done, void *arg, struct why *why) _must_use_;
/* Files, PEM, read again when they change: the CAs of machine certificates; their revocation lists (NULL: none is
 * asked for). Borrowed. Without it machine certificates are refused as not supported. An error is logged, and the
 * files are read again for each machine. */
enum err attest_set_x509(struct attest *attest, const char *roots_path, const char *crl_path);
void attest_check(struct attest *attest, const struct attest_request *request, attest_done_fn *on_done, void *arg);

struct attest_token_request {
	struct span id; /* SPIFFE ID, unchecked */
	int64_t ttl_s;  /* 0: one hour */
	const struct network *networks;
	size_t num_networks;
	const uint8_t *bootstrap_hash; /* DIGEST_LEN */
};
/* line: the only place where the secret appears. id: JOIN_TOKEN_ID_LEN bytes, by which it can be revoked. */
typedef void attest_token_fn(void *arg, enum err err, struct span line, struct span id, int64_t not_after_s);
/* An error in the request is returned at once; else on_done is called later. */
enum err attest_token_create(struct attest *attest, const struct attest_token_request *request,
	attest_token_fn *on_done, void *arg, struct why *why) _must_use_;

/* Every stored token, in the order of their ids; both arguments are borrowed. */
typedef void attest_token_each_fn(void *arg, struct span id, const struct join_token *token);
void attest_token_each(const struct attest *attest, attest_token_each_fn *on_token, void *arg);
struct attest_revoked {
	bool was_used;
	struct spiffe_id id; /* the caller frees it */
};
/* ERR_NOT_FOUND at once: no such token; else on_done as store_swap() (ERR_CONFLICT: it was used meanwhile). */
enum err attest_token_revoke(struct attest *attest, struct span id, struct attest_revoked *out, store_done_fn *on_done,
	void *arg) _must_use_;
/* Revokes the unused tokens of a banned identity; returns how many. */
unsigned attest_tokens_drop(struct attest *attest, const struct spiffe_id *banned);
/* Removes expired tokens: unused ones at once, consumed ones a day later (a sidecar whose answer was lost tries the
 * same token again). At most `max`; returns how many. */
unsigned attest_tokens_prune(struct attest *attest, unsigned max);
/* For a backup: an unused token in it may have been used or revoked since the copy was made. Before store_start(). */
enum err attest_tokens_drop_unused(struct store *store, size_t *out_num, struct why *why) _must_use_;
