#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/core/random.h"
#include "base/core/rates.h"
#include "base/net/fd.h"
#include "base/net/socket.h"
#include "sidecar/direct/direct_private.h"

/* As for tunnels (decision 034), but a caller without a sidecar opens a session per connection. */
enum {
	HANDSHAKES_DEFAULT = 256,
	PER_SOURCE_PART = 4, /* a source gets at most a quarter of the places, and no more than 32 */
	PER_SOURCE_MAX = 32,
	HANDSHAKES_PER_ROUND = 4,
	PER_MINUTE = 12000,
	BURST = 400,
	FIRST_BYTE_MS = 2000, /* of the ClientHello */
};

static uint64_t per_source(uint64_t max)
{
	uint64_t part = (max + PER_SOURCE_PART - 1) / PER_SOURCE_PART;
	return part < PER_SOURCE_MAX ? part : PER_SOURCE_MAX;
}

struct direct_server *direct_server_new(const struct direct_server_options *options)
{
	struct direct_server *server = mem_new(struct direct_server);
	uint64_t max = options->max_handshakes == 0 ? HANDSHAKES_DEFAULT : options->max_handshakes;
	CHECK(options->on_connection != NULL && options->context != NULL);
	server->options = *options;
	server->handshakes = shares_new(&(struct shares_options){
		.capacity = max,
		.num_classes = 1,
		.classes = {{.caps = {[SHARE_KEY_ADDRESS] = per_source(max), [SHARE_KEY_PREFIX64] = per_source(max)}}},
		.seed = random_u64(),
	});
	server->begun =
		rates_new(&(struct rates_options){.per_minute = PER_MINUTE, .burst = BURST, .seed = random_u64()});
	return server;
}

void direct_server_free(struct direct_server *server)
{
	if (server == NULL)
		return;
	for (struct direct_leg *direct; (direct = LIST_FIRST(&server->all, struct direct_leg, link)) != NULL;)
		leg_free(&direct->leg);
	loop_task_cancel(&server->round);
	credentials_unref(server->credentials);
	shares_free(server->handshakes);
	rates_free(server->begun);
	mem_free(server);
}

/* --- the handshake --- */

static void refuse(struct direct_leg *direct, const struct why *why)
{
	const struct direct_server_options *options = &direct->server->options;
	const struct direct_failure failure = {
		.local = &direct->local,
		.remote = &direct->remote,
		.peer = direct->peer,
		.begun_ms = direct->begun_ms,
		.failed_by_peer = direct->tls != NULL && tls_session_failed_by_peer(direct->tls),
		.detail = why,
	};
	if (options->on_failure != NULL)
		options->on_failure(options->arg, &failure);
	leg_free(&direct->leg);
}

static void on_deadline(struct loop_timer *timer)
{
	struct direct_leg *direct = container_of(timer, struct direct_leg, deadline);
	struct why why = {0};
	why_set(&why, ERR_TIMEOUT, "a TLS handshake before timeouts.handshake, and its first byte within 2 s",
		"find out whether the caller speaks TLS 1.3",
		direct->is_greeted ? "the caller did not finish its handshake" : "the caller sent nothing");
	refuse(direct, &why);
}

static enum err on_verify(
	void *arg, const struct span *chain, size_t num_chain, struct svid **out_svid, struct why *why)
{
	struct direct_leg *direct = arg;
	const struct direct_server *server = direct->server;
	if (server->credentials == NULL)
		return direct_no_identity(why);
	direct->generation = credentials_generation(server->credentials);
	const struct verify_input input = {
		.chain = chain,
		.num_chain = num_chain,
		.bundles = credentials_bundles(server->credentials),
		.role = VERIFY_CLIENT,
		.now_s = trusted_time_now_s(server->options.time, loop_clock(server->options.loop)),
	};
	return verify_chain_cached(
		server->options.verify_cache, credentials_generation(server->credentials), &input, out_svid, why);
}

static void on_established(struct direct_leg *direct)
{
	struct direct_server *server = direct->server;
	struct why why = {0};
	loop_timer_stop(&direct->deadline);
	shares_give(&direct->handshake);
	direct->peer = svid_ref(tls_session_peer(direct->tls));
	CHECK(direct->peer != NULL); /* the context requires a certificate */
	if (direct_leg_check_trust(direct, server->credentials, &why) != ERR_NONE) {
		refuse(direct, &why);
		return;
	}
	direct->is_open = true;
	direct_leg_start(direct);
	const struct direct_connection connection = {
		.leg = &direct->leg,
		.peer = direct->peer,
		.key_exchange = tls_session_key_exchange(direct->tls),
		.local = &direct->local,
		.remote = &direct->remote,
	};
	server->options.on_connection(server->options.arg, &connection);
}

static void handshake(struct direct_leg *direct)
{
	enum io_result result = direct_leg_handshake(direct);
	if (result == IO_DONE) {
		on_established(direct);
	} else if (result == IO_EOF || result == IO_FAILED) {
		struct why why = *tls_session_why(direct->tls);
		refuse(direct, &why);
	}
}

