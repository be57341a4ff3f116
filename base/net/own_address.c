#include "base/net/own_address.h"
#include "base/core/check.h"
#include "base/net/fd.h"
#include "base/net/socket.h"
#include <netinet/in.h>
#include <string.h>
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

/* The kernel takes the address of an interface of its own alone, whatever bind() may. The source that it selects is
 * no proof: to a secondary address it is the primary one. */
static bool is_own_v4(int fd, const struct ip_addr *ip)
{
	struct in_addr at;
	memcpy(&at, ip->bytes, sizeof(at));
	return setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &at, sizeof(at)) == 0;
}

/* To an own address the source is the same (RFC 6724 5, rule 1). connect() of a datagram socket sends nothing. */
static bool is_own_v6(int fd, const struct ip_addr *ip, uint32_t scope)
{
	struct sockaddr_storage sa;
	struct addr from;
	socklen_t len = addr_to_sockaddr_at(&(struct addr){.ip = *ip, .port = 9}, scope, &sa);
	return connect(fd, (const struct sockaddr *)&sa, len) == 0 && socket_local_addr(fd, &from) == ERR_NONE &&
	       ip_addr_eq(&from.ip, ip);
}

enum err own_address_has(const struct ip_addr *ip, uint32_t scope, bool *out)
{
	_cleanup_fd_ int fd = -1;
	*out = false;
	if (ip_addr_is_unspecified(ip))
		return ERR_NONE;
	enum err err = fd_socket(ip->family, SOCK_DGRAM, &fd);
	if (err == ERR_NONE)
		*out = ip->family == AF_INET6 ? is_own_v6(fd, ip, scope) : is_own_v4(fd, ip);
	return err == ERR_FD_EXHAUSTED ? err : ERR_NONE;
}
