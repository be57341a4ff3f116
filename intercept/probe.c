#include "intercept/probe.h"
#include "base/core/check.h"
#include "base/core/random.h"
#include "base/net/fd.h"
#include "base/net/local_ports.h"
#include "base/net/socket.h"
#include "intercept/kernel_tcp.h"
#include "intercept/rules.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <unistd.h>

#define ORIGINAL_DST 80 /* SO_ORIGINAL_DST and IP6T_SO_ORIGINAL_DST */
#define POLL_MS      10 /* between two polls of the kernel's table */

#define UNPRIVILEGED_MIN 1024 /* the first port that needs no permission */
#define BIND_TRIES       16

/* How many connections of the workload the probe accepts (and drops) before its own must have arrived. */
#define STRANGERS_MAX 64

static bool wait_for(int fd, short events, int timeout_ms)
{
	struct pollfd one = {.fd = fd, .events = events};
	return poll(&one, 1, timeout_ms) == 1;
}

struct user {
	uid_t uid;
	gid_t gid;
};

/* Switches the effective user and group for new sockets. On failure they are unchanged. */
static bool become(struct user user)
{
	gid_t gid = getegid();
	if (setegid(user.gid) != 0)
		return false;
	if (seteuid(user.uid) == 0)
		return true;
	CHECK(setegid(gid) == 0);
	return false;
}

/* Switches back: first the uid, which permits changing the gid. */
static void become_again(struct user user)
{
	CHECK(seteuid(user.uid) == 0);
	CHECK(setegid(user.gid) == 0);
}

bool probe_can_be(uid_t uid, gid_t gid)
{
	struct user self = {geteuid(), getegid()};
	if (!become((struct user){uid, gid}))
		return false;
	become_again(self);
	return true;
}

/* A socket keeps the uid and gid that its process had at creation. */
static enum err socket_as(const struct probe *probe, int *out_fd)
{
	struct user self = {geteuid(), getegid()};
	if (!become((struct user){probe->uid, probe->gid}))
		return ERR_DENIED;
	enum err err = fd_socket(probe->dialed.ip.family, SOCK_STREAM, out_fd);
	become_again(self);
	return err;
}

/* A port below those that the kernel gives to connections. After nat all redirected connections have one destination,
 * the sidecar's port, so one from a port that conntrack still knows gets another port, and its arrival is not
 * recognized. Where there is no such port the kernel chooses one. */
static void bind_below_the_range(int fd, int family)
{
	struct local_ports ports;
	struct addr at = {.ip.family = (uint8_t)family};
	struct sockaddr_storage sa;
	local_ports_init(&ports, 0);
	for (unsigned i = 0; i < BIND_TRIES && ports.first > UNPRIVILEGED_MIN; i++) {
		at.port = (uint16_t)(UNPRIVILEGED_MIN + random_u32() % (ports.first - UNPRIVILEGED_MIN));
		socklen_t len = addr_to_sockaddr(&at, &sa);
		if (bind(fd, (struct sockaddr *)&sa, len) == 0)
			return;
	}
}

/* The probe's own listener where redirected connections arrive; -1: the port is in use. */
static int listen_here(const struct probe *probe)
{
	struct addr at = {.port = probe->port};
	struct socket_listen_options options = {.v6_only = true};
	int fd = -1;
	enum err err = ip_addr_parse(
		probe->dialed.ip.family == AF_INET ? SPAN_LITERAL("127.0.0.1") : SPAN_LITERAL("::1"), &at.ip);
	CHECK(err == ERR_NONE);
	return socket_listen(&at, &options, &fd, NULL) == ERR_NONE ? fd : -1;
}

static enum err original_dst(int fd, int family, struct addr *out)
{
	struct sockaddr_storage storage = {0};
	socklen_t len = sizeof(storage);
	if (getsockopt(fd, family == AF_INET ? SOL_IP : SOL_IPV6, ORIGINAL_DST, &storage, &len) != 0)
		return ERR_NOT_FOUND;
	return addr_from_sockaddr((struct sockaddr *)&storage, len, out);
}

