/* Operator: the commands, over the Unix socket, for root and ourselves. */
#include "base/core/log.h"
#include "base/core/mem.h"
#include "control/serve/operator_messages.h"
#include "control/serve/operator_status.h"
#include "control/serve/serve_private.h"
#include <unistd.h>

#define REQUEST_MAX  16384
#define RESPONSE_MAX (16u * 1024 * 1024)

enum command { COMMAND_TOKEN_CREATE, COMMAND_STATUS, COMMAND_BAN, COMMAND_RELEASE };

struct order { /* one call */
	struct serve *serve;
	enum command command;
	struct rpc_call *call; /* NULL: over */
	uint32_t num_holders;  /* ban */
	struct spiffe_id id;   /* ban */
	unsigned refs;
};

static void order_unref(struct order *order)
{
	if (--order->refs != 0)
		return;
	spiffe_id_done(&order->id);
	mem_free(order);
}

static enum rpc_status authorize(void *arg, const struct rpc_peer *peer, const char **out_message)
{
	struct peer_process process;
	(void)arg;
	if (rpc_peer_process(peer, &process) == ERR_NONE && (process.uid == 0 || process.uid == geteuid()))
		return RPC_OK;
	*out_message = "only root and the control plane's own user may do this";
	log_warning("audit", "operator refused: not root and not our own user");
	return RPC_PERMISSION_DENIED;
}

static void start(struct serve *serve, struct rpc_call *call, enum command command)
{
	struct order *order = mem_new(struct order);
	*order = (struct order){.serve = serve, .command = command, .call = call, .refs = 1};
	rpc_call_set_arg(call, order);
}

static void finish(struct order *order, enum err err, const struct buf *message, const struct why *why)
{
	char text[700] = "";
	struct rpc_call *call = order->call;
	if (call == NULL)
		return;
	order->call = NULL;
	if (err == ERR_NONE)
		err = rpc_call_send(call, buf_span(message));
	if (err != ERR_NONE && why != NULL)
		why_format(why, text, sizeof text);
	rpc_call_finish(call, serve_status(err), err == ERR_NONE ? NULL : text[0] != 0 ? text : err_text(err), 0);
}

static void on_token(void *arg, enum err err, struct span line, int64_t not_after_s)
{
	struct order *order = arg;
	_cleanup_(buf_wipe) struct buf message = BUF_INIT(4096);
	if (err == ERR_NONE) {
		err = token_answer_encode(line, not_after_s * 1000, &message);
		serve_count(order->serve, CONTROL_TOKENS);
	}
	finish(order, err, &message, NULL);
	order_unref(order);
}

static enum err create_token(struct order *order, struct span bytes, struct why *why)
{
	struct token_order wanted;
	struct span root = server_identity_root(order->serve->options.identity);
	uint8_t root_hash[DIGEST_LEN];
	RETURN_IF_ERR(token_order_parse(bytes, &wanted, why));
	digest_sha256(root, root_hash);
	struct attest_token_order token = {
		span_of(wanted.id, wanted.id_len), wanted.ttl_s, wanted.networks, wanted.num_networks, root_hash};
	order->refs++;
	enum err err = attest_token_create(order->serve->options.attest, &token, on_token, order, why);
	if (err != ERR_NONE)
		order->refs--;
	else
		log_notice("audit", "join token made for %s", wanted.id);
	return err;
}

static void count_holder(void *arg, const struct holder *holder)
{
	struct order *order = arg;
	order->num_holders += spiffe_id_eq(&holder->id, &order->id);
}

static void on_banned(void *arg, enum err err, uint64_t version)
{
	struct order *order = arg;
	_cleanup_(buf_done) struct buf message = BUF_INIT(64);
	(void)version;
	if (err == ERR_CONFLICT) /* banned already */
		err = ERR_NONE;
	if (err == ERR_NONE)
		err = ban_answer_encode(order->num_holders, &message);
	finish(order, err, &message, NULL);
	order_unref(order);
}

static enum err ban(struct order *order, struct span bytes, struct why *why)
{
	RETURN_IF_ERR(ban_order_parse(bytes, &order->id, why));
	holders_list(order->serve->options.store, count_holder, order);
	log_notice("audit", "banned: %s", order->id.text);
	order->refs++;
	holders_ban(order->serve->options.store, &order->id, on_banned, order);
	return ERR_NONE;
}

static enum err release(struct order *order, struct span bytes, struct why *why)
{
	_cleanup_(buf_done) struct buf message = BUF_INIT(64);
	struct ip_addr ip;
	char text[ADDR_TEXT_MAX];
	RETURN_IF_ERR(release_order_parse(bytes, &ip, why));
	bool was_held = registry_release(order->serve->options.registry, NULL, &ip);
	log_notice("audit", "released by an operator: %s", ip_addr_format(&ip, text));
	RETURN_IF_ERR(release_answer_encode(was_held, &message));
	finish(order, ERR_NONE, &message, NULL);
	return ERR_NONE;
}

static enum err status(struct order *order)
{
	_cleanup_(buf_done) struct buf message = BUF_INIT(RESPONSE_MAX);
	RETURN_IF_ERR(operator_status(order->serve, &message));
	finish(order, ERR_NONE, &message, NULL);
	return ERR_NONE;
}

static enum err run(struct order *order, struct span bytes, struct why *why)
{
	switch (order->command) {
	case COMMAND_TOKEN_CREATE:
		return create_token(order, bytes, why);
	case COMMAND_STATUS:
		return status(order);
	case COMMAND_BAN:
		return ban(order, bytes, why);
	case COMMAND_RELEASE:
		return release(order, bytes, why);
	}
	return ERR_UNSUPPORTED;
}

static void on_message(void *arg, struct rpc_call *call, struct span message)
{
	struct order *order = arg;
	struct why why = {0};
	(void)call;
	if (order->call == NULL || order->refs > 1) /* one message a call */
		return;
	order->refs++;
	enum err err = run(order, message, &why);
	if (err != ERR_NONE)
		finish(order, err, NULL, &why);
	order_unref(order);
}

static void on_done(void *arg, struct rpc_call *call)
{
	struct order *order = arg;
	(void)call;
	order->call = NULL;
	order_unref(order);
}

static void start_token_create(void *serve, struct rpc_call *call, _unused_ struct rpc_peer *peer)
{
	start(serve, call, COMMAND_TOKEN_CREATE);
}

static void start_status(void *serve, struct rpc_call *call, _unused_ struct rpc_peer *peer)
{
	start(serve, call, COMMAND_STATUS);
}

static void start_ban(void *serve, struct rpc_call *call, _unused_ struct rpc_peer *peer)
{
	start(serve, call, COMMAND_BAN);
}

static void start_release(void *serve, struct rpc_call *call, _unused_ struct rpc_peer *peer)
{
	start(serve, call, COMMAND_RELEASE);
}

#define METHOD(name, on_start_fn)                                                                                      \
	{                                                                                                              \
		.path = "/handfast.v1.Operator/" name, .is_unary = true, .message_max = REQUEST_MAX,                   \
		.deadline_ms = 10000, .on_authorize = authorize, .on_start = (on_start_fn), .on_message = on_message,  \
		.on_done = on_done                                                                                     \
	}
const struct rpc_method operator_methods[] = {
	METHOD("TokenCreate", start_token_create),
	METHOD("Status", start_status),
	METHOD("Ban", start_ban),
	METHOD("Release", start_release),
};
const size_t operator_num_methods = sizeof operator_methods / sizeof operator_methods[0];
