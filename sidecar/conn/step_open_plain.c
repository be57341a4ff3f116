/* Step 6 over plain sockets: a connection to the app, or to a plaintext destination. */
#include "base/core/check.h"
#include "base/net/fd.h"
#include "base/net/socket.h"
#include "sidecar/conn/conn_state.h"
#include "sidecar/conn/proxy_header.h"
#include <errno.h>

static bool is_announced(const struct conn *conn)
{
	const struct listeners *listeners = conn->env->listeners;
	return conn->kind != CONN_OUTBOUND && listeners != NULL && listeners_announce(listeners, conn->dst.addr.port);
}

static struct addr caller_of(const struct conn *conn)
{
	struct addr caller = conn->source;
	if (conn->caller_port != 0)
		caller.port = conn->caller_port;
	return caller;
}

/* Before any byte of the caller. A fresh socket takes more than the longest header. */
static enum err announce(const struct conn *conn)
{
	const struct spiffe_id *id = conn_peer_id(conn);
	const struct addr caller = caller_of(conn);
	uint8_t header[PROXY_HEADER_MAX];
	if (!is_announced(conn))
		return ERR_NONE;
	size_t len = proxy_header_encode(&caller, &conn->dst.addr, id == NULL ? NULL : id->text, header);
	/* Else the caller's first bytes would wait for its acknowledgment. */
	socket_set_nodelay(conn->opening->connecting_fd);
	ssize_t sent = send(conn->opening->connecting_fd, header, len, MSG_NOSIGNAL);
	return sent == (ssize_t)len ? ERR_NONE : sent < 0 ? err_from_errno(errno) : ERR_LIMIT;
}

static void attach_upstream(struct conn *conn)
{
	struct conn_opening *opening = conn->opening;
	CHECK(conn->env != NULL && opening->upstream == NULL && opening->connecting_fd >= 0);
	opening->upstream =
		leg_new_connected(conn->env->loop, TAKE_FD(opening->connecting_fd), conn->kind != CONN_OUTBOUND);
	opening->open_state = OPEN_READY;
}

static void on_connected(struct loop_io *io, unsigned ready)
{
	(void)ready;
	struct conn_opening *opening = container_of(io, struct conn_opening, connecting);
	struct conn *conn = opening->conn;
	CHECK(opening->open_state == OPEN_WAITING && opening->connecting_fd >= 0);
	enum err err = socket_connect_result(opening->connecting_fd);
	if (err == ERR_NONE)
		err = announce(conn);
	loop_io_stop(io);
	if (err == ERR_NONE) {
		attach_upstream(conn);
		conn_wake(conn);
		return;
	}
	char text[ADDR_TEXT_MAX];
	why_set(conn_why(conn), err, "a destination that accepts the connection",
		"check that a program listens at that address", "cannot connect to %s: %s",
		addr_format(&conn->endpoint, text), err_text(err));
	fd_close(TAKE_FD(opening->connecting_fd));
	opening->open_state = OPEN_FAILED;
	opening->open_reason = err == ERR_REFUSED   ? CLOSE_CONNECT_REFUSED
			       : err == ERR_TIMEOUT ? CLOSE_CONNECT_TIMEOUT
						    : CLOSE_CONNECT_FAILED;
	conn_wake(conn);
}

static enum close_reason reason_of_start(enum err err)
{
	if (err == ERR_FD_EXHAUSTED)
		return CLOSE_FD_EXHAUSTED;
	if (err == ERR_NO_PORT)
		return CLOSE_PORTS_EXHAUSTED;
	return err == ERR_REFUSED ? CLOSE_CONNECT_REFUSED : CLOSE_CONNECT_FAILED;
}

static struct conn_next not_started(struct conn *conn, enum err err, bool has_source)
{
	char text[ADDR_TEXT_MAX];
	const char *expected = "a route to the destination", *fix = "check the route to the destination";
	if (err == ERR_NO_PORT) {
		expected = "a local port that is free for the destination";
		fix = "keep connections open for longer, add replicas or ports, or widen net.ipv4.ip_local_port_range";
	} else if (has_source) {
		fix = "run `handfast-init up`: it adds 169.254.15.6 and 100::6 to lo";
	}
	why_set(conn_why(conn), err, expected, fix, "cannot connect to %s: %s", addr_format(&conn->endpoint, text),
		err_text(err));
	return conn_close_for(reason_of_start(err));
}

enum { SPARE_SOURCES = 8, SPARE_FIRST = 8, SPARE_MS = 60000 };

static bool has_spare(const struct ip_addr *source)
{
	static const uint8_t first[16] = {[0] = 0x01, [15] = 6};
	return source != NULL && source->family == AF_INET6 && memcmp(source->bytes, first, sizeof(first)) == 0;
}

