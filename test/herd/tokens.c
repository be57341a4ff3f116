#include "test/herd/tokens.h"
#include "base/core/loop.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "base/net/socket.h"
#include "base/pb/unpack.h"
#include "base/rpc/rpc_client.h"
#include "proto/handfast/v1/operator.pb-c.h"

enum { UNDER_WAY = 64, TTL_S = 3600 };

struct making {
	struct loop *loop;
	struct rpc_client *client;
	const char *folder;
	unsigned num, num_asked, num_done;
	enum err err;
	struct why *detail;
	char *(*id_of)(void *arg, unsigned number);
	void *arg;
	struct loop_task more; /* calls begin outside the callbacks of other calls */
};

struct order {
	struct making *making;
	unsigned number;
};

static void fail_all(struct making *making, enum err err, const char *text)
{
	making->err = why_set(
		making->detail, err, "a join token", "see the control plane's log", "no join token was made: %s", text);
	loop_stop(making->loop);
}

static enum err keep(const struct order *order, struct span message, struct why *why)
{
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	_cleanup_(mem_freep) char *path = mem_printf("%s/%u", order->making->folder, order->number);
	_cleanup_(buf_wipe) struct buf line = BUF_INIT(4096);
	ProtobufCMessage *unpacked;
	RETURN_IF_ERR(pb_unpack(&handfast__v1__token_create_response__descriptor, message, &arena, &unpacked, why));
	RETURN_IF_ERR(buf_append(&line, pb_span(((Handfast__V1__TokenCreateResponse *)unpacked)->token)));
	RETURN_IF_ERR(buf_append_str(&line, "\n"));
	return fd_write_file(path, buf_span(&line), 0600, why);
}

static void on_message(void *arg, _unused_ struct rpc_call *call, struct span message)
{
	const struct order *order = arg;
	struct why why = {0};
	enum err err = keep(order, message, &why);
	if (err != ERR_NONE)
		fail_all(order->making, err, why.got);
}

static void ask_for_more(struct loop_task *task);

static void on_done(void *arg, _unused_ struct rpc_call *call, enum rpc_status status, const char *message,
	_unused_ uint32_t retry_after_ms)
{
	struct making *making = ((struct order *)arg)->making;
	mem_free(arg);
	if (status != RPC_OK)
		fail_all(making, ERR_REFUSED, message);
	else if (++making->num_done == making->num)
		loop_stop(making->loop);
	else
		loop_task_post(making->loop, &making->more, ask_for_more);
}

static enum err ask_one(struct making *making)
{
	static const struct rpc_call_handlers handlers = {on_message, on_done};
	Handfast__V1__TokenCreateRequest request = HANDFAST__V1__TOKEN_CREATE_REQUEST__INIT;
	_cleanup_(buf_done) struct buf message = BUF_INIT(4096);
	_cleanup_(mem_freep) char *id = making->id_of(making->arg, making->num_asked);
	struct order *order = mem_new(struct order);
	struct rpc_call *call;
	*order = (struct order){making, making->num_asked++};
	request.id = pb_bytes(span_of_str(id));
	request.ttl_seconds = TTL_S;
	enum err err = pb_pack(&request.base, &message);
	if (err == ERR_NONE)
		err = rpc_client_call(making->client, "/handfast.v1.Operator/TokenCreate", 0, &handlers, order, &call);
	if (err != ERR_NONE) {
		mem_free(order);
		return err;
	}
	RETURN_IF_ERR(rpc_call_send(call, buf_span(&message)));
	rpc_call_close_send(call);
	return ERR_NONE;
}

static void ask_for_more(struct loop_task *task)
{
	struct making *making = container_of(task, struct making, more);
	enum err err = ERR_NONE;
	while (err == ERR_NONE && making->num_asked < making->num && making->num_asked - making->num_done < UNDER_WAY)
		err = ask_one(making);
	if (err != ERR_NONE)
		fail_all(making, err, err_text(err));
}

static void on_ready(void *arg, struct rpc_client *client)
{
	struct making *making = arg;
	making->client = client;
	loop_task_post(making->loop, &making->more, ask_for_more);
}

static void on_close(void *arg, _unused_ struct rpc_client *client, const struct why *why)
{
	fail_all(arg, ERR_UNAVAILABLE, why->got);
}

enum err tokens_make(const char *operator_socket, const char *folder, unsigned num,
	char *(*id_of)(void *arg, unsigned number), void *arg, struct why *why)
{
	int fd;
	RETURN_IF_ERR(socket_connect_unix(operator_socket, &fd, why));
	_cleanup_(loop_freep) struct loop *loop = loop_new(&clock_system);
	struct making making = {.loop = loop, .folder = folder, .num = num, .detail = why, .id_of = id_of, .arg = arg};
	struct rpc_client *client = rpc_client_new(&(struct rpc_client_options){.loop = loop,
		.transport = transport_new_plain(fd),
		.authority = "control",
		.on_ready = on_ready,
		.on_close = on_close,
		.arg = &making});
	loop_run(loop);
	loop_task_cancel(&making.more);
	rpc_client_free(client);
	return making.err;
}
