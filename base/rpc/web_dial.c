#include "base/rpc/web_dial.h"
#include "base/core/addr.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "base/net/resolver.h"
#include "base/net/socket.h"
#include "base/tls/tls_session.h"
#include <string.h>

struct web_dial {
	struct loop *loop;
	const struct web_peer *peer; /* of the last dial */
	web_dial_fn *on_done;
	void *arg;
	struct tls_context *context;
	struct tls_scratch *scratch;
	struct resolver *resolver; /* NULL: none was needed yet */
	bool is_resolving;
	struct ip_addr ips[RESOLVED_MAX];
	size_t num_ips, num_tried;
	unsigned turn; /* the first address of the next dial: an address that answers wrongly must not hide others */
	struct addr dialed;
	int fd; /* -1, or a connection that is not established yet */
	struct loop_io connecting;
	struct loop_timer timeout;
	struct loop_task finish; /* with the result below: never inside a callback */
	uint32_t timeout_ms;
	struct transport *transport;
	struct web_roots *roots; /* of the last dial: its session verifies with them */
	struct why detail;
};

char *web_peer_authority(const struct web_peer *peer)
{
	bool is_v6 = strchr(peer->host, ':') != NULL;
	return mem_printf("%s%s%s:%u", is_v6 ? "[" : "", peer->host, is_v6 ? "]" : "", (unsigned)peer->port);
}

bool web_dial_is_under_way(const struct web_dial *dial)
{
	return dial->is_resolving || dial->fd >= 0 || loop_task_is_posted(&dial->finish);
}

static void on_finish(struct loop_task *task)
{
	struct web_dial *dial = container_of(task, struct web_dial, finish);
	struct why why = dial->detail;
	struct transport *transport = TAKE_PTR(dial->transport);
	dial->on_done(dial->arg, transport != NULL ? ERR_NONE : why.err, transport, &why);
}

static void fail(struct web_dial *dial, const struct why *why)
{
	dial->detail = *why;
	dial->turn++;
	loop_task_post(dial->loop, &dial->finish, on_finish);
}

/* --- TLS --- */

static const char *server_name(const struct web_dial *dial)
{
	return dial->peer->server_name != NULL ? dial->peer->server_name : dial->peer->host;
}

static enum err verify(void *arg, const struct span *chain, size_t num_chain, struct svid **out_svid, struct why *why)
{
	const struct web_dial *dial = arg;
	const struct clock *clock = loop_clock(dial->loop);
	const struct verify_web_input input = {.chain = chain,
		.num_chain = num_chain,
		.roots = dial->roots,
		.name = server_name(dial),
		.now_s = clock->wall_ms(clock) / 1000};
	(void)out_svid; /* it has none */
	if (dial->peer->verify != NULL)
		return dial->peer->verify(dial->peer->arg, chain, num_chain, why);
	return verify_web_chain(&input, why);
}

/* Adopts the descriptor. */
static enum err open_session(struct web_dial *dial, int fd, struct tls_session **out, struct why *why)
{
	_cleanup_(web_identity_unrefp) struct web_identity *identity = NULL;
	_cleanup_fd_ int owned = fd;
	struct web_roots *roots = NULL;
	struct ip_addr ip;
	RETURN_IF_ERR(dial->peer->load(dial->peer->arg, &roots, &identity, why));
	web_roots_free(dial->roots);
	dial->roots = roots;
	bool is_ip = ip_addr_parse(span_of_str(server_name(dial)), &ip) == ERR_NONE; /* RFC 6066 3: no SNI then */
	struct tls_session_options options = {.context = dial->context,
		.scratch = dial->scratch,
		.fd = TAKE_FD(owned),
		.web_identity = identity,
		.server_name = is_ip ? NULL : server_name(dial),
		.on_verify = verify,
		.verify_arg = dial};
	return tls_session_new(&options, out, why);
}

static void succeed(struct web_dial *dial, int fd)
{
	struct tls_session *session = NULL;
	struct why why = {0};
	if (open_session(dial, fd, &session, &why) != ERR_NONE) {
		fail(dial, &why);
		return;
	}
	dial->transport = transport_new_tls(session);
	dial->turn++; /* another one next time, if this one answers wrongly */
	loop_task_post(dial->loop, &dial->finish, on_finish);
}

/* --- TCP --- */

static void try_next(struct web_dial *dial);

static void stop_connecting(struct web_dial *dial)
{
	loop_io_stop(&dial->connecting);
	loop_timer_stop(&dial->timeout);
	fd_close(TAKE_FD(dial->fd));
}

static void note_failure(struct web_dial *dial, enum err err)
{
	char text[ADDR_TEXT_MAX];
	(void)why_set(&dial->detail, err, dial->peer->texts.listener, dial->peer->texts.fix,
		"the connection to %s failed: %s", addr_format(&dial->dialed, text), err_text(err));
}