/* An address without a free port is not used again for a minute. */
static enum err connect_from_spares(
	struct conn *conn, const struct addr *to, const struct socket_connect_options *options)
{
	struct spare_sources *spares = &conn->env->spare_sources;
	uint64_t now_ms = loop_now_ms(conn->env->loop);
	if (spares->at != 0 && now_ms - spares->since_ms >= SPARE_MS)
		spares->at = 0;
	enum err err = ERR_NO_PORT;
	CHECK(spares->at <= SPARE_SOURCES);
	for (unsigned i = 0; err == ERR_NO_PORT && i <= SPARE_SOURCES; i++) {
		struct ip_addr source = *options->source;
		struct socket_connect_options from = *options;
		from.source = &source;
		if (spares->at > 0)
			source.bytes[15] = (uint8_t)(SPARE_FIRST + spares->at - 1);
		err = socket_connect(to, &from, &conn->opening->connecting_fd);
		bool is_absent = err == ERR_UNREACHABLE && spares->at > 0;
		if (is_absent)
			err = ERR_NO_PORT;
		if (err != ERR_NO_PORT)
			break;
		spares->at = is_absent ? 0 : (spares->at + 1) % (SPARE_SOURCES + 1);
		spares->since_ms = now_ms;
	}
	return err;
}

/* Only the address: the port could be that of a flow that the kernel tracks, such as the caller's own to 15006. */
static bool is_in_callers_name(const struct conn *conn, const struct ip_addr *source)
{
	return conn->kind != CONN_OUTBOUND && source == &conn->source.ip;
}

struct conn_next conn_open_plain(struct conn *conn, const struct addr *to, const struct ip_addr *source)
{
	struct conn_opening *opening = conn->opening;
	bool has_source = source != NULL && source->family != 0, is_connected = false;
	struct socket_connect_options options = {
		.source = has_source ? source : NULL,
		.ports = &conn->env->ports,
		.resets_on_close = true,
		/* In IPv6 no route to a local address goes through lo; in IPv4 none from a real interface's address to
		 * 127.0.0.1. */
		.over_loopback = has_source && source->family == AF_INET && ip_addr_is_link_local(source),
		.out_connected = &is_connected,
		.in_name = is_in_callers_name(conn, source),
		.is_near = source != NULL,
		.scope = opening->scope,
	};
	CHECK(opening->open_state == OPEN_IDLE && opening->connecting_fd < 0 && opening->upstream == NULL);
	conn->endpoint = *to;
	enum err err = has_source && has_spare(source) ? connect_from_spares(conn, to, &options)
						       : socket_connect(to, &options, &opening->connecting_fd);
	if (err != ERR_NONE)
		return not_started(conn, err, has_source);
	if (is_connected && (err = announce(conn)) != ERR_NONE)
		return not_started(conn, err, has_source);
	if (is_connected) {
		attach_upstream(conn);
		return conn_next();
	}
	opening->open_state = OPEN_WAITING;
	CHECK(conn->env != NULL);
	loop_io_start(conn->env->loop, &opening->connecting, opening->connecting_fd, LOOP_WRITE, on_connected);
	return conn_wait();
}

/* Where the workload listens: where its caller dialed, or where the listener of that port leads. */
static const struct addr *app_of(const struct conn *conn)
{
	const struct listeners *listeners = conn->env->listeners;
	const struct inbound_listener *listener =
		listeners == NULL ? NULL : listeners_inbound(listeners, conn->dst.addr.port);
	return listener == NULL ? &conn->dst.addr : &listener->to;
}

/* Without 169.254.15.6 a connection to 127.0.0.1 comes from the address that the caller dialed, never from 127.0.0.1:
 * programs trust that. */
static struct conn_next open_app(struct conn *conn)
{
	const struct addr *app = app_of(conn);
	bool is_v4 = app->ip.family == AF_INET;
	const struct ip_addr *source = is_v4 ? &conn->env->app_source_v4 : &conn->env->app_source_v6;
	/* Its answers leave by the interface of the address, where no other source of ours is. */
	if (!is_v4 && ip_addr_is_link_local(&app->ip))
		return conn_open_plain(conn, app, &app->ip);
	/* No route leads an answer from 127.0.0.1 to another host's address. */
	if (conn->env->keeps_source && !ip_addr_is_loopback(&app->ip) && !ip_addr_is_loopback(&conn->source.ip) &&
		conn->source.ip.family == app->ip.family)
		return conn_open_plain(conn, app, &conn->source.ip);
	if (source->family != 0 || !ip_addr_is_loopback(&app->ip))
		return conn_open_plain(conn, app, source);
	if (conn->dst.addr.ip.family == app->ip.family)
		return conn_open_plain(conn, app, &conn->dst.addr.ip);
	char text[ADDR_TEXT_MAX], dialed[ADDR_TEXT_MAX];
	why_set(conn_why(conn), ERR_UNREACHABLE, "a workload that listens in the family that its callers dial",
		is_v4 ? "let the listener lead to [::1] where callers use IPv6, or run `handfast-init up`"
		      : "let the listener lead to 127.0.0.1 where callers use IPv4, or run `handfast-init up`",
		"the listener leads to %s, and the caller dialed %s", addr_format(app, text),
		addr_format(&conn->dst.addr, dialed));
	return conn_close_for(CLOSE_CONNECT_FAILED);
}

struct conn_next step_open_app(struct conn *conn)
{
	switch (conn->opening->open_state) {
	case OPEN_IDLE:
		return open_app(conn);
	case OPEN_WAITING:
		return conn_wait();
	case OPEN_FAILED:
		return conn_close_for(conn->opening->open_reason);
	case OPEN_READY:
		return conn_next();
	}
	CHECK_UNREACHABLE();
}
