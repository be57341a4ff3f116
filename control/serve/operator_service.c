/* The Operator service: commands over the Unix socket, for root and the control plane's own user; and over the
 * operator's port, which has asked for the user of a connection itself. */
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "control/serve/operator_private.h"
#include <unistd.h>

#define REQUEST_MAX 32768

struct operator_request *operator_request_ref(struct operator_request *request)
{
	CHECK(request->refs > 0);
	request->refs++;
	return request;
}

void operator_request_unref(struct operator_request *request)
{
	CHECK(request->refs > 0);
	if (--request->refs != 0)
		return;
	CHECK(request->call == NULL); /* the call has a reference of its own */
	spiffe_id_done(&request->id);
	mem_free(request);
}

static enum rpc_status authorize(void *arg, const struct rpc_peer *peer, const char **out_message)
{
	struct peer_process process = {.uid = UINT32_MAX};
	const struct serve *serve = arg;
	if (rpc_peer_addr(peer)->ip.family != 0)
		return RPC_OK; /* not of a Unix socket: operator_port.c has accepted it */
	if (rpc_peer_process(peer, &process) == ERR_NONE && (process.uid == 0 || process.uid == geteuid()))
		return RPC_OK;
	*out_message =
		"the control plane accepts no commands from this user; expected: root or the control plane's own user;"
		" fix: run the command as one of them";
	if (limited_log_allows_identity(serve->lines, "the operators' socket", "operator refused"))
		log_warning("audit",
			"operator refused: uid %u is not root and not the control plane's user; expected: a command of "
			"one of them; fix: run the command as one of them",
			process.uid);
	return RPC_PERMISSION_DENIED;
}

static void start(struct serve *serve, struct rpc_call *call, enum operator_command command)
{
	struct operator_request *request = mem_new(struct operator_request);
	*request = (struct operator_request){.serve = serve, .command = command, .call = call, .refs = 1};
	rpc_call_set_arg(call, request);
}

void operator_request_finish(
	struct operator_request *request, enum err err, const struct buf *message, const struct why *why)
{
	char text[700] = "";
	struct rpc_call *call = request->call;
	if (call == NULL)
		return;
	request->call = NULL;
	if (err == ERR_NONE)
		err = rpc_call_send(call, buf_span(message));
	if (err != ERR_NONE && why != NULL)
		why_format(why, text, sizeof text);
	/* The caller was authorized before: this refuses the command, not the operator. */
	enum rpc_status status = serve_status(err);
	bool is_refused = status == RPC_PERMISSION_DENIED || err == ERR_EXISTS || err == ERR_NOT_FOUND;
	rpc_call_finish(call, is_refused ? RPC_FAILED_PRECONDITION : status,
		err == ERR_NONE ? NULL
		: text[0] != 0  ? text
				: err_text(err),
		0);
}

static void on_message(void *arg, struct rpc_call *call, struct span message)
{
	struct operator_request *request = arg;
	struct why why = {0};
	(void)call;
	if (request->call == NULL || request->refs > 1) /* one message per call */
		return;
	request->refs++;
	enum err err = operator_request_run(request, message, &why);
	if (err != ERR_NONE)
		operator_request_finish(request, err, NULL, &why);
	operator_request_unref(request);
}

static void on_done(void *arg, struct rpc_call *call)
{
	struct operator_request *request = arg;
	(void)call;
	request->call = NULL;
	operator_reach_abandon(request);
	operator_request_unref(request);
}

static void start_token_create(void *serve, struct rpc_call *call, _unused_ struct rpc_peer *peer)
{
	start(serve, call, OPERATOR_TOKEN_CREATE);
}

static void start_token_list(void *serve, struct rpc_call *call, _unused_ struct rpc_peer *peer)
{
	start(serve, call, OPERATOR_TOKEN_LIST);
}

static void start_token_revoke(void *serve, struct rpc_call *call, _unused_ struct rpc_peer *peer)
{
	start(serve, call, OPERATOR_TOKEN_REVOKE);
}

static void start_status(void *serve, struct rpc_call *call, _unused_ struct rpc_peer *peer)
{
	start(serve, call, OPERATOR_STATUS);
}

static void start_ban(void *serve, struct rpc_call *call, _unused_ struct rpc_peer *peer)
{
	start(serve, call, OPERATOR_BAN);
}

static void start_unban(void *serve, struct rpc_call *call, _unused_ struct rpc_peer *peer)
{
	start(serve, call, OPERATOR_UNBAN);
}

static void start_ban_list(void *serve, struct rpc_call *call, _unused_ struct rpc_peer *peer)
{
	start(serve, call, OPERATOR_BAN_LIST);
}

