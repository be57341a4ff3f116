/* Plain TCP and Unix sockets: connect, listen, and the options we set. Non-blocking throughout. */
#pragma once

#include "base/core/addr.h"
#include "base/core/err.h"
#include "base/net/local_ports.h"
#include <sys/types.h>

struct socket_connect_options {
	const struct ip_addr *source; /* bind here first, with IP_BIND_ADDRESS_NO_PORT; NULL: the kernel chooses */
	struct local_ports *ports;    /* of this thread: bounds the search for a free port; NULL: unbounded */
	bool resets_on_close;         /* from the start, so that it holds however the process ends */
	bool over_loopback;           /* by way of lo: its ports can be used again a second after they were closed */
	bool *out_connected;          /* over_loopback: set to true when it is connected already; may be NULL */
	bool is_near;                 /* the other end is on this machine: see socket_limit_memory() */
};
/* Starts to connect; the descriptor is writable when it is decided. ERR_NO_PORT: every local port that was tried is in
 * use towards that address. ERR_UNREACHABLE: no route, or the source is no address of ours. */
enum err socket_connect(const struct addr *to, const struct socket_connect_options *options, int *out_fd) _must_use_;
enum err socket_connect_result(int fd); /* after it became writable: SO_ERROR as an enum err */

struct socket_listen_options {
	int backlog; /* 0: 1024 */
	bool reuse_port;
	bool v6_only; /* only for IPv6 addresses; :: without it takes IPv4 too */
};
enum err socket_listen(
	const struct addr *at, const struct socket_listen_options *options, int *out_fd, struct why *why) _must_use_;
enum err socket_listen_unix(const char *path, unsigned mode, int *out_fd,
	struct why *why) _must_use_; /* refuses a foreign or symlinked file */
enum err socket_connect_unix(const char *path, int *out_fd, struct why *why) _must_use_;

struct peer_process {
	pid_t pid;
	uid_t uid;
	gid_t gid;
}; /* SO_PEERCRED: as of connect() */
enum err socket_peer_process(int fd, struct peer_process *out) _must_use_;

enum err socket_local_addr(int fd, struct addr *out) _must_use_;
void socket_set_nodelay(int fd);
/* Bounds what the kernel holds for a socket whose other end does not read, or that is not read: bytes that were written
 * and not sent, and, where the other end is near (on this machine, so that no bandwidth is lost), bytes that were
 * received and not read. A listening socket hands it on to what is accepted. A connecting one needs it only when it has
 * moved SOCKET_SMALL_MAX bytes: until then the kernel's own first sizes bound it as well. */
enum { SOCKET_UNSENT_MAX = 128 * 1024, SOCKET_NEAR_UNREAD_MAX = 208 * 1024, SOCKET_SMALL_MAX = 64 * 1024 };
void socket_limit_memory(int fd, bool is_near);

struct socket_keepalive { /* probes of an idle connection: it is lost after idle_s + interval_s * probes of silence */
	unsigned idle_s, interval_s, probes;
};
void socket_set_keepalive(int fd, const struct socket_keepalive *keepalive);
/* close() sends RST instead of FIN, also the close() of a process that is killed; a listening socket hands it on to
 * what is accepted. false: FIN again, and what was sent before is still delivered. */
void socket_set_reset_on_close(int fd, bool resets);

/* What became of a connection while nothing was read from it: ERR_NONE: it stands, or its peer only sent its end.
 * ERR_RESET, ERR_TIMEOUT: lost, with what it had not delivered. ERR_CLOSED: reset after its peer's end: what came
 * before that end is whole and can be read, but nothing can be written any more. Takes the error from the socket. */
enum err socket_take_failure(int fd) _must_use_;

struct socket_unacked { /* bytes that were written and not yet acknowledged by the peer's kernel */
	bool has_any;
	bool in_flight;      /* sent; else they wait for the peer's window to open */
	unsigned probes;     /* of that window, in a row without an answer */
	uint64_t silence_ms; /* since anything was acknowledged */
};
struct socket_unacked socket_unacked(int fd);
