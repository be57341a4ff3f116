#include "base/net/socket.h"
#include "base/core/check.h"
#include "base/net/fd.h"
#include "base/net/passed_sockets.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#ifndef IP_LOCAL_PORT_RANGE /* missing in the C library of Debian 12 */
#define IP_LOCAL_PORT_RANGE 51
#endif

/* A refused option costs speed or early detection, not correctness: the result is ignored. */
static void set_option(int fd, int level, int name, int value)
{
	(void)setsockopt(fd, level, name, &value, sizeof value);
}

/* SO_BINDTODEVICE by number; needs no privilege from Linux 5.7 on. The kernel reuses a port in TIME_WAIT only if both
 * ends are known to be on this machine: by addresses of 127/8, or by this binding. */
enum { LOOPBACK_IFINDEX = 1 };

/* Linux sizes send buffers by the segment size, 64 KiB on lo: each program at the other end would get 2.6 MB. With this
 * segment size it is a third, at the same throughput; the kernel still transfers 64 KiB at a time. */
enum { NEAR_SEGMENT_MAX = 32000 };

enum how { DIRECTLY, OVER_LOOPBACK, EXCLUSIVELY /* from a port that no other connection of this source uses */ };

static enum err bind_source(int fd, const struct socket_connect_options *options, enum how how)
{
	struct sockaddr_storage sa;
	/* Else bind() reserves one of about 28,000 ports for all destinations. */
	if (how != EXCLUSIVELY)
		set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	socklen_t len = addr_to_sockaddr_at(&(struct addr){.ip = *options->source}, options->scope, &sa);
	return bind(fd, (struct sockaddr *)&sa, len) == 0 ? ERR_NONE : err_from_errno(errno);
}

bool socket_set_transparent(int fd, int family)
{
	const int on = 1;
	bool is_v4 = family == AF_INET;
	return setsockopt(fd, is_v4 ? SOL_IP : SOL_IPV6, is_v4 ? IP_TRANSPARENT : IPV6_TRANSPARENT, &on, sizeof(on)) ==
	       0;
}

static enum err prepare(int fd, const struct socket_connect_options *options, enum how how)
{
	if (options->resets_on_close)
		socket_set_reset_on_close(fd, true);
	if (options->is_near) /* sent to the peer in the SYN */
		set_option(fd, IPPROTO_TCP, TCP_MAXSEG, NEAR_SEGMENT_MAX);
	if (options->in_name && !socket_set_transparent(fd, options->source->family))
		return ERR_DENIED;
	if (how == OVER_LOOPBACK)
		set_option(fd, SOL_SOCKET, SO_BINDTOIFINDEX, LOOPBACK_IFINDEX);
	return options->source == NULL || how == EXCLUSIVELY ? ERR_NONE : bind_source(fd, options, how);
}

static enum err connect_once(int fd, const struct sockaddr_storage *sa, socklen_t len)
{
	/* EINTR: connecting continues (POSIX connect). */
	if (connect(fd, (const struct sockaddr *)sa, len) == 0 || errno == EINPROGRESS || errno == EINTR)
		return ERR_NONE;
	return errno == EADDRNOTAVAIL || errno == EAGAIN ? ERR_NO_PORT : err_from_errno(errno);
}

static enum err connect_from(int fd, const struct sockaddr_storage *sa, socklen_t len,
	const struct socket_connect_options *options, enum how how)
{
	CHECK(how != EXCLUSIVELY || (options != NULL && options->source != NULL));
	enum err err = how == EXCLUSIVELY ? bind_source(fd, options, how) : ERR_NONE;
	if (err != ERR_NONE)
		return err == ERR_EXISTS ? ERR_NO_PORT : err;
	return connect_once(fd, sa, len);
}

static enum err connect_from_some_port(int fd, const struct sockaddr_storage *sa, socklen_t len,
	const struct socket_connect_options *options, enum how how)
{
	struct local_ports *ports = options == NULL ? NULL : options->ports;
	enum err err = ERR_NO_PORT;
	for (unsigned i = 0; err == ERR_NO_PORT && i < LOCAL_PORTS_TRIES; i++) {
		uint32_t window = ports == NULL ? 0 : local_ports_window(ports);
		bool is_bounded =
			window != 0 && setsockopt(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, &window, sizeof window) == 0;
		err = connect_from(fd, sa, len, options, how);
		if (!is_bounded)
			return err;
		if (err == ERR_NO_PORT)
			local_ports_move(ports);
		else
			local_ports_step(ports);
	}
	return err;
}