static void start_entry_create(void *serve, struct rpc_call *call, _unused_ struct rpc_peer *peer)
{
	start(serve, call, OPERATOR_ENTRY_CREATE);
}

static void start_entry_list(void *serve, struct rpc_call *call, _unused_ struct rpc_peer *peer)
{
	start(serve, call, OPERATOR_ENTRY_LIST);
}

static void start_entry_delete(void *serve, struct rpc_call *call, _unused_ struct rpc_peer *peer)
{
	start(serve, call, OPERATOR_ENTRY_DELETE);
}

static void start_release(void *serve, struct rpc_call *call, _unused_ struct rpc_peer *peer)
{
	start(serve, call, OPERATOR_RELEASE);
}

static void start_revoke(void *serve, struct rpc_call *call, _unused_ struct rpc_peer *peer)
{
	start(serve, call, OPERATOR_REVOKE);
}

static void start_ca_status(void *serve, struct rpc_call *call, _unused_ struct rpc_peer *peer)
{
	start(serve, call, OPERATOR_CA_STATUS);
}

static void start_ca_rotate(void *serve, struct rpc_call *call, _unused_ struct rpc_peer *peer)
{
	start(serve, call, OPERATOR_CA_ROTATE);
}

static void start_ca_abort(void *serve, struct rpc_call *call, _unused_ struct rpc_peer *peer)
{
	start(serve, call, OPERATOR_CA_ABORT);
}

static void start_ca_csr(void *serve, struct rpc_call *call, _unused_ struct rpc_peer *peer)
{
	start(serve, call, OPERATOR_CA_CSR);
}

static void start_ca_crl(void *serve, struct rpc_call *call, _unused_ struct rpc_peer *peer)
{
	start(serve, call, OPERATOR_CA_CRL);
}

static void start_ca_import(void *serve, struct rpc_call *call, _unused_ struct rpc_peer *peer)
{
	start(serve, call, OPERATOR_CA_IMPORT);
}

static void start_ca_retire(void *serve, struct rpc_call *call, _unused_ struct rpc_peer *peer)
{
	start(serve, call, OPERATOR_CA_RETIRE);
}

static void start_settings(void *serve, struct rpc_call *call, _unused_ struct rpc_peer *peer)
{
	start(serve, call, OPERATOR_SETTINGS);
}

static void start_policy_show(void *serve, struct rpc_call *call, _unused_ struct rpc_peer *peer)
{
	start(serve, call, OPERATOR_POLICY_SHOW);
}

static void start_policy_list(void *serve, struct rpc_call *call, _unused_ struct rpc_peer *peer)
{
	start(serve, call, OPERATOR_POLICY_LIST);
}

static void start_federation_list(void *serve, struct rpc_call *call, _unused_ struct rpc_peer *peer)
{
	start(serve, call, OPERATOR_FEDERATION_LIST);
}

static void start_federation_change(void *serve, struct rpc_call *call, _unused_ struct rpc_peer *peer)
{
	start(serve, call, OPERATOR_FEDERATION_CHANGE);
}

#define METHOD(name, on_start_fn)                                                                                      \
	{                                                                                                              \
		.path = "/handfast.v1.Operator/" name, .is_unary = true, .message_max = REQUEST_MAX,                   \
		.deadline_ms = 10000, .on_authorize = authorize, .on_start = (on_start_fn), .on_message = on_message,  \
		.on_done = on_done                                                                                     \
	}
const struct rpc_method operator_methods[] = {
	METHOD("TokenCreate", start_token_create),
	METHOD("TokenList", start_token_list),
	METHOD("TokenRevoke", start_token_revoke),
	METHOD("Status", start_status),
	METHOD("Ban", start_ban),
	METHOD("Unban", start_unban),
	METHOD("BanList", start_ban_list),
	METHOD("EntryCreate", start_entry_create),
	METHOD("EntryList", start_entry_list),
	METHOD("EntryDelete", start_entry_delete),
	METHOD("Release", start_release),
	METHOD("Revoke", start_revoke),
	METHOD("CaStatus", start_ca_status),
	METHOD("CaRotate", start_ca_rotate),
	METHOD("CaAbort", start_ca_abort),
	METHOD("CaCsr", start_ca_csr),
	METHOD("CaCrl", start_ca_crl),
	METHOD("CaImport", start_ca_import),
	METHOD("CaRetire", start_ca_retire),
	METHOD("Settings", start_settings),
	METHOD("PolicyShow", start_policy_show),
	METHOD("PolicyList", start_policy_list),
	METHOD("FederationList", start_federation_list),
	METHOD("FederationChange", start_federation_change),
};
const size_t operator_num_methods = sizeof operator_methods / sizeof operator_methods[0];