static void on_round(struct loop_task *task)
{
	container_of(task, struct direct_server, round)->num_handshaken = 0;
}

static void on_ready(struct loop_io *io, unsigned ready)
{
	(void)ready;
	struct direct_leg *direct = container_of(io, struct direct_leg, io);
	struct direct_server *server = direct->server;
	loop_task_post(server->options.loop, &server->round, on_round);
	if (++server->num_handshaken > HANDSHAKES_PER_ROUND) /* it is ready again in the next round */
		return;
	if (!direct->is_greeted) {
		direct->is_greeted = true;
		loop_timer_start(
			server->options.loop, &direct->deadline, server->options.handshake_timeout_ms, on_deadline);
	}
	handshake(direct);
}

static enum err refuse_by_limit(const struct direct_server *server, enum share_limit limit, struct why *why)
{
	if (server->options.on_limit != NULL)
		server->options.on_limit(server->options.arg, limit);
	return why_set(why, ERR_LIMIT, "fewer handshakes at once",
		"find out which source connects so often; give it a sidecar, whose tunnels need one handshake for many",
		"%s is reached for handshakes", share_limit_text(limit));
}

/* As for tunnels: the oldest handshake of the heaviest source gives way. */
static enum share_limit take_handshake(struct direct_leg *direct, const struct share_key *keys, size_t num_keys)
{
	static const struct why displaced = {
		.err = ERR_LIMIT,
		.expected = "a handshake that makes progress",
		.got = "the oldest handshake of the source with most was ended, as all places are taken",
		.fix = "find out which source connects and sends nothing",
	};
	struct shares *handshakes = direct->server->handshakes;
	enum share_limit limit = shares_take(handshakes, 0, keys, num_keys, 1, &direct->handshake);
	if (limit == SHARE_LIMIT_NONE)
		return limit;
	struct share *heavy = shares_eviction_candidate(handshakes, 0, keys, num_keys, 1);
	if (heavy == NULL)
		return limit;
	refuse(container_of(heavy, struct direct_leg, handshake), &displaced);
	return shares_take(handshakes, 0, keys, num_keys, 1, &direct->handshake);
}

static enum err admit(struct direct_leg *direct, struct why *why)
{
	struct direct_server *server = direct->server;
	struct share_key keys[SHARE_SOURCE_KEYS_MAX];
	size_t num_keys = share_keys_of_source(&direct->remote.ip, keys);
	if (server->credentials == NULL ||
		!credentials_are_valid(server->credentials,
			trusted_time_now_s(server->options.time, loop_clock(server->options.loop))))
		return direct_no_identity(why);
	if (!rates_take(server->begun, &keys[0], loop_now_ms(server->options.loop)))
		return refuse_by_limit(
			server, keys[0].kind == SHARE_KEY_PREFIX64 ? SHARE_LIMIT_PREFIX64 : SHARE_LIMIT_ADDRESS, why);
	enum share_limit limit = take_handshake(direct, keys, num_keys);
	return limit == SHARE_LIMIT_NONE ? ERR_NONE : refuse_by_limit(server, limit, why);
}

static enum err session_start(struct direct_leg *direct, int fd, struct why *why)
{
	const struct direct_server *server = direct->server;
	const struct tls_session_options options = {
		.context = server->options.context,
		.scratch = server->options.scratch,
		.fd = fd,
		.svid = credentials_svid(server->credentials),
		.key = credentials_key(server->credentials),
		.on_verify = on_verify,
		.verify_arg = direct,
	};
	return tls_session_new(&options, &direct->tls, why);
}

void direct_server_adopt(struct direct_server *server, int fd, const struct addr *local, const struct addr *remote)
{
	struct direct_leg *direct = mem_new(struct direct_leg);
	struct why why = {0};
	leg_init(&direct->leg, &direct_leg_ops, server->options.loop);
	direct->server = server;
	direct->local = *local;
	direct->remote = *remote;
	direct->begun_ms = loop_now_ms(server->options.loop);
	list_push_front(&server->all, &direct->link);
	enum err err = admit(direct, &why);
	if (err != ERR_NONE) {
		socket_set_reset_on_close(fd, true);
		fd_close(fd);
	} else {
		err = session_start(direct, fd, &why);
	}
	if (err != ERR_NONE) {
		refuse(direct, &why);
		return;
	}
	loop_io_start(server->options.loop, &direct->io, tls_session_fd(direct->tls), LOOP_READ, on_ready);
	direct->interest = LOOP_READ;
	uint32_t timeout_ms = server->options.handshake_timeout_ms;
	loop_timer_start(server->options.loop, &direct->deadline,
		timeout_ms < FIRST_BYTE_MS ? timeout_ms : FIRST_BYTE_MS, on_deadline);
}

/* --- trust that changes --- */

void direct_server_set_credentials(struct direct_server *server, struct credentials *credentials)
{
	credentials_unref(server->credentials);
	server->credentials = credentials == NULL ? NULL : credentials_ref(credentials);
	if (credentials == NULL)
		return;
	LIST_EACH(&server->all, struct direct_leg, direct, link)
		direct_leg_judge(direct, credentials_bundles(credentials));
}
