/* The network process's interface to the signer: requests certificates and gets the answers on the loop. It never has a
 * key, so an HSM, Vault or another authority can implement the same calls. */
#pragma once

#include "base/core/loop.h"
#include "certs/digest.h"
#include "certs/spiffe_id.h"
#include "control/issue/authority.h"

#define ISSUER_CHAIN_MAX 4

struct issuer;

struct issued { /* borrowed during the callback; DER */
	struct span chain[ISSUER_CHAIN_MAX];
	size_t num_chain;
	struct span sealed; /* issuer_prepare_root(), issuer_sign_jwt(), issuer_request_intermediate(), _sign_list() */
};
/* ERR_NONE with certificates, else NULL and the reason: ERR_DENIED, ERR_MALFORMED, ERR_WEAK_KEY, ERR_CONFLICT (another
 * control plane is the issuer), ERR_STATE_DAMAGED, ERR_EXPIRED, ERR_LIMIT (too many under way), ERR_UNAVAILABLE (the
 * signer has ended). */
typedef void issuer_done_fn(void *arg, enum err err, const struct issued *issued, const struct why *why);

struct issuer_options {
	struct loop *loop;
	const char *program; /* NULL: this program */
	const char *key_folder;
	const struct trust_domain *trust_domain;
	int64_t max_leaf_ttl_s, intermediate_life_s, root_life_s;
	enum key_policy policy;
	struct {
		const char *certificate, *key, *root; /* files of an authority of the operator's; NULL: none */
		int token_fd; /* a socket to handfast-pkcs11 (control/pkcs11), which has the key; 0: none. Borrowed */
	} own;
	/* The signer has ended, so nothing can be issued any more. ERR_STATE_DAMAGED: it refused its key folder. */
	void (*on_lost)(void *arg, enum err err);
	void *arg;
};

/* Starts the child. Call while the process has one thread and before confine_network(). */
enum err issuer_start(const struct issuer_options *options, struct issuer **out, struct why *why) _must_use_;
void issuer_free(struct issuer *issuer); /* the child ends; requests under way end without a call */
DEFINE_CLEANUP(struct issuer *, issuer_free)

/* First: checks that the keys belong to this store, and that it is not an older copy. Writes nothing. Answers with
 * bootstrap root, root, intermediate. ERR_STATE_DAMAGED: it is another store or an older copy. */
void issuer_judge(struct issuer *issuer, const struct store_mark *mark, issuer_done_fn *on_done, void *arg);
/* Then, once the epoch is stored, which is greater than any before. Answers with bootstrap root, root, intermediate. */
void issuer_introduce(struct issuer *issuer, const struct store_mark *mark, issuer_done_fn *on_done, void *arg);
/* Records the revision of the store; a failure is logged. An older copy is refused from then on. */
void issuer_note(struct issuer *issuer, uint64_t revision);
/* A workload's SVID: leaf, intermediate, the authorities between it and the root. The request is valid until on_done is
 * called; on_done is never called from within this call. */
struct issuer_request;
struct issuer_request *issuer_issue(struct issuer *issuer, const struct spiffe_id *id, struct span spki, int64_t ttl_s,
	issuer_done_fn *on_done, void *arg);
/* The authorities in use. Answers with bootstrap root, root, intermediate. */
struct issuer_request *issuer_poll(struct issuer *issuer, issuer_done_fn *on_done, void *arg);
/* The caller is closed: on_done is not called, and a request that was not sent to the signer is dropped. */
void issuer_abandon(struct issuer_request *request);
/* The control plane's own server certificate: leaf, bootstrap root; or, while a former bootstrap root is accepted,
 * leaf, cross-signed bootstrap root, bootstrap root, former one. */
void issuer_issue_control(struct issuer *issuer, struct span spki, int64_t ttl_s, issuer_done_fn *on_done, void *arg);
/* The bundle endpoint's own SVID (authority.h), as issuer_issue(). */
struct issuer_request *issuer_issue_federation(
	struct issuer *issuer, struct span spki, int64_t ttl_s, issuer_done_fn *on_done, void *arg);

/* Another intermediate, because the present one is revoked. Answers with bootstrap root, root, intermediate. */
struct issuer_request *issuer_renew_intermediate(struct issuer *issuer, issuer_done_fn *on_done, void *arg);

/* A revocation list of the authority with that certificate; entries: revocation_list.h. Answers with the list (DER), in
 * `sealed`. ERR_NOT_FOUND: its key is not this signer's. */
struct issuer_request *issuer_sign_list(
	struct issuer *issuer, const struct list_request *list, issuer_done_fn *on_done, void *arg);

/* --- JWT-SVIDs (authority.h) --- */

/* Answers with the public keys (SubjectPublicKeyInfo, DER) of the present and of the next signing key, in `chain`. */
struct issuer_request *issuer_jwt_keys(struct issuer *issuer, issuer_done_fn *on_done, void *arg);
/* `audience`: one per line. Answers with the token, in `sealed`. */
struct issuer_request *issuer_sign_jwt(
	struct issuer *issuer, const struct spiffe_id *id, struct span audience, issuer_done_fn *on_done, void *arg);

/* --- the bootstrap root gets a successor (authority.h) --- */

/* Answers with a successor, the same signed by the bootstrap root in use, and its sealed key. */
struct issuer_request *issuer_prepare_bootstrap(struct issuer *issuer, issuer_done_fn *on_done, void *arg);
/* It signs from now on. Answers with it, root, intermediate. */
struct issuer_request *issuer_use_bootstrap(
	struct issuer *issuer, const struct bootstrap_request *use, issuer_done_fn *on_done, void *arg);

/* --- the mesh's root is replaced; each step may be repeated (authority.h) --- */

/* Answers with the next root, and its key sealed for the other signers. */
struct issuer_request *issuer_prepare_root(struct issuer *issuer, issuer_done_fn *on_done, void *arg);
/* A root that another signer has prepared; as stored. */
struct issuer_request *issuer_adopt_root(
	struct issuer *issuer, struct span certificate, struct span sealed, issuer_done_fn *on_done, void *arg);
/* Answers with bootstrap root, root, intermediate. ERR_NOT_FOUND: it was not prepared or adopted. */
struct issuer_request *issuer_activate_root(
	struct issuer *issuer, const uint8_t sha256[DIGEST_LEN], issuer_done_fn *on_done, void *arg);
/* The key of a next or former root is removed. */
struct issuer_request *issuer_forget_root(
	struct issuer *issuer, const uint8_t sha256[DIGEST_LEN], issuer_done_fn *on_done, void *arg);

/* --- an authority of the operator's (authority.h) --- */

/* Answers with the request, DER, in `sealed`. */
struct issuer_request *issuer_request_intermediate(struct issuer *issuer, issuer_done_fn *on_done, void *arg);
/* pem: at most IMPORT_MAX bytes; empty: from the files. root_sha256: empty, or the one root that it may be besides the
 * one in use. Answers with root, intermediate. */
struct issuer_request *issuer_import(
	struct issuer *issuer, struct span pem, struct span root_sha256, issuer_done_fn *on_done, void *arg);
