/* The parts of the operator's service: operator_service.c accepts calls, operator_commands.c runs the commands. */
#pragma once

#include "control/serve/serve_private.h"

enum operator_command {
	OPERATOR_TOKEN_CREATE,
	OPERATOR_TOKEN_LIST,
	OPERATOR_TOKEN_REVOKE,
	OPERATOR_STATUS,
	OPERATOR_BAN,
	OPERATOR_UNBAN,
	OPERATOR_BAN_LIST,
	OPERATOR_RELEASE,
	OPERATOR_SETTINGS,
};

struct operator_request { /* one call */
	struct serve *serve;
	enum operator_command command;
	struct rpc_call *call; /* NULL: closed */
	/* Of the command under way, until its commit. */
	struct spiffe_id id;
	uint32_t num_svid_holders, num_tokens;
	bool was_used;
	unsigned refs;
};
struct operator_request *operator_request_ref(struct operator_request *request);
void operator_request_unref(struct operator_request *request);
/* Answers and ends the call; on an error with why (may be NULL) instead. A closed call gets no answer. */
void operator_request_finish(
	struct operator_request *request, enum err err, const struct buf *message, const struct why *why);

/* operator_commands.c: runs the command; ERR_NONE: answered, or answered later. */
enum err operator_request_run(struct operator_request *request, struct span bytes, struct why *why) _must_use_;
