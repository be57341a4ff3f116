#include "base/kube/kube_dial.h"
#include "base/core/addr.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/kube/kube_config_private.h"
#include "base/net/fd.h"
#include "base/net/resolver.h"
#include "base/net/socket.h"
#include "base/tls/tls_session.h"
#include "certs/verify_web.h"

struct kube_dial {
	struct loop *loop;
	const struct kube_config *config;
	kube_dial_fn *on_done;
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

bool kube_dial_is_under_way(const struct kube_dial *dial)
{
	return dial->is_resolving || dial->fd >= 0 || loop_task_is_posted(&dial->finish);
}

static void on_finish(struct loop_task *task)
{
	struct kube_dial *dial = container_of(task, struct kube_dial, finish);
	struct why why = dial->detail;
	struct transport *transport = TAKE_PTR(dial->transport);
	dial->on_done(dial->arg, transport != NULL ? ERR_NONE : why.err, transport, &why);
}

static void fail(struct kube_dial *dial, const struct why *why)
{
	dial->detail = *why;
	dial->turn++;
	loop_task_post(dial->loop, &dial->finish, on_finish);
}

/* --- TLS --- */

static const char *server_name(const struct kube_dial *dial)
{
	return dial->config->server_name != NULL ? dial->config->server_name : dial->config->host;
}

static enum err verify(void *arg, const struct span *chain, size_t num_chain, struct svid **out_svid, struct why *why)
{
	const struct kube_dial *dial = arg;
	const struct clock *clock = loop_clock(dial->loop);
	const struct verify_web_input input = {.chain = chain,
		.num_chain = num_chain,
		.roots = dial->roots,
		.name = server_name(dial),
		.now_s = clock->wall_ms(clock) / 1000};
	(void)out_svid; /* it has none */
	return verify_web_chain(&input, why);
}

/* The file is read anew: the authority may have been rotated. Where it cannot be read, what was read first holds. */
static enum err load_roots(struct kube_dial *dial, struct why *why)
{
	_cleanup_(buf_done) struct buf fresh = {0};
	struct web_roots *roots = NULL;
	const struct kube_config *config = dial->config;
	struct span pem = buf_span(&config->ca_pem);
	if (config->ca_file != NULL && kube_config_read(config->ca_file, &fresh, NULL) == ERR_NONE)
		pem = buf_span(&fresh);
	RETURN_IF_ERR(web_roots_parse(pem, &roots, why));
	web_roots_free(dial->roots);
	dial->roots = roots;
	return ERR_NONE;
}

/* Adopts the descriptor. */
static enum err open_session(struct kube_dial *dial, int fd, struct tls_session **out, struct why *why)
{
	const struct kube_config *config = dial->config;
	_cleanup_(web_identity_unrefp) struct web_identity *identity = NULL;
	_cleanup_fd_ int owned = fd;
	struct ip_addr ip;
	RETURN_IF_ERR(load_roots(dial, why));
	if (buf_len(&config->client_chain_pem) > 0)
		RETURN_IF_ERR(web_identity_parse(
			buf_span(&config->client_chain_pem), buf_span(&config->client_key_pem), &identity, why));
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

static void succeed(struct kube_dial *dial, int fd)
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

static void try_next(struct kube_dial *dial);

static void stop_connecting(struct kube_dial *dial)
{
	loop_io_stop(&dial->connecting);
	loop_timer_stop(&dial->timeout);
	fd_close(TAKE_FD(dial->fd));
}

static void note_failure(struct kube_dial *dial, enum err err)
{
	char text[ADDR_TEXT_MAX];
	(void)why_set(&dial->detail, err, "an API server that listens",
		"check that the API server runs, and the network to it", "the connection to %s failed: %s",
		addr_format(&dial->dialed, text), err_text(err));
}

static void on_connected(struct loop_io *io, unsigned is_ready)
{
	struct kube_dial *dial = container_of(io, struct kube_dial, connecting);
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
	struct kube_dial *dial = container_of(timer, struct kube_dial, timeout);
	stop_connecting(dial);
	note_failure(dial, ERR_TIMEOUT);
	try_next(dial);
}

static void try_next(struct kube_dial *dial)
{
	while (dial->num_tried < dial->num_ips) {
		size_t at = (dial->turn + dial->num_tried++) % dial->num_ips;
		dial->dialed = (struct addr){.ip = dial->ips[at], .port = dial->config->port};
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
	struct kube_dial *dial = arg;
	CHECK(num <= RESOLVED_MAX);
	dial->is_resolving = false;
	dial->num_ips = 0;
	for (size_t i = 0; err == ERR_NONE && i < num; i++)
		dial->ips[dial->num_ips++] = ips[i];
	if (dial->num_ips == 0)
		(void)why_set(&dial->detail, err != ERR_NONE ? err : ERR_NOT_FOUND, "an address of the API server",
			"check its name in the kubeconfig, and the DNS", "cannot resolve %.128s: %s",
			dial->config->host, err_text(err != ERR_NONE ? err : ERR_NOT_FOUND));
	try_next(dial);
}

void kube_dial_start(struct kube_dial *dial, uint32_t timeout_ms)
{
	struct why why = {0};
	CHECK(!kube_dial_is_under_way(dial) && dial->transport == NULL);
	dial->timeout_ms = timeout_ms;
	dial->num_tried = 0;
	if (ip_addr_parse(span_of_str(dial->config->host), &dial->ips[0]) == ERR_NONE) {
		dial->num_ips = 1;
		try_next(dial);
	} else if (dial->resolver == NULL && resolver_new(dial->loop, &dial->resolver, &why) != ERR_NONE) {
		fail(dial, &why);
	} else {
		dial->is_resolving = true;
		resolver_query(dial->resolver, dial->config->host, timeout_ms, on_resolved, dial);
	}
}

struct kube_dial *kube_dial_new(struct loop *loop, const struct kube_config *config, kube_dial_fn *on_done, void *arg)
{
	CHECK(config->host != NULL && config->port != 0);
	struct kube_dial *dial = mem_new(struct kube_dial);
	dial->loop = loop;
	dial->config = config;
	dial->on_done = on_done;
	dial->arg = arg;
	dial->fd = -1;
	dial->context = tls_context_new(&(struct tls_context_options){.role = TLS_CLIENT, .alpn = "h2"});
	dial->scratch = tls_scratch_new();
	return dial;
}

void kube_dial_free(struct kube_dial *dial)
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
