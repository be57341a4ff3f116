#include "base/core/addr.h"
#include "base/core/check.h"
#include "base/core/hash.h"
#include "base/core/number.h"
#include <arpa/inet.h>
#include <stdio.h>

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff}; /* RFC 4291 2.5.5.2 */

static struct ip_addr v4(const void *bytes)
{
	struct ip_addr ip = {.family = AF_INET};
	memcpy(ip.bytes, bytes, 4);
	return ip;
}

static struct ip_addr v6(const void *bytes)
{
	if (memcmp(bytes, mapped_prefix, sizeof mapped_prefix) == 0)
		return v4((const uint8_t *)bytes + sizeof mapped_prefix);
	struct ip_addr ip = {.family = AF_INET6};
	memcpy(ip.bytes, bytes, 16);
	return ip;
}

enum err ip_addr_parse(struct span text, struct ip_addr *out)
{
	char terminated[INET6_ADDRSTRLEN];
	if (text.len == 0 || text.len >= sizeof terminated || memchr(text.ptr, '\0', text.len) != NULL)
		return ERR_MALFORMED;
	memcpy(terminated, text.ptr, text.len);
	terminated[text.len] = '\0';
	uint8_t bytes[16];
	if (inet_pton(AF_INET, terminated, bytes) == 1)
		*out = v4(bytes);
	else if (inet_pton(AF_INET6, terminated, bytes) == 1)
		*out = v6(bytes);
	else
		return ERR_MALFORMED;
	return ERR_NONE;
}

enum err ip_addr_from_bytes(struct span bytes, struct ip_addr *out)
{
	if (bytes.len != 4 && bytes.len != 16)
		return ERR_MALFORMED;
	*out = bytes.len == 4 ? v4(bytes.ptr) : v6(bytes.ptr);
	return ERR_NONE;
}

struct span ip_addr_bytes(const struct ip_addr *ip)
{
	return span_of(ip->bytes, ip->family == AF_INET ? 4 : ip->family == AF_INET6 ? 16 : 0);
}

/* Formatted without inet_ntop() and snprintf(): per new connection they cost more than its entry in the table. */
static size_t decimal_format(unsigned value, char *out)
{
	char digits[10];
	size_t num = 0;
	do
		digits[num++] = (char)('0' + value % 10);
	while ((value /= 10) != 0);
	for (size_t i = 0; i < num; i++)
		out[i] = digits[num - 1 - i];
	out[num] = '\0';
	return num;
}

static void v4_format(const uint8_t bytes[4], char *out)
{
	for (size_t i = 0; i < 4; i++) {
		out += decimal_format(bytes[i], out);
		if (i < 3)
			*out++ = '.';
	}
}

const char *ip_addr_format(const struct ip_addr *ip, char out[ADDR_TEXT_MAX])
{
	if (ip->family == AF_INET)
		v4_format(ip->bytes, out);
	else if (ip->family == 0)
		snprintf(out, ADDR_TEXT_MAX, "none");
	else
		CHECK(inet_ntop(ip->family, ip->bytes, out, INET6_ADDRSTRLEN) != NULL);
	return out;
}

bool ip_addr_eq(const struct ip_addr *a, const struct ip_addr *b)
{
	return a->family == b->family && span_eq(ip_addr_bytes(a), ip_addr_bytes(b));
}

bool ip_addr_is_loopback(const struct ip_addr *ip)
{
	static const uint8_t one[16] = {[15] = 1};
	if (ip->family == AF_INET)
		return ip->bytes[0] == 127;
	return ip->family == AF_INET6 && memcmp(ip->bytes, one, 16) == 0;
}

bool ip_addr_is_unspecified(const struct ip_addr *ip)
{
	static const uint8_t zero[16];
	return ip->family != 0 && memcmp(ip->bytes, zero, ip_addr_bytes(ip).len) == 0;
}

bool ip_addr_is_link_local(const struct ip_addr *ip)
{
	if (ip->family == AF_INET)
		return ip->bytes[0] == 169 && ip->bytes[1] == 254;
	return ip->family == AF_INET6 && ip->bytes[0] == 0xfe && (ip->bytes[1] & 0xc0) == 0x80;
}

/* Splits "[v6]:port" or "v4:port". */
static enum err host_and_port(struct span text, struct span *out_host, struct span *out_port)
{
	const uint8_t *colon = text.len == 0 ? NULL : memrchr(text.ptr, ':', text.len);
	if (colon == NULL)
		return ERR_MALFORMED;
	size_t host_len = (size_t)(colon - text.ptr);
	struct span host = span_of(text.ptr, host_len);
	bool has_colons = host_len > 0 && memchr(host.ptr, ':', host_len) != NULL;
	bool is_bracketed = host_len > 2 && host.ptr[0] == '[' && host.ptr[host_len - 1] == ']';
	if (has_colons != is_bracketed)
		return ERR_MALFORMED;
	*out_host = is_bracketed ? span_of(host.ptr + 1, host_len - 2) : host;
	*out_port = span_from(text, host_len + 1);
	return ERR_NONE;
}

