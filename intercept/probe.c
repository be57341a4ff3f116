#include "intercept/probe.h"
#include "base/core/check.h"
#include "base/net/fd.h"
#include "base/net/socket.h"
#include "intercept/kernel_tcp.h"
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <unistd.h>

#define ORIGINAL_DST 80 /* SO_ORIGINAL_DST and IP6T_SO_ORIGINAL_DST */
#define LOOK_MS      10 /* between two looks at the kernel's table */

/* How many connections of the workload's own we take (and drop) before ours must have come. */
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

/* Becomes that user, as far as new sockets are concerned. On failure this process is who it was. */
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

/* Back again: the user id first, it carries the right to change the group. */
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

/* A socket belongs to whom its process is at that moment, for as long as it lives. */
static enum err socket_as(const struct probe *probe, int *out_fd)
{
	struct user self = {geteuid(), getegid()};
	if (!become((struct user){probe->uid, probe->gid}))
		return ERR_DENIED;
	enum err err = fd_socket(probe->dialed.ip.family, SOCK_STREAM, out_fd);
	become_again(self);
	return err;
}

/* Our own listener where redirected connections arrive; -1 if somebody has the port already. */
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

/* What our own listener has to say about the connection that we dialed from `from`. */
static enum probe_outcome ask_listener(
	int listening_fd, const struct probe *probe, const struct addr *from, struct why *why)
{
	_cleanup_fd_ int fd = -1;
	struct addr peer = {0}, original = {0};
	char text[ADDR_TEXT_MAX];
	for (int i = 0; !addr_eq(&peer, from); i++) { /* the workload's own connections may come first */
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
	enum err told = why_set(why, ERR_NOT_FOUND, "the address dialed as the original destination",
		"look for other nat rules in this namespace", "%s", addr_format(&original, text));
	return PROBE_MISDIRECTED;
}

/* Whether connect() failed at once because nothing leads there. The same errors later, from a neighbour that is
 * missing, say the contrary: the packet was on its way out. */
static bool is_no_route(int errnum)
{
	return errnum == ENETUNREACH || errnum == EHOSTUNREACH || errnum == EADDRNOTAVAIL || errnum == EAFNOSUPPORT;
}

/* What an attempt to connect came to, before anybody is asked where it arrived. */
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

/* With a listener of our own: the whole handshake, and then the original destination. */
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

/* Answers with fewer hops left than any has are not for us: a way to be deaf that needs no privilege (a socket filter
 * does, on some kernels). Where it does not work we hear, and only lose the certainty that dial_theirs() speaks of. */
static void make_deaf(int fd, int family)
{
	int hops = 255;
	bool is_v4 = family == AF_INET;
	setsockopt(fd, is_v4 ? SOL_IP : SOL_IPV6, is_v4 ? IP_MINTTL : IPV6_MINHOPCOUNT, &hops, sizeof(hops));
}

/* With somebody else's listener: only our SYN, whose answer we do not hear. So the handshake stays half-way, where the
 * kernel's table shows it for as long as we look and the listener is not even woken; a listener that resets at once
 * could otherwise be quicker than we are. */
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
	for (int waited_ms = 0; waited_ms <= probe->timeout_ms; waited_ms += LOOK_MS) {
		if (kernel_tcp_has(probe->port, &from))
			return PROBE_REDIRECTED;
		poll(NULL, 0, LOOK_MS);
	}
	return PROBE_ELSEWHERE;
}

enum probe_outcome probe_run(const struct probe *probe, struct why *why)
{
	_cleanup_fd_ int listening_fd = listen_here(probe);
	_cleanup_fd_ int fd = -1;
	if (socket_as(probe, &fd) != ERR_NONE)
		return PROBE_CANNOT_BE_USER;
	return listening_fd >= 0 ? dial_ours(fd, listening_fd, probe, why) : dial_theirs(fd, probe);
}

static bool repair(int fd, int mode)
{
	return setsockopt(fd, SOL_TCP, TCP_REPAIR, &mode, sizeof(mode)) == 0;
}

/* It begins without a window to send into. */
static bool open_window(int fd)
{
	struct tcp_repair_window window = {.snd_wnd = 65535, .max_window = 65535, .rcv_wnd = 65535};
	return setsockopt(fd, SOL_TCP, TCP_REPAIR_WINDOW, &window, sizeof(window)) == 0;
}

/* In repair mode connect() makes an open connection without a packet, and close() ends it without one; leaving the mode
 * this way sends no probe. */
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