/* The outcome, from the own listener, of the connection that was made from `from`. */
static enum probe_outcome ask_listener(
	int listening_fd, const struct probe *probe, const struct addr *from, struct why *why)
{
	_cleanup_fd_ int fd = -1;
	struct addr peer = {0}, original = {0};
	char text[ADDR_TEXT_MAX];
	for (int i = 0; !addr_eq(&peer, from); i++) { /* connections of the workload may come first */
		fd_close(TAKE_FD(fd));
		if (i == STRANGERS_MAX || !wait_for(listening_fd, POLLIN, probe->timeout_ms) ||
			fd_accept(listening_fd, &peer, &fd) != ERR_NONE)
			return PROBE_ELSEWHERE;
	}
	if (original_dst(fd, probe->dialed.ip.family, &original) != ERR_NONE)
		return PROBE_MISDIRECTED;
	if (addr_eq(&original, &probe->dialed))
		return PROBE_REDIRECTED;
	_unused_
	enum err ignored = why_set(why, ERR_NOT_FOUND, "the dialed address as the original destination",
		"check for other nat rules in this network namespace", "the original destination is %s",
		addr_format(&original, text));
	return PROBE_MISDIRECTED;
}

/* Whether connect() failed at once for lack of a route. The same errors later, from a missing neighbor, mean that the
 * packet was about to leave. */
static bool is_no_route(int errnum)
{
	return errnum == ENETUNREACH || errnum == EHOSTUNREACH || errnum == EADDRNOTAVAIL || errnum == EAFNOSUPPORT;
}

/* The outcome of connect(), before the arrival is checked. */
static enum probe_outcome connect_as(const struct probe *probe, int fd)
{
	struct sockaddr_storage to;
	socklen_t len = addr_to_sockaddr(&probe->dialed, &to);
	int errnum = 0;
	socklen_t errnum_len = sizeof(errnum);
	if (connect(fd, (struct sockaddr *)&to, len) == 0)
		return PROBE_REDIRECTED;
	if (errno != EINPROGRESS)
		return is_no_route(errno) ? PROBE_NO_ROUTE : PROBE_ELSEWHERE;
	if (!wait_for(fd, POLLOUT, probe->timeout_ms))
		return PROBE_UNANSWERED;
	CHECK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &errnum, &errnum_len) == 0);
	if (errnum == ETIMEDOUT || is_no_route(errnum))
		return PROBE_UNANSWERED;
	return errnum == 0 ? PROBE_REDIRECTED : PROBE_ELSEWHERE;
}

/* With the own listener: a complete handshake, then the original destination. */
static enum probe_outcome dial_ours(int fd, int listening_fd, const struct probe *probe, struct why *why)
{
	struct addr from = {0};
	enum probe_outcome outcome = connect_as(probe, fd);
	if (outcome != PROBE_REDIRECTED)
		return outcome;
	if (socket_local_addr(fd, &from) != ERR_NONE)
		return PROBE_ELSEWHERE;
	return ask_listener(listening_fd, probe, &from, why);
}

/* Drops all answers by a minimum TTL that none has; this needs no privilege (a socket filter does on some kernels).
 * Where it does not work, only the certainty described at dial_theirs() is lost. */
static void make_deaf(int fd, int family)
{
	int hops = 255;
	bool is_v4 = family == AF_INET;
	setsockopt(fd, is_v4 ? SOL_IP : SOL_IPV6, is_v4 ? IP_MINTTL : IPV6_MINHOPCOUNT, &hops, sizeof(hops));
}

/* With another listener at the port: sends a SYN and drops the answer. The handshake stays incomplete, so the kernel's
 * table shows it while the probe polls, and the listener is not woken; else a listener that resets at once could end
 * the connection before the poll. */
static enum probe_outcome dial_theirs(int fd, const struct probe *probe)
{
	struct sockaddr_storage to;
	socklen_t len = addr_to_sockaddr(&probe->dialed, &to);
	struct addr from = {0};
	make_deaf(fd, probe->dialed.ip.family);
	if (connect(fd, (struct sockaddr *)&to, len) != 0 && errno != EINPROGRESS)
		return is_no_route(errno) ? PROBE_NO_ROUTE : PROBE_ELSEWHERE;
	if (socket_local_addr(fd, &from) != ERR_NONE)
		return PROBE_ELSEWHERE;
	for (int waited_ms = 0; waited_ms <= probe->timeout_ms; waited_ms += POLL_MS) {
		if (kernel_tcp_has(probe->port, &from))
			return PROBE_REDIRECTED;
		poll(NULL, 0, POLL_MS);
	}
	return PROBE_ELSEWHERE;
}

