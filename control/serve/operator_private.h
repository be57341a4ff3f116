/* The parts of the operator's service: operator_service.c takes calls, operator_orders.c does what they ask. */
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
};

struct order { /* one call */
	struct serve *serve;
	enum operator_command command;
	struct rpc_call *call; /* NULL: over */
	/* Of the one that is under way, until its commit. */
	struct spiffe_id id;
	uint32_t num_holders, num_tokens;
	bool was_used;
	unsigned refs;
};
struct order *order_ref(struct order *order);
void order_unref(struct order *order);
/* Answers and ends the call; err: with why (may be NULL) instead. A call that is over gets nothing. */
void order_finish(struct order *order, enum err err, const struct buf *message, const struct why *why);

/* operator_orders.c: does it; ERR_NONE: answered, or will be. */
enum err order_run(struct order *order, struct span bytes, struct why *why) _must_use_;
