/* The network process's interface to the signer: requests certificates and gets the answers on the loop. It never has a
 * key, so an HSM, Vault or another authority can implement the same calls. */
#pragma once

#include "base/core/loop.h"
#include "certs/spiffe_id.h"
#include "control/issue/authority.h"

#define ISSUER_CHAIN_MAX 4

struct issuer;

struct issued { /* borrowed during the callback; DER */
	struct span chain[ISSUER_CHAIN_MAX];
	size_t num_chain;
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
/* A workload's SVID: leaf, intermediate. The request is valid until on_done is called; on_done is never called from
 * within this call. */
struct issuer_request;
struct issuer_request *issuer_issue(struct issuer *issuer, const struct spiffe_id *id, struct span spki, int64_t ttl_s,
	issuer_done_fn *on_done, void *arg);
/* The authorities in use. Answers with bootstrap root, root, intermediate. */
struct issuer_request *issuer_poll(struct issuer *issuer, issuer_done_fn *on_done, void *arg);
/* The caller is closed: on_done is not called, and a request that was not sent to the signer is dropped. */
void issuer_abandon(struct issuer_request *request);
/* The control plane's own server certificate: leaf, bootstrap root. */
void issuer_issue_control(struct issuer *issuer, struct span spki, int64_t ttl_s, issuer_done_fn *on_done, void *arg);