enum probe_outcome probe_run(const struct probe *probe, struct why *why)
{
	CHECK(probe->port != 0 && probe->dialed.port != 0 && probe->timeout_ms > 0);
	_cleanup_fd_ int listening_fd = listen_here(probe);
	_cleanup_fd_ int fd = -1;
	if (socket_as(probe, &fd) != ERR_NONE)
		return PROBE_CANNOT_BE_USER;
	bind_below_the_range(fd, probe->dialed.ip.family);
	return listening_fd >= 0 ? dial_ours(fd, listening_fd, probe, why) : dial_theirs(fd, probe);
}

static bool repair(int fd, int mode)
{
	return setsockopt(fd, SOL_TCP, TCP_REPAIR, &mode, sizeof(mode)) == 0;
}

/* A repaired connection starts without a send window. */
static bool open_window(int fd)
{
	struct tcp_repair_window window = {.snd_wnd = 65535, .max_window = 65535, .rcv_wnd = 65535};
	return setsockopt(fd, SOL_TCP, TCP_REPAIR_WINDOW, &window, sizeof(window)) == 0;
}

/* In repair mode connect() and close() send no packet; this way of leaving the mode sends no window probe. */
enum err probe_send_untranslatable(const struct probe *probe)
{
	_cleanup_fd_ int fd = -1;
	struct sockaddr_storage to;
	socklen_t len = addr_to_sockaddr(&probe->dialed, &to);
	RETURN_IF_ERR(socket_as(probe, &fd));
	if (!repair(fd, TCP_REPAIR_ON))
		return ERR_DENIED;
	if (connect(fd, (struct sockaddr *)&to, len) != 0)
		return is_no_route(errno) ? ERR_UNREACHABLE : err_from_errno(errno);
	if (!open_window(fd) || !repair(fd, TCP_REPAIR_OFF_NO_WP))
		return ERR_DENIED;
	enum err err = shutdown(fd, SHUT_WR) == 0 ? ERR_NONE : err_from_errno(errno);
	(void)repair(fd, TCP_REPAIR_ON);
	return err;
}

static enum err listen_at_own(const struct probe *probe, const struct ip_addr *own, struct addr *out, int *out_fd)
{
	_cleanup_fd_ int fd = -1;
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(&(struct addr){.ip = *own}, &sa);
	RETURN_IF_ERR(socket_as(probe, &fd));
	if (bind(fd, (struct sockaddr *)&sa, len) != 0 || listen(fd, 1) != 0)
		return err_from_errno(errno);
	RETURN_IF_ERR(socket_local_addr(fd, out));
	*out_fd = TAKE_FD(fd);
	return ERR_NONE;
}

static enum err connect_in_name(const struct probe *probe, const struct addr *to, int *out_fd)
{
	struct probe sidecar = *probe;
	_cleanup_fd_ int fd = -1;
	struct sockaddr_storage from, sa;
	socklen_t from_len = addr_to_sockaddr(&(struct addr){.ip = probe->dialed.ip}, &from);
	socklen_t len = addr_to_sockaddr(to, &sa);
	sidecar.uid = RULES_EXEMPT_ID;
	sidecar.gid = RULES_EXEMPT_ID;
	RETURN_IF_ERR(socket_as(&sidecar, &fd));
	if (!socket_set_transparent(fd, to->ip.family) || bind(fd, (struct sockaddr *)&from, from_len) != 0)
		return ERR_DENIED;
	if (connect(fd, (struct sockaddr *)&sa, len) != 0 && errno != EINPROGRESS)
		return err_from_errno(errno);
	*out_fd = TAKE_FD(fd);
	return ERR_NONE;
}

enum err probe_in_a_callers_name(const struct probe *probe, const struct ip_addr *own)
{
	struct addr at = {0}, peer = {0};
	_cleanup_fd_ int listening_fd = -1, fd = -1, accepted_fd = -1;
	RETURN_IF_ERR(listen_at_own(probe, own, &at, &listening_fd));
	RETURN_IF_ERR(connect_in_name(probe, &at, &fd));
	if (!wait_for(listening_fd, POLLIN, probe->timeout_ms) ||
		fd_accept(listening_fd, &peer, &accepted_fd) != ERR_NONE)
		return ERR_TIMEOUT;
	return ip_addr_eq(&peer.ip, &probe->dialed.ip) ? ERR_NONE : ERR_TIMEOUT;
}
