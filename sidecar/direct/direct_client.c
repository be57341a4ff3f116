#include "sidecar/direct/direct_client.h"

#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "sidecar/direct/direct_private.h"

struct direct_client {
	struct direct_client_options options;
	struct credentials *credentials; /* NULL: none */
	struct list open;                /* direct_leg */
	unsigned num_attempts;
};

struct direct_attempt {
	struct direct_client *client;
	struct direct_request request;
	struct spiffe_id expected;
	int connecting_fd; /* -1, or a connection that is not established yet */
	struct loop_io connecting;
	struct loop_timer deadline;
	struct loop_task finish;   /* reports the result below: never inside a callback */
	struct direct_leg *direct; /* NULL: not connected */
	uint64_t begun_ms;
	struct direct_result result;
};

struct direct_client *direct_client_new(const struct direct_client_options *options)
{
	struct direct_client *client = mem_new(struct direct_client);
	client->options = *options;
	return client;
}

void direct_client_free(struct direct_client *client)
{
	if (client == NULL)
		return;
	CHECK(list_is_empty(&client->open) && client->num_attempts == 0);
	credentials_unref(client->credentials);
	mem_free(client);
}

void direct_client_set_credentials(struct direct_client *client, struct credentials *credentials)
{
	credentials_unref(client->credentials);
	client->credentials = credentials == NULL ? NULL : credentials_ref(credentials);
	if (credentials == NULL)
		return;
	LIST_EACH(&client->open, struct direct_leg, direct, link)
		direct_leg_judge(direct, credentials_bundles(credentials));
}

static int64_t now_s(const struct direct_client *client)
{
	return trusted_time_now_s(client->options.time, loop_clock(client->options.loop));
}

/* --- the result --- */

static void attempt_free(struct direct_attempt *attempt)
{
	loop_io_stop(&attempt->connecting);
	loop_timer_stop(&attempt->deadline);
	loop_task_cancel(&attempt->finish);
	fd_close(attempt->connecting_fd);
	spiffe_id_done(&attempt->expected);
	attempt->client->num_attempts--;
	mem_free(attempt);
}

void direct_attempt_cancel(struct direct_attempt *attempt)
{
	if (attempt->direct != NULL)
		leg_free(&attempt->direct->leg);
	attempt_free(attempt);
}

static void on_finish(struct loop_task *task)
{
	struct direct_attempt *attempt = container_of(task, struct direct_attempt, finish);
	const struct direct_request request = attempt->request;
	struct direct_result result = attempt->result;
	struct direct_leg *direct = attempt->direct;
	if (result.outcome == DIRECT_OPEN && direct->leg.is_reset) { /* trust has changed in this round */
		result.outcome = DIRECT_TLS_FAILED;
		why_set(&result.detail, ERR_REVOKED, "a peer that is trusted",
			"find out why, at the control plane: `handfast ban list`, `handfast ca status`",
			"the peer's identity was withdrawn");
	}
	if (result.outcome != DIRECT_OPEN && direct != NULL)
		leg_free(&direct->leg);
	if (result.outcome == DIRECT_OPEN)
		direct->attempt = NULL;
	attempt_free(attempt);
	request.on_result(request.arg, result.outcome == DIRECT_OPEN ? &direct->leg : NULL, &result);
}

static void finish(struct direct_attempt *attempt, enum direct_outcome outcome)
{
	loop_timer_stop(&attempt->deadline);
	if (outcome == DIRECT_TLS_FAILED && attempt->result.detail.err == ERR_UNAVAILABLE) /* lost in the handshake */
		outcome = DIRECT_NO_IDENTITY;
	if (attempt->direct != NULL && outcome != DIRECT_OPEN)
		direct_leg_set_interest(attempt->direct, 0);
	attempt->result.outcome = outcome;
	loop_task_post(attempt->client->options.loop, &attempt->finish, on_finish);
}

static void unreachable(struct direct_attempt *attempt, enum err err)
{
	char text[ADDR_TEXT_MAX];
	why_set(&attempt->result.detail, err, "an endpoint that accepts the connection",
		"check that a sidecar of Istio listens at that address", "cannot connect to %s: %s",
		addr_format(&attempt->request.endpoint, text), err_text(err));
	finish(attempt, DIRECT_UNREACHABLE);
}

static void on_deadline(struct loop_timer *timer)
{
	struct direct_attempt *attempt = container_of(timer, struct direct_attempt, deadline);
	if (attempt->direct == NULL) {
		loop_io_stop(&attempt->connecting);
		unreachable(attempt, ERR_TIMEOUT);
		return;
	}
	why_set(&attempt->result.detail, ERR_TIMEOUT,
		"a TLS handshake within timeouts.handshake, or 2 s while another endpoint is left",
		"find out whether the peer speaks TLS 1.3 on that port: entries[].transport of the control plane",
		"the peer did not finish its handshake");
	finish(attempt, DIRECT_TLS_FAILED);
}

/* --- the handshake --- */

