#include "base/net/own_address.h"
#include "base/core/check.h"
#include "base/net/fd.h"
#include "base/net/socket.h"
#include <sys/socket.h>

/* Documentation addresses (RFC 5737, RFC 3849): connect() of a datagram socket only looks up a route and a source. */
static struct addr somewhere(int family)
{
	struct addr to = {.port = 9};
	enum err err = ip_addr_parse(
		family == AF_INET ? SPAN_LITERAL("203.0.113.254") : SPAN_LITERAL("2001:db8:ffff::fe"), &to.ip);
	CHECK(err == ERR_NONE);
	return to;
}

bool own_address_find(int family, struct ip_addr *out)
{
	_cleanup_fd_ int fd = -1;
	struct addr to = somewhere(family), from;
	struct sockaddr_storage storage;
	socklen_t len = addr_to_sockaddr(&to, &storage);
	if (fd_socket(family, SOCK_DGRAM, &fd) != ERR_NONE || connect(fd, (struct sockaddr *)&storage, len) != 0 ||
		socket_local_addr(fd, &from) != ERR_NONE)
		return false;
	if (ip_addr_is_link_local(&from.ip) || ip_addr_is_loopback(&from.ip) || ip_addr_is_unspecified(&from.ip))
		return false;
	*out = from.ip;
	return true;
}
