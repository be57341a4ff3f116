#include "base/net/tcp_path.h"
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

bool tcp_path_get(int fd, struct tcp_path *out)
{
	struct tcp_info facts = {.tcpi_state = 0};
	socklen_t len = sizeof(facts);
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &facts, &len) != 0)
		return false;
	*out = (struct tcp_path){
		.rate = facts.tcpi_delivery_rate,
		.unsent = facts.tcpi_notsent_bytes,
		.min_rtt_us = facts.tcpi_min_rtt == UINT32_MAX ? 0 : facts.tcpi_min_rtt, /* none measured */
	};
	return true;
}

void tcp_path_set_unsent(int fd, uint32_t bytes)
{
	const int low_water = (int)bytes;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &low_water, sizeof(low_water));
}
