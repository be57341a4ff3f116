#include "sidecar/leg/tcp_pair.h"
#include "base/core/check.h"
#include "base/net/fd.h"
#include "base/net/socket.h"
#include <poll.h>
#include <sched.h>
#include <time.h>

static void wait_for(int fd, short events)
{
	struct pollfd waiting = {.fd = fd, .events = events};
	CHECK(poll(&waiting, 1, 5000) == 1);
}

int tcp_listen_any(struct addr *out_at)
{
	int listening;
	CHECK(fd_socket(AF_INET, SOCK_STREAM, &listening) == ERR_NONE);
	const struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	CHECK(bind(listening, (const struct sockaddr *)&any, sizeof(any)) == 0);
	CHECK(listen(listening, 1024) == 0);
	CHECK(socket_local_addr(listening, out_at) == ERR_NONE);
	return listening;
}

void tcp_pair_open(struct tcp_pair *pair)
{
	int listening = tcp_listen_any(&pair->far_addr);
	CHECK(socket_connect(&pair->far_addr, &(struct socket_connect_options){0}, &pair->near) == ERR_NONE);
	wait_for(listening, POLLIN);
	CHECK(fd_accept(listening, &pair->near_addr, &pair->far) == ERR_NONE);
	fd_close(listening);
	wait_for(pair->near, POLLOUT);
	CHECK(socket_connect_result(pair->near) == ERR_NONE);
	socket_set_nodelay(pair->near);
	socket_set_nodelay(pair->far);
}

static void stay_on_this_cpu(void)
{
	cpu_set_t here;
	CPU_ZERO(&here);
	CPU_SET((size_t)sched_getcpu(), &here);
	CHECK(sched_setaffinity(0, sizeof(here), &here) == 0);
}

static int datagrams_to_itself(void)
{
	int fd;
	struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(own);
	CHECK(fd_socket(AF_INET, SOCK_DGRAM, &fd) == ERR_NONE);
	CHECK(bind(fd, (const struct sockaddr *)&own, len) == 0);
	CHECK(getsockname(fd, (struct sockaddr *)&own, &len) == 0);
	CHECK(connect(fd, (const struct sockaddr *)&own, len) == 0);
	return fd;
}

/* Loopback has one queue per CPU, first in, first out, so a datagram arrives after everything that this CPU sent
 * before. From here on this thread stays on the CPU that it is on. */
void loopback_settle(void)
{
	static int fd = -1;
	char byte = 0;
	if (fd < 0) {
		stay_on_this_cpu();
		fd = datagrams_to_itself();
	}
	struct pollfd waiting = {.fd = fd, .events = POLLIN};
	unsigned num_sent = 0;
	do /* the queue loses what comes when it is full, such as of other programs' traffic */
		CHECK(send(fd, &byte, 1, 0) == 1 && ++num_sent <= 50);
	while (poll(&waiting, 1, 100) != 1);
	while (recv(fd, &byte, 1, MSG_DONTWAIT) == 1)
		;
}

void loopback_wait(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
}

void tcp_abort(int fd)
{
	socket_set_reset_on_close(fd, true);
	fd_close(fd);
}
