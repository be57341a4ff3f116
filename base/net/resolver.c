#include "base/net/resolver.h"

#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include <ares.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>

enum { SOCKETS_MAX = 16, POLL_MS = 50 };

struct resolver_socket {
	struct resolver *resolver;
	struct loop_io io;
	ares_socket_t fd; /* ARES_SOCKET_BAD: free */
};

struct resolver {
	struct loop *loop;
	ares_channel channel;
	struct resolver_socket sockets[SOCKETS_MAX];
	struct loop_timer poll, deadline; /* c-ares' retries; the query's timeout */
	struct loop_task answer;
	resolver_done_fn *on_done; /* NULL: no query */
	void *arg;
	enum err err;
	struct ip_addr ips[RESOLVED_MAX];
	size_t num;
	bool is_closing;
};

struct name_servers {
	struct ares_addr_port_node *nodes; /* NULL: none */
};

struct name_servers *name_servers_new(void)
{
	struct name_servers *servers = mem_new(struct name_servers);
	ares_channel channel;
	if (ares_init(&channel) != ARES_SUCCESS)
		return servers;
	(void)ares_get_servers_ports(channel, &servers->nodes); /* else none are kept */
	ares_destroy(channel);
	return servers;
}

void name_servers_free(struct name_servers *servers)
{
	if (servers == NULL)
		return;
	if (servers->nodes != NULL)
		ares_free_data(servers->nodes);
	mem_free(servers);
}

/* c-ares takes 127.0.0.1 where it may not read the file. */
static void use_kept(ares_channel channel, const struct name_servers *kept)
{
	_cleanup_fd_ int fd = open("/etc/resolv.conf", O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == EACCES && kept != NULL && kept->nodes != NULL)
		(void)ares_set_servers_ports(channel, kept->nodes); /* else its own stay */
}

static void on_ready(struct loop_io *io, unsigned ready)
{
	struct resolver_socket *socket = container_of(io, struct resolver_socket, io);
	ares_socket_t fd = socket->fd;
	ares_process_fd(socket->resolver->channel, (ready & LOOP_READ) != 0 ? fd : ARES_SOCKET_BAD,
		(ready & LOOP_WRITE) != 0 ? fd : ARES_SOCKET_BAD);
}

static struct resolver_socket *socket_of(struct resolver *resolver, ares_socket_t fd)
{
	for (unsigned i = 0; i < SOCKETS_MAX; i++)
		if (resolver->sockets[i].fd == fd)
			return &resolver->sockets[i];
	return NULL;
}

/* c-ares reports the sockets to watch, and stops watching before it closes one. */
static void on_socket(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct resolver *resolver = arg;
	CHECK(fd != ARES_SOCKET_BAD);
	struct resolver_socket *socket = socket_of(resolver, fd);
	unsigned interest = (readable ? LOOP_READ : 0u) | (writable ? LOOP_WRITE : 0u);
	if (interest == 0) {
		if (socket != NULL) {
			loop_io_stop(&socket->io);
			socket->fd = ARES_SOCKET_BAD;
		}
		return;
	}
	if (socket != NULL) {
		loop_io_set_interest(&socket->io, interest);
		return;
	}
	socket = socket_of(resolver, ARES_SOCKET_BAD);
	if (socket == NULL)
		return; /* more servers than supported: the timer polls those */
	socket->fd = fd;
	loop_io_start(resolver->loop, &socket->io, fd, interest, on_ready);
}

