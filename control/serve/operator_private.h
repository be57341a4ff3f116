/* The parts of the operator's service: operator_service.c accepts calls, a file per group of commands runs them. */
#pragma once

#include "control/serve/operator_messages.h"
#include "control/serve/serve_private.h"

enum operator_command {
	OPERATOR_TOKEN_CREATE,
	OPERATOR_TOKEN_LIST,
	OPERATOR_TOKEN_REVOKE,
	OPERATOR_STATUS,
	OPERATOR_BAN,
	OPERATOR_UNBAN,
	OPERATOR_BAN_LIST,
	OPERATOR_ENTRY_CREATE,
	OPERATOR_ENTRY_LIST,
	OPERATOR_ENTRY_DELETE,
	OPERATOR_RELEASE,
	OPERATOR_REVOKE,
	OPERATOR_CA_STATUS,
	OPERATOR_CA_ROTATE,
	OPERATOR_CA_ABORT,
	OPERATOR_CA_CSR,
	OPERATOR_CA_CRL,
	OPERATOR_CA_IMPORT,
	OPERATOR_CA_RETIRE,
	OPERATOR_SETTINGS,
	OPERATOR_POLICY_SHOW,
	OPERATOR_POLICY_LIST,
	OPERATOR_FEDERATION_LIST,
	OPERATOR_FEDERATION_CHANGE,
};

struct operator_request { /* one call */
	struct serve *serve;
	enum operator_command command;
	struct rpc_call *call; /* NULL: closed */
	/* Of the command under way, until its commit. */
	struct spiffe_id id;
	char name[WORKLOAD_ENTRY_NAME_MAX + 1]; /* of an entry */
	uint32_t num_svid_holders, num_tokens;
	bool was_used, was_banned, was_revoked, was_connected;
	bool is_unknown; /* what is banned or revoked: nothing that is there is concerned */
	struct revoke_request revoke;
	int64_t until_s;
	/* operator_reach.c: from when a change is stored until it is answered. */
	struct loop_timer reaching; /* armed: waits */
	struct epoch must_reach;    /* counter 0: the trust state with the change is not stored yet */
	uint64_t reaching_since_ms;
	bool is_revocation; /* which release 0.1 confirms and ignores */
	void (*on_reached)(struct operator_request *request);
	struct reach reach;
	unsigned refs;
};
struct operator_request *operator_request_ref(struct operator_request *request);
void operator_request_unref(struct operator_request *request);
/* Answers and ends the call; on an error with why (may be NULL) instead. A closed call gets no answer. */
void operator_request_finish(
	struct operator_request *request, enum err err, const struct buf *message, const struct why *why);

/* operator_commands.c: runs the command; ERR_NONE: answered, or answered later. */
enum err operator_request_run(struct operator_request *request, struct span bytes, struct why *why) _must_use_;

/* operator_reach.c: a change of what sidecars trust is stored. Calls on_reached, which answers and drops the reference,
 * once every sidecar that is connected has it in use, after 2 s in any case; the request then has its reach. */
void operator_reach(struct operator_request *request, void (*on_reached)(struct operator_request *request));
void operator_reach_abandon(struct operator_request *request); /* the call is closed; drops the reference of a wait */

/* operator_ca.c */
enum err operator_ca_status(struct operator_request *request) _must_use_;
enum err operator_ca_rotate(struct operator_request *request, struct span bytes, struct why *why) _must_use_;
enum err operator_ca_abort(struct operator_request *request, struct span bytes, struct why *why) _must_use_;
struct ca_status;
struct waited_sidecar;
void operator_ca_add_waited(void *status, const struct waited_sidecar *sidecar);
void operator_ca_add_replica(void *status, const char *name);
void operator_ca_add_root(struct ca_status *status, struct span der, const char *role);
/* Answers with the status; for a callback of the change that was wanted. Drops the reference. */
void operator_ca_finish(struct operator_request *request, enum err err, const struct why *why);

/* operator_bootstrap.c */
void operator_bootstrap_status(const struct serve *serve, struct ca_status *out);
void operator_bootstrap_rotate(struct operator_request *request, bool is_forced);
void operator_bootstrap_abort(struct operator_request *request);
enum err operator_bootstrap_retire(struct operator_request *request, struct span bytes, struct why *why) _must_use_;

/* operator_policy.c */
enum err operator_policy_show(struct operator_request *request, struct span bytes, struct why *why) _must_use_;
enum err operator_policy_list(struct operator_request *request) _must_use_;

/* operator_ca_own.c */
enum err operator_ca_csr(struct operator_request *request, struct why *why) _must_use_;
enum err operator_ca_crl(struct operator_request *request) _must_use_;
enum err operator_ca_import(struct operator_request *request, struct span bytes, struct why *why) _must_use_;

/* operator_federation.c */
enum err operator_federation_list(struct operator_request *request) _must_use_;
enum err operator_federation_change(struct operator_request *request, struct span bytes, struct why *why) _must_use_;

/* operator_entries.c */
enum err operator_entry_create(struct operator_request *request, struct span bytes, struct why *why) _must_use_;
enum err operator_entry_list(struct operator_request *request) _must_use_;
enum err operator_entry_delete(struct operator_request *request, struct span bytes, struct why *why) _must_use_;

/* operator_revoke.c */
enum err operator_revoke(struct operator_request *request, struct span bytes, struct why *why) _must_use_;