static enum err start_connecting(
	const struct addr *to, const struct socket_connect_options *options, enum how how, int *out_fd)
{
	_cleanup_fd_ int fd = -1;
	if (to->ip.family == 0)
		return ERR_UNREACHABLE;
	RETURN_IF_ERR(fd_socket(to->ip.family, SOCK_STREAM, &fd));
	if (options != NULL)
		RETURN_IF_ERR(prepare(fd, options, how));
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr_at(to, options == NULL ? 0 : options->scope, &sa);
	RETURN_IF_ERR(connect_from_some_port(fd, &sa, len, options, how));
	*out_fd = TAKE_FD(fd);
	return ERR_NONE;
}

/* A listening port on this machine has answered when connect() returns. */
static bool is_connected(int fd)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof(peer);
	return getpeername(fd, (struct sockaddr *)&peer, &len) == 0;
}

enum err socket_connect(const struct addr *to, const struct socket_connect_options *options, int *out_fd)
{
	if (options == NULL || !options->over_loopback)
		return start_connecting(to, options, DIRECTLY, out_fd);
	_cleanup_fd_ int fd = -1;
	RETURN_IF_ERR(start_connecting(to, options, OVER_LOOPBACK, &fd));
	/* A SYN through lo to a closed port of a local address gets no reset, because the kernel does not treat its
	 * route as local. Without the binding the refusal comes at once. But for a socket without the binding,
	 * connect() ignores connections that are bound to lo when it selects a port; one with the same four-tuple would
	 * be reset. bind() considers all of them. */
	if (!is_connected(fd)) {
		enum how how = options->source == NULL ? DIRECTLY : EXCLUSIVELY;
		return start_connecting(to, options, how, out_fd);
	}
	if (options->out_connected != NULL)
		*options->out_connected = true;
	*out_fd = TAKE_FD(fd);
	return ERR_NONE;
}

enum err socket_connect_result(int fd)
{
	int errnum = 0;
	socklen_t len = sizeof errnum;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &errnum, &len) != 0)
		return err_from_errno(errno);
	return err_from_errno(errnum);
}

static enum err why_at(struct why *why, int errnum, const struct addr *at)
{
	static const struct {
		int errnum;
		const char *expected, *fix;
	} causes[] = {
		{EACCES, "the permission to listen at that port",
			"choose a port from 1024 on (net.ipv4.ip_unprivileged_port_start), or give the program "
			"CAP_NET_BIND_SERVICE"},
		{EADDRNOTAVAIL, "an address of this host, on an interface that is up",
			"correct the address, or add it to an interface; for 127.0.0.1: `ip link set lo up`"},
		{EMFILE, "a free file descriptor", "raise the limit of open files (LimitNOFILE=, `ulimit -Hn`)"},
		{EADDRINUSE, "a free port of a local address",
			"stop the program that listens there, or choose another address"},
	};
	enum { NUM_CAUSES = sizeof(causes) / sizeof(causes[0]) };
	char text[ADDR_TEXT_MAX];
	size_t cause = 0;
	while (cause + 1 < NUM_CAUSES && causes[cause].errnum != errnum)
		cause++;
	errno = errnum; /* for %m */
	return why_set(why, err_from_errno(errnum), causes[cause].expected, causes[cause].fix,
		"cannot listen at %s: %m", addr_format(at, text));
}

enum err socket_listen(const struct addr *at, const struct socket_listen_options *options, int *out_fd, struct why *why)
{
	static const struct socket_listen_options defaults = {.backlog = 0};
	const struct socket_listen_options *chosen = options != NULL ? options : &defaults;
	_cleanup_fd_ int fd = passed_sockets_take(chosen->passed, at);
	if (fd >= 0) {
		*out_fd = TAKE_FD(fd);
		return ERR_NONE;
	}
	enum err err = fd_socket(at->ip.family, SOCK_STREAM, &fd);
	if (err != ERR_NONE)
		return why_at(why, errno, at);
	set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1); /* else a restart would wait for TIME_WAIT */
	set_option(fd, SOL_SOCKET, SO_REUSEPORT, chosen->reuse_port);
	if (at->ip.family == AF_INET6)
		set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, chosen->v6_only);
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(at, &sa);
	if (bind(fd, (struct sockaddr *)&sa, len) != 0)
		return why_at(why, errno, at);
	if (!chosen->only_binds && listen(fd, chosen->backlog > 0 ? chosen->backlog : 1024) != 0)
		return why_at(why, errno, at);
	*out_fd = TAKE_FD(fd);
	return ERR_NONE;
}

