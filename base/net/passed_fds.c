#include "base/net/passed_fds.h"

#include "base/core/check.h"
#include "base/net/fd.h"
#include <errno.h>
#include <sys/socket.h>

union control {
	struct cmsghdr header; /* for the alignment */
	char bytes[CMSG_SPACE(PASSED_FDS_MAX * sizeof(int))];
};

enum err passed_fds_send(int fd, struct span bytes, const int *fds, size_t num)
{
	union control control = {0};
	struct iovec part = {.iov_base = (void *)(uintptr_t)bytes.ptr, .iov_len = bytes.len};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	CHECK(num <= PASSED_FDS_MAX && bytes.len > 0);
	if (num > 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(num * sizeof(int));
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);
		*header = (struct cmsghdr){
			.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(num * sizeof(int))};
		memcpy(CMSG_DATA(header), fds, num * sizeof(int));
	}
	ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent < 0)
		return err_from_errno(errno);
	return (size_t)sent == bytes.len ? ERR_NONE : ERR_LIMIT;
}

static void take(struct passed_fds *out, struct msghdr *message)
{
	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header != NULL; header = CMSG_NXTHDR(message, header)) {
		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		/* The room for control data bounds their number. */
		for (size_t at = 0; CMSG_LEN(at + sizeof(int)) <= header->cmsg_len && out->num < PASSED_FDS_MAX;
			at += sizeof(int))
			memcpy(&out->fds[out->num++], CMSG_DATA(header) + at, sizeof(int));
	}
}

enum err passed_fds_receive(int fd, char *bytes, size_t cap, size_t *out_len, struct passed_fds *out)
{
	union control control;
	struct iovec part = {.iov_base = bytes, .iov_len = cap};
	struct msghdr message = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof control.bytes};
	out->num = 0;
	*out_len = 0;
	ssize_t got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? ERR_UNAVAILABLE : err_from_errno(errno);
	take(out, &message);
	*out_len = (size_t)got;
	if (got == 0)
		return ERR_CLOSED;
	return (message.msg_flags & MSG_CTRUNC) != 0 ? ERR_LIMIT : ERR_NONE;
}

void passed_fds_close(struct passed_fds *passed)
{
	while (passed->num > 0)
		fd_close(passed->fds[--passed->num]);
}
