/* Steps 1 and 2: may we take it, and where did it want to go? */
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
		return "look at why it opens so many, or raise limits.per_identity";
	}
	CHECK_UNREACHABLE();
}

struct conn_next step_accept(struct conn *conn)
{
	const struct conn_observer *observer = &conn->env->observer;
	char source[ADDR_TEXT_MAX];
	enum share_limit limit = conn->prev != NULL ? SHARE_LIMIT_NONE : conn_table_add(conn->env->table, conn);
	if (limit == SHARE_LIMIT_NONE)
		return conn_next();
	if (observer->on_limit != NULL)
		observer->on_limit(observer->arg, limit);
	why_set(conn_why(conn), ERR_LIMIT, "fewer connections at once", advice_for(limit),
		"%s is reached: %s, %zu connections in all", share_limit_text(limit),
		conn->kind == CONN_INBOUND ? conn_peer_id(conn)->text : addr_format(&conn->source, source),
		conn_table_num(conn->env->table));
	return conn_close_for(CLOSE_LIMIT_REACHED);
}

static struct conn_next judge(struct conn *conn, enum destination_fault fault)
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
			"%s, a port of the sidecar", text);
		return conn_close_for(CLOSE_LOOP_REFUSED);
	case DESTINATION_NOT_REDIRECTED:
		why_set(conn_why(conn), ERR_DENIED, "a connection that the interception rules turned here",
			"connect to the workload's port; run 'handfast-init check' where this is the workload's own",
			"a direct connection to %s", text);
		return conn_close_for(CLOSE_NO_ORIGINAL_DST);
	case DESTINATION_NOT_LOCAL:
		why_set(conn_why(conn), ERR_DENIED, "an address of this workload, not loopback",
			"connect to the address the workload has", "%s", text);
		return conn_close_for(CLOSE_NOT_LOCAL);
	case DESTINATION_NOT_JUDGED:
		why_set(conn_why(conn), ERR_FD_EXHAUSTED, "a free descriptor to ask the kernel whose address that is",
			"raise the limit of open files (LimitNOFILE=, ulimit -Hn)", "%s", text);
		return conn_close_for(CLOSE_FD_EXHAUSTED);
	}
	CHECK_UNREACHABLE();
}

static enum err arrived_at(struct conn *conn, struct addr *out_local)
{
	enum err err = original_dst_get(conn->fd, &conn->source, &conn->dst);
	*out_local = (struct addr){.port = 0};
	/* Every listener has a port of ours: what wanted to go elsewhere did not arrive where it wanted to. */
	if (err == ERR_NONE && own_ports_has(&conn->env->own_ports, conn->dst.addr.port))
		err = socket_local_addr(conn->fd, out_local);
	if (err != ERR_NONE)
		why_set(conn_why(conn), err, "an original destination from the kernel", "run 'handfast-init check'",
			"none");
	return err;
}

struct conn_next step_original_dst_outbound(struct conn *conn)
{
	struct addr local;
	if (arrived_at(conn, &local) != ERR_NONE)
		return conn_close_for(CLOSE_NO_ORIGINAL_DST);
	return judge(conn, original_dst_check_outbound(&conn->dst, &local, &conn->env->own_ports));
}

struct conn_next step_original_dst_inbound_plain(struct conn *conn)
{
	struct addr local;
	if (arrived_at(conn, &local) != ERR_NONE)
		return conn_close_for(CLOSE_NO_ORIGINAL_DST);
	return judge(conn, original_dst_check_inbound(&conn->dst, &local, &conn->env->own_ports));
}

struct conn_next step_original_dst_inbound(struct conn *conn)
{
	conn->dst = (struct original_dst){*inbound_stream_authority(conn->stream)};
	return judge(conn,
		original_dst_check_authority(&conn->dst, inbound_stream_local(conn->stream), &conn->env->own_ports));
}