enum err socket_peer_process(int fd, struct peer_process *out)
{
	struct ucred ucred;
	socklen_t len = sizeof ucred;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &ucred, &len) != 0)
		return err_from_errno(errno);
	if (ucred.pid <= 0) /* not a Unix socket, or its peer is in another pid namespace */
		return ERR_UNSUPPORTED;
	*out = (struct peer_process){.pid = ucred.pid, .uid = ucred.uid, .gid = ucred.gid};
	return ERR_NONE;
}

enum err socket_peer_user(int fd, uid_t *out)
{
	struct ucred ucred;
	socklen_t len = sizeof ucred;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &ucred, &len) != 0)
		return err_from_errno(errno);
	if (ucred.uid == (uid_t)-1) /* not a Unix socket */
		return ERR_UNSUPPORTED;
	*out = ucred.uid;
	return ERR_NONE;
}

enum err socket_network_namespace(int fd, uint64_t *out)
{
	uint64_t cookie;
	socklen_t len = sizeof cookie;
	if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len) != 0)
		return errno == ENOPROTOOPT ? ERR_UNSUPPORTED : err_from_errno(errno);
	*out = cookie;
	return ERR_NONE;
}

enum err socket_own_network_namespace(uint64_t *out)
{
	_cleanup_fd_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return fd < 0 ? err_from_errno(errno) : socket_network_namespace(fd, out);
}

typedef int name_fn(int fd, struct sockaddr *sa, socklen_t *len);

static enum err addr_of(int fd, name_fn *name, struct addr *out)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof sa;
	if (name(fd, (struct sockaddr *)&sa, &len) != 0)
		return err_from_errno(errno);
	return addr_from_sockaddr((struct sockaddr *)&sa, len, out);
}

enum err socket_local_addr(int fd, struct addr *out)
{
	return addr_of(fd, getsockname, out);
}

void socket_set_nodelay(int fd)
{
	set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

void socket_limit_memory(int fd, bool is_near)
{
	set_option(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, SOCKET_UNSENT_MAX);
	if (!is_near)
		return;
	/* Not TCP_WINDOW_CLAMP: the kernel's autotuning changes it. The kernel doubles the value for its overhead. */
	set_option(fd, SOL_SOCKET, SO_RCVBUF, SOCKET_NEAR_UNREAD_MAX);
	set_option(fd, IPPROTO_TCP, TCP_MAXSEG, NEAR_SEGMENT_MAX);
}

void socket_set_keepalive(int fd, const struct socket_keepalive *keepalive)
{
	set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, (int)keepalive->idle_s);
	set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, (int)keepalive->interval_s);
	set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, (int)keepalive->probes);
	set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
}

void socket_set_reset_on_close(int fd, bool resets)
{
	struct linger linger = {.l_onoff = resets ? 1 : 0, .l_linger = 0};
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}

enum err socket_take_failure(int fd)
{
	/* Only an error: POLLHUP is also set when both sides closed in order. */
	struct pollfd polled = {.fd = fd, .events = 0};
	if (poll(&polled, 1, 0) <= 0 || (polled.revents & POLLERR) == 0)
		return ERR_NONE;
	return socket_connect_result(fd);
}

struct socket_unacked socket_unacked(int fd)
{
	int bytes = 0;
	struct tcp_info facts = {0};
	socklen_t len = sizeof facts;
	if (ioctl(fd, TIOCOUTQ, &bytes) != 0 || bytes == 0 || getsockopt(fd, IPPROTO_TCP, TCP_INFO, &facts, &len) != 0)
		return (struct socket_unacked){.has_any = false};
	return (struct socket_unacked){
		.has_any = true,
		.in_flight = facts.tcpi_unacked > 0,
		.probes = facts.tcpi_probes,
		.silence_ms = facts.tcpi_last_ack_recv,
	};
}