static void on_connected(struct loop_io *io, unsigned is_ready)
{
	struct web_dial *dial = container_of(io, struct web_dial, connecting);
	(void)is_ready;
	enum err err = socket_connect_result(dial->fd);
	if (err != ERR_NONE) {
		stop_connecting(dial);
		note_failure(dial, err);
		try_next(dial);
		return;
	}
	int fd = TAKE_FD(dial->fd);
	stop_connecting(dial);
	succeed(dial, fd);
}

static void on_timeout(struct loop_timer *timer)
{
	struct web_dial *dial = container_of(timer, struct web_dial, timeout);
	stop_connecting(dial);
	note_failure(dial, ERR_TIMEOUT);
	try_next(dial);
}

static void try_next(struct web_dial *dial)
{
	while (dial->num_tried < dial->num_ips) {
		size_t at = (dial->turn + dial->num_tried++) % dial->num_ips;
		dial->dialed = (struct addr){.ip = dial->ips[at], .port = dial->peer->port};
		enum err err = socket_connect(&dial->dialed, &(struct socket_connect_options){0}, &dial->fd);
		if (err == ERR_NONE) {
			socket_set_nodelay(dial->fd);
			loop_io_start(dial->loop, &dial->connecting, dial->fd, LOOP_WRITE, on_connected);
			loop_timer_start(dial->loop, &dial->timeout, dial->timeout_ms, on_timeout);
			return;
		}
		dial->fd = -1;
		note_failure(dial, err);
	}
	struct why why = dial->detail;
	fail(dial, &why);
}

static void on_resolved(void *arg, enum err err, const struct ip_addr *ips, size_t num)
{
	struct web_dial *dial = arg;
	CHECK(num <= RESOLVED_MAX);
	dial->is_resolving = false;
	dial->num_ips = 0;
	for (size_t i = 0; err == ERR_NONE && i < num; i++)
		dial->ips[dial->num_ips++] = ips[i];
	if (dial->num_ips == 0)
		(void)why_set(&dial->detail, err != ERR_NONE ? err : ERR_NOT_FOUND, dial->peer->texts.address,
			dial->peer->texts.fix_address, "cannot resolve %.128s: %s", dial->peer->host,
			err_text(err != ERR_NONE ? err : ERR_NOT_FOUND));
	try_next(dial);
}

void web_dial_start(struct web_dial *dial, const struct web_peer *peer, uint32_t timeout_ms)
{
	struct why why = {0};
	CHECK(!web_dial_is_under_way(dial) && dial->transport == NULL);
	CHECK(peer->host != NULL && peer->port != 0 && peer->load != NULL);
	dial->peer = peer;
	dial->timeout_ms = timeout_ms;
	dial->num_tried = 0;
	if (ip_addr_parse(span_of_str(peer->host), &dial->ips[0]) == ERR_NONE) {
		dial->num_ips = 1;
		try_next(dial);
	} else if (dial->resolver == NULL &&
		   resolver_new(dial->loop, peer->name_servers, &dial->resolver, &why) != ERR_NONE) {
		fail(dial, &why);
	} else {
		dial->is_resolving = true;
		resolver_query(dial->resolver, peer->host, timeout_ms, on_resolved, dial);
	}
}

static struct web_dial *dial_new(
	struct loop *loop, const struct tls_context_options *tls, web_dial_fn *on_done, void *arg)
{
	struct web_dial *dial = mem_new(struct web_dial);
	dial->loop = loop;
	dial->on_done = on_done;
	dial->arg = arg;
	dial->fd = -1;
	dial->context = tls_context_new(tls);
	dial->scratch = tls_scratch_new();
	return dial;
}

struct web_dial *web_dial_new(struct loop *loop, const char *alpn, web_dial_fn *on_done, void *arg)
{
	return dial_new(loop, &(struct tls_context_options){.role = TLS_CLIENT, .alpn = alpn}, on_done, arg);
}

struct web_dial *web_dial_new_without_alpn(struct loop *loop, web_dial_fn *on_done, void *arg)
{
	const struct tls_context_options tls = {.role = TLS_CLIENT, .alpn = "http/1.1", .alpn_is_optional = true};
	return dial_new(loop, &tls, on_done, arg);
}

void web_dial_free(struct web_dial *dial)
{
	if (dial->is_resolving)
		resolver_cancel(dial->resolver);
	if (dial->resolver != NULL)
		resolver_free(dial->resolver);
	stop_connecting(dial);
	loop_task_cancel(&dial->finish);
	transport_free(dial->transport);
	web_roots_free(dial->roots);
	tls_context_free(dial->context);
	tls_scratch_free(dial->scratch);
	mem_free(dial);
}