static void on_poll(struct loop_timer *timer)
{
	struct resolver *resolver = container_of(timer, struct resolver, poll);
	ares_process_fd(resolver->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	if (resolver->on_done != NULL && !loop_task_is_posted(&resolver->answer))
		loop_timer_start(resolver->loop, &resolver->poll, POLL_MS, on_poll);
}

static void answer(struct loop_task *task)
{
	struct resolver *resolver = container_of(task, struct resolver, answer);
	resolver_done_fn *on_done = resolver->on_done;
	CHECK(on_done != NULL && resolver->num <= RESOLVED_MAX);
	loop_timer_stop(&resolver->poll);
	loop_timer_stop(&resolver->deadline);
	resolver->on_done = NULL;
	on_done(resolver->arg, resolver->err, resolver->ips, resolver->num);
}

static enum err err_of(int status)
{
	if (status == ARES_SUCCESS)
		return ERR_NONE;
	if (status == ARES_ENOTFOUND || status == ARES_ENODATA || status == ARES_EBADNAME)
		return ERR_NOT_FOUND;
	return status == ARES_ETIMEOUT ? ERR_TIMEOUT : ERR_UNAVAILABLE;
}

static void take_addresses(struct resolver *resolver, const struct ares_addrinfo *result)
{
	struct addr addr;
	resolver->num = 0;
	for (const struct ares_addrinfo_node *node = result->nodes; node != NULL; node = node->ai_next)
		if (resolver->num < RESOLVED_MAX &&
			addr_from_sockaddr(node->ai_addr, node->ai_addrlen, &addr) == ERR_NONE)
			resolver->ips[resolver->num++] = addr.ip;
}

static void on_result(void *arg, int status, int timeouts, struct ares_addrinfo *result)
{
	struct resolver *resolver = arg;
	(void)timeouts;
	if (status == ARES_SUCCESS)
		take_addresses(resolver, result);
	if (result != NULL)
		ares_freeaddrinfo(result);
	/* Canceled: there is no query any more, or the timeout reports. */
	if (resolver->is_closing || status == ARES_ECANCELLED || status == ARES_EDESTRUCTION)
		return;
	resolver->err = status == ARES_SUCCESS && resolver->num == 0 ? ERR_NOT_FOUND : err_of(status);
	loop_task_post(resolver->loop, &resolver->answer, answer);
}

static void deadline_passed(struct loop_timer *timer)
{
	struct resolver *resolver = container_of(timer, struct resolver, deadline);
	ares_cancel(resolver->channel);
	resolver->err = ERR_TIMEOUT;
	loop_task_post(resolver->loop, &resolver->answer, answer);
}

enum err resolver_new(struct loop *loop, const struct name_servers *kept, struct resolver **out, struct why *why)
{
	struct resolver *resolver = mem_new(struct resolver);
	struct ares_options options = {
		.timeout = 500, .tries = 4, .sock_state_cb = on_socket, .sock_state_cb_data = resolver};
	resolver->loop = loop;
	for (unsigned i = 0; i < SOCKETS_MAX; i++)
		resolver->sockets[i] = (struct resolver_socket){.resolver = resolver, .fd = ARES_SOCKET_BAD};
	int status = ares_library_init(ARES_LIB_INIT_ALL);
	if (status == ARES_SUCCESS)
		status = ares_init_options(
			&resolver->channel, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
	if (status != ARES_SUCCESS) {
		mem_free(resolver);
		return why_set(why, ERR_SYSTEM, "a resolver", "check /etc/resolv.conf", "cannot start the resolver: %s",
			ares_strerror(status));
	}
	use_kept(resolver->channel, kept);
	*out = resolver;
	return ERR_NONE;
}

void resolver_query(
	struct resolver *resolver, const char *name, uint32_t timeout_ms, resolver_done_fn *on_done, void *arg)
{
	CHECK(resolver->on_done == NULL && !loop_task_is_posted(&resolver->answer) && on_done != NULL);
	struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	resolver->on_done = on_done;
	resolver->arg = arg;
	resolver->num = 0;
	loop_timer_start(resolver->loop, &resolver->poll, POLL_MS, on_poll);
	loop_timer_start(resolver->loop, &resolver->deadline, timeout_ms, deadline_passed);
	/* No service name: its lookup fails without /etc/services. */
	ares_getaddrinfo(resolver->channel, name, NULL, &hints, on_result, resolver);
}

void resolver_cancel(struct resolver *resolver)
{
	loop_timer_stop(&resolver->poll);
	loop_timer_stop(&resolver->deadline);
	loop_task_cancel(&resolver->answer);
	resolver->on_done = NULL;
	ares_cancel(resolver->channel);
}

void resolver_free(struct resolver *resolver)
{
	resolver->is_closing = true;
	resolver_cancel(resolver);
	ares_destroy(resolver->channel);
	ares_library_cleanup();
	for (unsigned i = 0; i < SOCKETS_MAX; i++)
		CHECK(resolver->sockets[i].fd == ARES_SOCKET_BAD); /* else its watcher outlives it */
	mem_free(resolver);
}

const char *resolver_library_version(void)
{
	return ares_version(NULL);
}
