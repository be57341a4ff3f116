#include "control/store/etcd/etcd_login.h"
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/net/fd.h"
#include "control/store/etcd/etcd_refusal.h"
#include "control/store/etcd/etcd_wire.h"

/* A line end belongs to the file, not to the password. */
static enum err read_password(const struct etcd_login *login, struct buf *text, struct span *out, struct why *why)
{
	if (fd_read_private_file(login->password_file, ETCD_PASSWORD_MAX, text, why) != ERR_NONE)
		return why->err = ERR_DENIED; /* an operator has to act */
	struct span password = buf_span(text);
	if (password.len > 0 && password.ptr[password.len - 1] == '\n')
		password.len--;
	if (password.len > 0 && password.ptr[password.len - 1] == '\r')
		password.len--;
	if (password.len == 0 || memchr(password.ptr, '\n', password.len) != NULL)
		return why_set(why, ERR_DENIED, "a password on one line", "write etcd's password into it",
			"the file of store.etcd.password_file has no password: %.160s", login->password_file);
	*out = password;
	return ERR_NONE;
}

static void finish(struct etcd_login *login, enum err err, const struct why *why)
{
	struct why copy = *why;
	login->client = NULL;
	login->on_done(login->arg, err, &copy);
}

static void on_fail(struct loop_task *task)
{
	struct etcd_login *login = container_of(task, struct etcd_login, fail);
	finish(login, login->detail.err, &login->detail);
}

static void on_message(void *arg, struct rpc_call *call, struct span message)
{
	struct etcd_login *login = arg;
	(void)call;
	buf_wipe(&login->token);
	if (etcd_login_parse(message, &login->token, &login->detail) == ERR_LIMIT)
		(void)why_set(&login->detail, ERR_LIMIT, "a token of at most 4 KB", "check etcd's --auth-token",
			"etcd's token is too long");
}

static void go_on_without(struct etcd_login *login)
{
	if (!login->is_off)
		log_warning("store", "etcd's authentication is off: store.etcd.user is not used; to enable it: "
				     "`etcdctl auth enable`");
	login->is_off = true;
	finish(login, ERR_NONE, &(struct why){0});
}

static void on_call_done(
	void *arg, struct rpc_call *call, enum rpc_status status, const char *message, uint32_t retry_after_ms)
{
	struct etcd_login *login = arg;
	struct why why = login->detail;
	(void)call;
	(void)retry_after_ms;
	login->call = NULL;
	if (etcd_refusal_of(status, message) == ETCD_REFUSAL_NOT_ON) {
		go_on_without(login);
		return;
	}
	if (status == RPC_OK && etcd_login_has_token(login)) {
		login->is_off = false;
		rpc_client_set_metadata(login->client, "token", buf_cstr(&login->token));
		finish(login, ERR_NONE, &why);
		return;
	}
	if (why.err == ERR_NONE) {
		const struct etcd_who who = {login->user, "", login->password_file};
		etcd_refusal_why(status, message, &who, &why);
	}
	finish(login, why.err, &why);
}

static enum err send_login(struct etcd_login *login, uint32_t deadline_ms, struct why *why)
{
	static const struct rpc_call_handlers handlers = {on_message, on_call_done};
	_cleanup_(buf_wipe) struct buf text = BUF_INIT(ETCD_PASSWORD_MAX),
				       request = BUF_INIT(2 * ETCD_PASSWORD_MAX + 64);
	struct span password = {0};
	RETURN_IF_ERR(read_password(login, &text, &password, why));
	enum err err = etcd_login_encode(span_of_str(login->user), password, &request);
	if (err == ERR_NONE)
		err = rpc_client_call(
			login->client, "/etcdserverpb.Auth/Authenticate", deadline_ms, &handlers, login, &login->call);
	if (err == ERR_NONE) {
		err = rpc_call_send(login->call, buf_span(&request));
		rpc_call_close_send(login->call);
	}
	return err == ERR_NONE ? ERR_NONE
			       : why_set(why, err, "a request to etcd", "read what else is logged about etcd",
					 "no login could be sent to etcd");
}

void etcd_login_start(struct etcd_login *login, struct rpc_client *client, uint32_t deadline_ms)
{
	CHECK(login->user != NULL && login->password_file != NULL && login->client == NULL && login->call == NULL);
	login->client = client;
	login->detail = (struct why){0};
	rpc_client_set_metadata(client, NULL, NULL); /* it has borrowed the token of its last login */
	buf_wipe(&login->token);
	if (send_login(login, deadline_ms, &login->detail) == ERR_NONE)
		return;
	if (login->call != NULL)
		rpc_call_cancel(TAKE_PTR(login->call));
	loop_task_post(login->loop, &login->fail, on_fail);
}

void etcd_login_stop(struct etcd_login *login)
{
	loop_task_cancel(&login->fail);
	login->client = NULL;
	login->call = NULL;
	buf_wipe(&login->token);
}

bool etcd_login_has_token(const struct etcd_login *login)
{
	return buf_len(&login->token) > 0;
}

void etcd_login_init(struct etcd_login *login, struct loop *loop, const char *user, const char *password_file,
	etcd_login_fn *on_done, void *arg)
{
	*login = (struct etcd_login){.loop = loop,
		.user = user,
		.password_file = password_file,
		.on_done = on_done,
		.arg = arg,
		.token = BUF_INIT(ETCD_TOKEN_MAX)};
}
