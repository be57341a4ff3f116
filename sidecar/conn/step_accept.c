/* Steps 1 and 2: the limits on connections, and the original destination. */
#include "base/core/check.h"
#include "base/net/socket.h"
#include "sidecar/conn/conn_state.h"

static const char *advice_for(enum share_limit limit)
{
	switch (limit) {
	case SHARE_LIMIT_NONE:
	case SHARE_LIMIT_CAPACITY:
	case SHARE_LIMIT_CLASS:
		return "raise the descriptor limit and limits.max_connections, or add a replica";
	case SHARE_LIMIT_ADDRESS:
	case SHARE_LIMIT_PREFIX64:
		return "give the source a sidecar, or raise limits.per_source";
	case SHARE_LIMIT_IDENTITY:
		return "find out why this identity opens so many connections, or raise limits.per_identity";
	}
	CHECK_UNREACHABLE();
}

struct conn_next conn_close_at_limit(struct conn *conn, enum share_limit limit)
{
	const struct conn_observer *observer = &conn->env->observer;
	char source[ADDR_TEXT_MAX];
	if (observer->on_limit != NULL)
		observer->on_limit(observer->arg, limit);
	why_set(conn_why(conn), ERR_LIMIT, "fewer concurrent connections", advice_for(limit),
		"%s is reached: %s (%zu connections in total)", share_limit_text(limit),
		conn->kind == CONN_INBOUND ? conn_peer_id(conn)->text : addr_format(&conn->source, source),
		conn_table_num(conn->env->table));
	return conn_close_for(CLOSE_LIMIT_REACHED);
}

struct conn_next step_accept(struct conn *conn)
{
	enum share_limit limit =
		list_is_linked(&conn->link) ? SHARE_LIMIT_NONE : conn_table_add(conn->env->table, conn);
	return limit == SHARE_LIMIT_NONE ? conn_next() : conn_close_at_limit(conn, limit);
}

static struct conn_next next_for(struct conn *conn, enum destination_fault fault)
{
	char text[ADDR_TEXT_MAX];
	if (fault == DESTINATION_FINE)
		return conn_next();
	addr_format(&conn->dst.addr, text);
	switch (fault) {
	case DESTINATION_FINE:
		break;
	case DESTINATION_IS_OURS:
		why_set(conn_why(conn), ERR_DENIED, "a port of the workload", "connect to the workload's port",
			"the destination %s is a port of the sidecar", text);
		return conn_close_for(CLOSE_LOOP_REFUSED);
	case DESTINATION_NOT_REDIRECTED:
		why_set(conn_why(conn), ERR_DENIED, "a connection that the interception rules redirected",
			"connect to the workload's port; if the workload made this connection, run `handfast-init "
			"check`",
			"the client connected to %s directly", text);
		return conn_close_for(CLOSE_NO_ORIGINAL_DST);
	case DESTINATION_NOT_LOCAL:
		why_set(conn_why(conn), ERR_DENIED, "an address of this workload other than loopback",
			"connect to an address of the workload",
			"the destination %s is not an address of this workload", text);
		return conn_close_for(CLOSE_NOT_LOCAL);
	case DESTINATION_NOT_CHECKED:
		why_set(conn_why(conn), ERR_FD_EXHAUSTED, "a free file descriptor for the query to the kernel",
			"raise the limit of open files (LimitNOFILE=, `ulimit -Hn`)",
			"the sidecar cannot check whether %s is a local address", text);
		return conn_close_for(CLOSE_FD_EXHAUSTED);
	}
	CHECK_UNREACHABLE();
}

static struct original_dst dst_of(const struct conn *conn)
{
	return (struct original_dst){conn->dst.addr, conn->opening->scope};
}

static enum err get_original_dst(struct conn *conn, struct addr *out_local)
{
	struct original_dst dst = {.scope = 0};
	enum err err = original_dst_get(conn->opening->fd, &conn->source, &dst);
	conn->dst.addr = dst.addr;
	conn->opening->scope = dst.scope;
	*out_local = (struct addr){.port = 0};
	/* Every listener has a port of the sidecar: a connection to another port was redirected. */
	if (err == ERR_NONE && own_ports_has(&conn->env->own_ports, conn->dst.addr.port))
		err = socket_local_addr(conn->opening->fd, out_local);
	if (err != ERR_NONE)
		why_set(conn_why(conn), err, "an original destination from the kernel", "run `handfast-init check`",
			"the kernel reports no original destination: %s", err_text(err));
	return err;
}

struct conn_next step_original_dst_outbound(struct conn *conn)
{
	struct addr local = {.port = 0};
	if (!conn->has_dst && get_original_dst(conn, &local) != ERR_NONE)
		return conn_close_for(CLOSE_NO_ORIGINAL_DST);
	if (conn->opening->service != NULL && conn_resolve_service(conn).kind == CONN_WAIT)
		return conn_wait();
	const struct original_dst dst = dst_of(conn);
	return next_for(conn, original_dst_check_outbound(&dst, &local, &conn->env->own_ports));
}

struct conn_next step_original_dst_inbound_plain(struct conn *conn)
{
	struct addr local;
	if (get_original_dst(conn, &local) != ERR_NONE)
		return conn_close_for(CLOSE_NO_ORIGINAL_DST);
	const struct original_dst dst = dst_of(conn);
	return next_for(conn, original_dst_check_inbound(&dst, &local, &conn->env->own_ports));
}

struct conn_next step_original_dst_inbound(struct conn *conn)
{
	if (!conn->has_dst) /* else its own port, of a listener */
		conn->dst.addr = *inbound_stream_authority(conn->opening->stream);
	const struct original_dst dst = dst_of(conn);
	const struct addr *local = conn->has_dst ? &conn->dst.addr : inbound_stream_local(conn->opening->stream);
	return next_for(conn, original_dst_check_authority(&dst, local, &conn->env->own_ports));
}
