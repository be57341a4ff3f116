#include "base/net/source_mark.h"
#include "base/core/check.h"
#include "base/net/fd.h"
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

enum { PART_MAX = 16 * 1024, PARTS_MAX = 256 /* of a list: a namespace with more rules is not searched to its end */ };

struct request {
	struct nlmsghdr header;
	struct fib_rule_hdr rule;
};

static enum err ask(int fd, int family)
{
	const struct request request = {
		.header = {.nlmsg_len = sizeof(request),
			.nlmsg_type = RTM_GETRULE,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.rule = {.family = (uint8_t)family},
	};
	const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	ssize_t len = sendto(fd, &request, sizeof(request), 0, (const struct sockaddr *)&kernel, sizeof(kernel));
	return len == (ssize_t)sizeof(request) ? ERR_NONE : err_from_errno(errno);
}

/* The attributes of one rule. */
static bool has_mark(const uint8_t *attributes, size_t len)
{
	struct rtattr attribute;
	uint32_t mark;
	for (size_t at = 0; at + sizeof(attribute) <= len; at += RTA_ALIGN(attribute.rta_len)) {
		memcpy(&attribute, attributes + at, sizeof(attribute));
		if (attribute.rta_len < sizeof(attribute) || attribute.rta_len > len - at)
			return false;
		if (attribute.rta_type != FRA_FWMARK || attribute.rta_len != RTA_LENGTH(sizeof(mark)))
			continue;
		memcpy(&mark, attributes + at + RTA_LENGTH(0), sizeof(mark));
		return mark == SOURCE_MARK;
	}
	return false;
}

struct answer {
	enum err err;
	bool is_over, has_mark;
};

static void read_message(const struct nlmsghdr *header, const uint8_t *body, size_t len, struct answer *answer)
{
	const size_t before = NLMSG_ALIGN(sizeof(struct fib_rule_hdr));
	answer->is_over = header->nlmsg_type == NLMSG_DONE || header->nlmsg_type == NLMSG_ERROR;
	if (header->nlmsg_type == NLMSG_ERROR)
		answer->err = ERR_UNSUPPORTED;
	else if (header->nlmsg_type == RTM_NEWRULE && len > before)
		answer->has_mark = answer->has_mark || has_mark(body + before, len - before);
}

static void read_part(const uint8_t *part, size_t len, struct answer *answer)
{
	struct nlmsghdr header;
	for (size_t at = 0; at + sizeof(header) <= len && !answer->is_over; at += NLMSG_ALIGN(header.nlmsg_len)) {
		memcpy(&header, part + at, sizeof(header));
		if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > len - at) {
			*answer = (struct answer){.err = ERR_MALFORMED, .is_over = true};
			return;
		}
		read_message(&header, part + at + NLMSG_HDRLEN, header.nlmsg_len - NLMSG_HDRLEN, answer);
	}
}

enum err source_mark_is_routed(int family, bool *out_is)
{
	_cleanup_fd_ int fd = -1;
	uint8_t part[PART_MAX];
	struct answer answer = {.err = ERR_NONE};
	CHECK(family == AF_INET || family == AF_INET6);
	RETURN_IF_ERR(fd_socket(AF_NETLINK, SOCK_RAW, &fd)); /* protocol 0 is NETLINK_ROUTE */
	RETURN_IF_ERR(ask(fd, family));
	for (unsigned i = 0; i < PARTS_MAX && !answer.is_over; i++) {
		ssize_t len = recv(fd, part, sizeof(part), 0); /* the kernel's answer is there already */
		if (len <= 0)
			return len == 0 ? ERR_CLOSED : err_from_errno(errno);
		read_part(part, (size_t)len, &answer);
	}
	if (answer.err == ERR_NONE)
		*out_is = answer.has_mark;
	return answer.err;
}
