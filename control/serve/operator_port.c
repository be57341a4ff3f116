#include "control/serve/operator_port.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "base/net/tcp_table.h"

struct operator_port {
	struct operator_port_options options;
	struct listener *listener;
};

static void refuse(const struct operator_port *port, enum err err, uid_t uid)
{
	struct why why = {0};
	if (!limited_log_allows_identity(port->options.lines, "the operators' port", "operator refused"))
		return;
	static const char expected[] = "a port that the API server forwards: the node's runtime connects as root";
	static const char fix[] = "find the program of this pod or node that connects to kubernetes.operator_port; a "
				  "pod with a user namespace (hostUsers: false) does not see the runtime's root";
	if (err == ERR_NONE)
		(void)why_set(&why, ERR_DENIED, expected, fix, "a connection of uid %u", (unsigned)uid);
	else
		(void)why_set(
			&why, ERR_DENIED, expected, fix, "a connection whose user is not known: %s", err_text(err));
	log_why(LOG_LEVEL_WARNING, "audit", "operator refused", &why);
}

static void on_accept(void *arg, int fd, const struct addr *peer)
{
	const struct operator_port *port = arg;
	struct addr own;
	uid_t uid = 0;
	enum err err = socket_local_addr(fd, &own);
	if (err == ERR_NONE)
		err = tcp_table_user(port->options.table_fd, peer, &own, &uid);
	if (err == ERR_NONE && uid == 0) {
		port->options.on_connect(port->options.arg, fd, peer);
		return;
	}
	refuse(port, err, uid);
	fd_close(fd);
}

static void on_pause(void *arg, bool paused)
{
	const struct operator_port *port = arg;
	port->options.on_pause(port->options.arg, paused);
}

struct operator_port *operator_port_new(const struct operator_port_options *options)
{
	struct operator_port *port = mem_new(struct operator_port);
	port->options = *options;
	port->listener = listener_new(options->loop, options->listening_fd, on_accept, on_pause, port);
	return port;
}

void operator_port_free(struct operator_port *port)
{
	if (port == NULL)
		return;
	listener_free(port->listener);
	fd_close(port->options.table_fd);
	mem_free(port);
}
