/* TCP and Unix sockets: connect, listen, socket options. All are non-blocking. */
#pragma once

#include "base/core/addr.h"
#include "base/core/err.h"
#include "base/net/local_ports.h"
#include <sys/types.h>

struct socket_connect_options {
	const struct ip_addr *source; /* bind here first, with IP_BIND_ADDRESS_NO_PORT; NULL: the kernel chooses */
	struct local_ports *ports;    /* of this thread: bounds the search for a free port; NULL: unbounded */
	bool resets_on_close;         /* set at creation, so that it also applies when the process is killed */
	bool over_loopback;           /* bound to lo: its ports can be reused a second after close */
	bool *out_connected;          /* over_loopback: true when connected already; may be NULL */
	bool in_name;                 /* the source may be of another host: needs CAP_NET_RAW */
	uint32_t scope;               /* the interface of link-local addresses of IPv6, at both ends; 0: none */
	bool is_near;                 /* the peer is on this machine: see socket_limit_memory() */
};
/* Starts to connect; the descriptor becomes writable with the result. ERR_NO_PORT: every local port that was tried is
 * in use for that destination. ERR_UNREACHABLE: no route, or the source is not a local address. */
enum err socket_connect(const struct addr *to, const struct socket_connect_options *options, int *out_fd) _must_use_;
/* IP_TRANSPARENT: the socket may be bound to any address. False: not permitted. */
bool socket_set_transparent(int fd, int family);
enum err socket_connect_result(int fd); /* once writable: SO_ERROR as an enum err */

struct passed_sockets;
struct socket_listen_options {
	int backlog; /* 0: 1024 */
	bool reuse_port;
	bool v6_only;                  /* for IPv6 addresses; :: without it accepts IPv4 too */
	struct passed_sockets *passed; /* one of them that listens there is taken instead; NULL: none */
	bool only_binds;               /* for a listener that is held: the kernel leads no connection to it yet */
};
enum err socket_listen(
	const struct addr *at, const struct socket_listen_options *options, int *out_fd, struct why *why) _must_use_;
/* Refuses to replace foreign files and symlinks. passed: as above. */
enum err socket_listen_unix(
	const char *path, unsigned mode, struct passed_sockets *passed, int *out_fd, struct why *why) _must_use_;
/* Removes the file of a socket of the own user on which no program listens any more. Any other stays. */
void socket_remove_unix(const char *path);
enum err socket_connect_unix(const char *path, int *out_fd, struct why *why) _must_use_;

struct peer_process {
	pid_t pid;
	uid_t uid;
	gid_t gid;
}; /* SO_PEERCRED: as of connect() */
enum err socket_peer_process(int fd, struct peer_process *out) _must_use_;
/* The user alone, also of a process that this one's pid namespace does not have, as where a pod's folder is the node's.
 */
enum err socket_peer_user(int fd, uid_t *out) _must_use_;
/* The network namespace that the peer of a Unix socket was in at connect(), or that a listening one was made in: an
 * opaque number, equal for the same namespace. ERR_UNSUPPORTED: the kernel is older than 5.14. */
enum err socket_network_namespace(int fd, uint64_t *out) _must_use_;
enum err socket_own_network_namespace(uint64_t *out) _must_use_; /* that of this thread, as above */

enum err socket_local_addr(int fd, struct addr *out) _must_use_;
void socket_set_nodelay(int fd);
/* Bounds the kernel's buffers of a socket: bytes written and not sent, and, if the peer is on this machine (so that no
 * bandwidth is lost), bytes received and not read. Accepted sockets inherit it from the listening one. A connecting
 * socket needs it only after SOCKET_SMALL_MAX bytes: until then the kernel's initial sizes are as small. */
enum { SOCKET_UNSENT_MAX = 128 * 1024, SOCKET_NEAR_UNREAD_MAX = 208 * 1024, SOCKET_SMALL_MAX = 64 * 1024 };
void socket_limit_memory(int fd, bool is_near);

struct socket_keepalive { /* TCP keepalive: an idle connection fails after idle_s + interval_s * probes without an
			     answer */
	unsigned idle_s, interval_s, probes;
};
void socket_set_keepalive(int fd, const struct socket_keepalive *keepalive);
/* close() sends RST instead of FIN, also when the process is killed; accepted sockets inherit it. false: FIN again, and
 * sent bytes are still delivered. */
void socket_set_reset_on_close(int fd, bool resets);

/* The state of a connection that is not being read. ERR_NONE: open, or the peer only sent FIN. ERR_RESET, ERR_TIMEOUT:
 * lost, with undelivered bytes. ERR_CLOSED: reset after the peer's FIN: the bytes before it are complete and can be
 * read, but not written. Clears the socket's error. */
enum err socket_take_failure(int fd) _must_use_;

struct socket_unacked { /* bytes that were written and not yet acknowledged by the peer's kernel */
	bool has_any;
	bool in_flight;      /* sent; else they wait for the peer's window */
	unsigned probes;     /* unanswered window probes in a row */
	uint64_t silence_ms; /* since the last acknowledgment */
};
struct socket_unacked socket_unacked(int fd);