static enum err on_verify(
	void *arg, const struct span *chain, size_t num_chain, struct svid **out_svid, struct why *why)
{
	struct direct_attempt *attempt = arg;
	const struct direct_client *client = attempt->client;
	if (client->credentials == NULL)
		return direct_no_identity(why);
	attempt->direct->generation = credentials_generation(client->credentials);
	const struct verify_input input = {
		.chain = chain,
		.num_chain = num_chain,
		.bundles = credentials_bundles(client->credentials),
		.role = VERIFY_SERVER,
		.now_s = now_s(client),
		.expected = &attempt->expected,
	};
	return verify_chain_cached(client->options.verify_cache, attempt->direct->generation, &input, out_svid, why);
}

static void on_established(struct direct_attempt *attempt)
{
	struct direct_leg *direct = attempt->direct;
	const struct direct_client *client = attempt->client;
	direct->peer = svid_ref(tls_session_peer(direct->tls));
	CHECK(direct->peer != NULL && spiffe_id_eq(svid_id(direct->peer), &attempt->expected));
	if (direct_leg_check_trust(direct, client->credentials, &attempt->result.detail) != ERR_NONE) {
		finish(attempt, DIRECT_TLS_FAILED);
		return;
	}
	direct->is_open = true;
	direct_leg_start(direct);
	attempt->result.key_exchange = tls_session_key_exchange(direct->tls);
	attempt->result.answer_ms = loop_now_ms(client->options.loop) - attempt->begun_ms;
	finish(attempt, DIRECT_OPEN);
}

static void handshake(struct direct_attempt *attempt)
{
	struct direct_leg *direct = attempt->direct;
	enum io_result result = direct_leg_handshake(direct);
	if (result == IO_DONE) {
		on_established(attempt);
	} else if (result == IO_EOF || result == IO_FAILED) {
		attempt->result.detail = *tls_session_why(direct->tls);
		attempt->result.failed_by_peer = tls_session_failed_by_peer(direct->tls);
		finish(attempt, DIRECT_TLS_FAILED);
	}
}

static void on_ready(struct loop_io *io, unsigned ready)
{
	(void)ready;
	const struct direct_leg *direct = container_of(io, struct direct_leg, io);
	CHECK(direct->attempt != NULL && !direct->is_open);
	handshake(direct->attempt);
}

/* Adopts the descriptor. */
static enum err session_start(struct direct_attempt *attempt, int fd)
{
	struct direct_client *client = attempt->client;
	struct direct_leg *direct = mem_new(struct direct_leg);
	leg_init(&direct->leg, &direct_leg_ops, client->options.loop);
	attempt->direct = direct;
	direct->attempt = attempt;
	direct->remote = attempt->request.endpoint;
	list_push_front(&client->open, &direct->link);
	socket_set_nodelay(fd);
	socket_limit_memory(fd, false); /* unlike a tunnel, it carries one connection */
	const struct tls_session_options options = {
		.context = client->options.context,
		.scratch = client->options.scratch,
		.fd = fd,
		.svid = credentials_svid(client->credentials),
		.key = credentials_key(client->credentials),
		.on_verify = on_verify,
		.verify_arg = attempt,
	};
	RETURN_IF_ERR(tls_session_new(&options, &direct->tls, &attempt->result.detail));
	loop_io_start(client->options.loop, &direct->io, tls_session_fd(direct->tls), LOOP_READ, on_ready);
	direct->interest = LOOP_READ;
	return ERR_NONE;
}

static bool has_identity(const struct direct_client *client)
{
	return client->credentials != NULL && credentials_are_valid(client->credentials, now_s(client));
}

static void on_connected(struct loop_io *io, unsigned ready)
{
	struct direct_attempt *attempt = container_of(io, struct direct_attempt, connecting);
	(void)ready;
	enum err err = socket_connect_result(attempt->connecting_fd);
	loop_io_stop(&attempt->connecting);
	if (err != ERR_NONE) {
		unreachable(attempt, err);
	} else if (!has_identity(attempt->client)) {
		(void)direct_no_identity(&attempt->result.detail);
		finish(attempt, DIRECT_NO_IDENTITY);
	} else if (session_start(attempt, TAKE_FD(attempt->connecting_fd)) != ERR_NONE) {
		finish(attempt, DIRECT_TLS_FAILED);
	} else {
		handshake(attempt);
	}
}

struct direct_attempt *direct_client_open(struct direct_client *client, const struct direct_request *request)
{
	struct direct_attempt *attempt = mem_new(struct direct_attempt);
	const struct socket_connect_options options = {.ports = request->ports, .resets_on_close = true};
	uint32_t wait_ms = client->options.handshake_timeout_ms;
	if (request->wait_ms != 0 && request->wait_ms < wait_ms)
		wait_ms = request->wait_ms;
	CHECK(request->on_result != NULL && request->endpoint.port != 0);
	attempt->client = client;
	client->num_attempts++;
	attempt->begun_ms = loop_now_ms(client->options.loop);
	attempt->request = *request;
	attempt->request.expected = NULL;
	spiffe_id_copy(request->expected, &attempt->expected);
	attempt->connecting_fd = -1;
	enum err err = socket_connect(&request->endpoint, &options, &attempt->connecting_fd);
	if (err != ERR_NONE) {
		attempt->connecting_fd = -1;
		unreachable(attempt, err);
		return attempt;
	}
	loop_io_start(client->options.loop, &attempt->connecting, attempt->connecting_fd, LOOP_WRITE, on_connected);
	loop_timer_start(client->options.loop, &attempt->deadline, wait_ms, on_deadline);
	return attempt;
}
