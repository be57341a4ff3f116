/* Plain TCP and Unix sockets: connect, listen, and the options we set. Non-blocking throughout. */
#pragma once

#include "base/core/addr.h"
#include "base/core/err.h"
#include <sys/types.h>

struct socket_connect_options {
	const struct ip_addr *source; /* bind here first, with IP_BIND_ADDRESS_NO_PORT; NULL: the kernel chooses */
};
/* Starts to connect; the descriptor is writable when it is decided. */
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
enum err socket_peer_addr(int fd, struct addr *out) _must_use_;
void socket_set_nodelay(int fd);
void socket_set_keepalive(int fd, unsigned idle_s, unsigned interval_s, unsigned count);
void socket_set_reset_on_close(int fd); /* close() then sends RST instead of FIN */
