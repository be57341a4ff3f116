/* IP addresses, address+port pairs and networks, as values. v4-mapped IPv6 addresses are converted to IPv4 by every
 * constructor, so equal addresses are equal bytes. */
#pragma once

#include "base/core/err.h"
#include "base/core/span.h"
#include <netinet/in.h>
#include <sys/socket.h>

struct ip_addr {
	uint8_t family;    /* AF_INET or AF_INET6; 0: none */
	uint8_t bytes[16]; /* network order; the first 4 for IPv4, the rest zero */
};

struct addr {
	struct ip_addr ip;
	uint16_t port; /* host order */
};

struct network {
	struct ip_addr base; /* host bits are zero */
	uint8_t prefix_len;  /* 0..32 or 0..128 */
};

#define ADDR_TEXT_MAX 56 /* "[v6]:port" and the NUL */

enum err ip_addr_parse(struct span text, struct ip_addr *out) _must_use_;
enum err ip_addr_from_bytes(struct span bytes, struct ip_addr *out) _must_use_; /* 4 or 16 bytes */
struct span ip_addr_bytes(const struct ip_addr *ip);                            /* 4 or 16 bytes, borrowed */
const char *ip_addr_format(const struct ip_addr *ip, char out[ADDR_TEXT_MAX]);
bool ip_addr_eq(const struct ip_addr *a, const struct ip_addr *b);
bool ip_addr_is_loopback(const struct ip_addr *ip);
bool ip_addr_is_unspecified(const struct ip_addr *ip);
bool ip_addr_is_link_local(const struct ip_addr *ip); /* 169.254/16, fe80::/10 */

/* "192.0.2.1:80", "[2001:db8::1]:80". No names, no zone, no leading zeros in the port, port 1..65535. */
enum err addr_parse(struct span text, struct addr *out) _must_use_;
enum err addr_from_sockaddr(const struct sockaddr *sa, socklen_t len, struct addr *out) _must_use_;
socklen_t addr_to_sockaddr(const struct addr *addr, struct sockaddr_storage *out);
/* scope: the interface, where the address is a link-local one of IPv6 (RFC 4007 6). */
socklen_t addr_to_sockaddr_at(const struct addr *addr, uint32_t scope, struct sockaddr_storage *out);
const char *addr_format(const struct addr *addr, char out[ADDR_TEXT_MAX]);
bool addr_eq(const struct addr *a, const struct addr *b);
uint64_t addr_hash(const struct addr *addr, uint64_t seed);

/* "192.0.2.0/24"; a bare address is a network with full prefix length; set host bits are ERR_MALFORMED. */
enum err network_parse(struct span text, struct network *out) _must_use_;
bool network_contains(const struct network *network, const struct ip_addr *ip);
const char *network_format(const struct network *network, char out[ADDR_TEXT_MAX]);