enum err addr_parse(struct span text, struct addr *out)
{
	struct span host, port_text;
	struct ip_addr ip;
	uint16_t port;
	RETURN_IF_ERR(host_and_port(text, &host, &port_text));
	RETURN_IF_ERR(ip_addr_parse(host, &ip));
	RETURN_IF_ERR(port_parse(port_text, &port));
	*out = (struct addr){.ip = ip, .port = port};
	return ERR_NONE;
}

enum err addr_from_sockaddr(const struct sockaddr *sa, socklen_t len, struct addr *out)
{
	if (len >= sizeof(struct sockaddr_in) && sa->sa_family == AF_INET) {
		struct sockaddr_in in;
		memcpy(&in, sa, sizeof in);
		*out = (struct addr){.ip = v4(&in.sin_addr), .port = ntohs(in.sin_port)};
		return ERR_NONE;
	}
	if (len >= sizeof(struct sockaddr_in6) && sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;
		memcpy(&in6, sa, sizeof in6);
		*out = (struct addr){.ip = v6(&in6.sin6_addr), .port = ntohs(in6.sin6_port)};
		return ERR_NONE;
	}
	return ERR_UNSUPPORTED;
}

socklen_t addr_to_sockaddr(const struct addr *addr, struct sockaddr_storage *out)
{
	return addr_to_sockaddr_at(addr, 0, out);
}

socklen_t addr_to_sockaddr_at(const struct addr *addr, uint32_t scope, struct sockaddr_storage *out)
{
	memset(out, 0, sizeof *out);
	if (addr->ip.family == AF_INET) {
		struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(addr->port)};
		memcpy(&in.sin_addr, addr->ip.bytes, 4);
		memcpy(out, &in, sizeof in);
		return sizeof in;
	}
	CHECK(addr->ip.family == AF_INET6);
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(addr->port)};
	memcpy(&in6.sin6_addr, addr->ip.bytes, 16);
	in6.sin6_scope_id = ip_addr_is_link_local(&addr->ip) ? scope : 0;
	memcpy(out, &in6, sizeof in6);
	return sizeof in6;
}

const char *addr_format(const struct addr *addr, char out[ADDR_TEXT_MAX])
{
	bool is_v6 = addr->ip.family == AF_INET6;
	out[0] = '[';
	ip_addr_format(&addr->ip, out + (is_v6 ? 1 : 0));
	size_t len = strlen(out);
	if (is_v6)
		out[len++] = ']';
	out[len++] = ':';
	decimal_format(addr->port, out + len);
	return out;
}

bool addr_eq(const struct addr *a, const struct addr *b)
{
	return a->port == b->port && ip_addr_eq(&a->ip, &b->ip);
}

uint64_t addr_hash(const struct addr *addr, uint64_t seed)
{
	uint64_t words[2];
	memcpy(words, addr->ip.bytes, sizeof words);
	uint64_t hash = hash_mix(seed, ((uint64_t)addr->ip.family << 16) | addr->port);
	hash = hash_mix(hash ^ words[0], seed);
	return hash_mix(hash ^ words[1], seed + 1);
}

static unsigned bits_of(const struct ip_addr *ip)
{
	return (unsigned)ip_addr_bytes(ip).len * 8;
}

static bool is_bit_set(const struct ip_addr *ip, unsigned bit)
{
	return (ip->bytes[bit / 8] & (0x80u >> (bit % 8))) != 0;
}

enum err network_parse(struct span text, struct network *out)
{
	const uint8_t *slash = text.len == 0 ? NULL : memchr(text.ptr, '/', text.len);
	struct span base_text = slash == NULL ? text : span_of(text.ptr, (size_t)(slash - text.ptr));
	struct ip_addr base;
	RETURN_IF_ERR(ip_addr_parse(base_text, &base));
	uint64_t prefix_len = bits_of(&base);
	if (slash != NULL) {
		/* The prefix length of a v4-mapped base counts IPv6 bits, not IPv4 bits. */
		if (base.family == AF_INET && memchr(base_text.ptr, ':', base_text.len) != NULL)
			return ERR_MALFORMED;
		if (number_parse(span_from(text, base_text.len + 1), bits_of(&base), &prefix_len) != ERR_NONE)
			return ERR_MALFORMED;
	}
	for (unsigned bit = (unsigned)prefix_len; bit < bits_of(&base); bit++)
		if (is_bit_set(&base, bit))
			return ERR_MALFORMED;
	*out = (struct network){.base = base, .prefix_len = (uint8_t)prefix_len};
	return ERR_NONE;
}

bool network_contains(const struct network *network, const struct ip_addr *ip)
{
	if (network->base.family != ip->family || ip->family == 0)
		return false;
	size_t whole = network->prefix_len / 8;
	unsigned rest = network->prefix_len % 8;
	if (memcmp(network->base.bytes, ip->bytes, whole) != 0)
		return false;
	return rest == 0 || ((network->base.bytes[whole] ^ ip->bytes[whole]) >> (8 - rest)) == 0;
}

const char *network_format(const struct network *network, char out[ADDR_TEXT_MAX])
{
	char ip[ADDR_TEXT_MAX];
	snprintf(out, ADDR_TEXT_MAX, "%.45s/%u", ip_addr_format(&network->base, ip), network->prefix_len);
	return out;
}
