/* The network process's side of the signer: asks for certificates and hears back on the loop. No key is ever here, so
 * an HSM, Vault or another authority can stand behind the same calls. */
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
/* ERR_NONE with certificates, else NULL and why: ERR_DENIED, ERR_MALFORMED, ERR_WEAK_KEY, ERR_CONFLICT (another
 * control plane is the issuer), ERR_STATE_DAMAGED, ERR_EXPIRED, ERR_LIMIT (too many under way), ERR_UNAVAILABLE (the
 * signer is gone). */
typedef void issuer_done_fn(void *arg, enum err err, const struct issued *issued, const struct why *why);

struct issuer_options {
	struct loop *loop;
	const char *program; /* NULL: this very program */
	const char *key_folder;
	const struct trust_domain *trust_domain;
	int64_t max_leaf_ttl_s, intermediate_life_s, root_life_s;
	enum key_policy policy;
	/* The signer ended, so nothing can be issued any more. ERR_STATE_DAMAGED: it refused its key folder. */
	void (*on_lost)(void *arg, enum err err);
	void *arg;
};

/* Starts the child. Call while the process has one thread and before confine_network(). */
enum err issuer_start(const struct issuer_options *options, struct issuer **out, struct why *why) _must_use_;
void issuer_free(struct issuer *issuer); /* the child ends; requests under way end without a call */
DEFINE_CLEANUP(struct issuer *, issuer_free)

/* First: is this store the one that the keys belong to, and as far as it had come? Nothing is written anywhere. Answers
 * with bootstrap root, root, intermediate. ERR_STATE_DAMAGED: it is another one or an older copy. */
void issuer_judge(struct issuer *issuer, const struct store_mark *mark, issuer_done_fn *on_done, void *arg);
/* Then, once the epoch is stored: it is greater than any before. Answers with bootstrap root, root, intermediate. */
void issuer_introduce(struct issuer *issuer, const struct store_mark *mark, issuer_done_fn *on_done, void *arg);
/* The store has come to this revision; a failure is logged. An older copy is refused from then on. */
void issuer_note(struct issuer *issuer, uint64_t revision);
/* A workload's SVID: leaf, intermediate. The request is valid until on_done is called; on_done is never called from
 * within this call. */
struct issuer_request;
struct issuer_request *issuer_issue(struct issuer *issuer, const struct spiffe_id *id, struct span spki, int64_t ttl_s,
	issuer_done_fn *on_done, void *arg);
/* Which authorities does it use now? Answers with bootstrap root, root, intermediate. */
struct issuer_request *issuer_poll(struct issuer *issuer, issuer_done_fn *on_done, void *arg);
/* The caller has gone: on_done is not called, and what is not at the signer yet never gets there. */
void issuer_abandon(struct issuer_request *request);
/* The control plane's own server certificate: leaf, bootstrap root. */
void issuer_issue_control(struct issuer *issuer, struct span spki, int64_t ttl_s, issuer_done_fn *on_done, void *arg);
