#include "intercept/rtnetlink.h"
#include "base/core/check.h"
#include "base/net/fd.h"
#include <errno.h>

#define ANSWER_MAX 4096

void rtnetlink_add(struct nlmsghdr *request, size_t cap, unsigned short type, const void *bytes, size_t len)
{
	struct rtattr *attribute = (struct rtattr *)((char *)request + NLMSG_ALIGN(request->nlmsg_len));
	CHECK(NLMSG_ALIGN(request->nlmsg_len) + RTA_SPACE(len) <= cap);
	attribute->rta_type = type;
	attribute->rta_len = (unsigned short)RTA_LENGTH(len);
	memcpy(RTA_DATA(attribute), bytes, len);
	request->nlmsg_len = (uint32_t)(NLMSG_ALIGN(request->nlmsg_len) + RTA_ALIGN(attribute->rta_len));
}

int rtnetlink_send(const struct nlmsghdr *request)
{
	_cleanup_fd_ int fd = -1;
	uint8_t answer[ANSWER_MAX] __attribute__((aligned(NLMSG_ALIGNTO)));
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	if (fd_socket(AF_NETLINK, SOCK_RAW, &fd) != ERR_NONE) /* protocol 0 is NETLINK_ROUTE */
		return EPROTONOSUPPORT;
	if (sendto(fd, request, request->nlmsg_len, 0, (struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		return errno;
	ssize_t len = recv(fd, answer, sizeof(answer), 0);
	if (len < 0)
		return errno;
	const struct nlmsghdr *header = (const struct nlmsghdr *)answer;
	if (!NLMSG_OK(header, (size_t)len) || header->nlmsg_type != NLMSG_ERROR)
		return EBADMSG;
	return -((const struct nlmsgerr *)NLMSG_DATA(header))->error;
}
