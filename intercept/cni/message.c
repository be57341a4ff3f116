#include "intercept/cni/message.h"
#include "base/core/check.h"
#include "base/net/fd.h"
#include "intercept/cni/cni_json.h"
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

static const char *const VERDICTS[] = {
	[MESSAGE_DONE] = "done", [MESSAGE_PASSED] = "passed", [MESSAGE_LATER] = "later", [MESSAGE_FAILED] = "failed"};

static bool take(const json_t *object, const char *key, char *out, size_t cap)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text != NULL && snprintf(out, cap, "%s", text) < (int)cap;
}

enum err message_question_put(const struct message_question *question, struct buf *out)
{
	return cni_json_put_line(
		json_pack("{s:s, s:s, s:s, s:s}", "command", question->checks ? "check" : "add", "namespace",
			question->pod.namespace_, "pod", question->pod.name, "uid", question->pod.uid),
		out);
}

enum err message_question_parse(struct span line, struct message_question *out)
{
	struct message_question question = {0};
	json_t *object = json_loadb((const char *)line.ptr, line.len, JSON_REJECT_DUPLICATES, NULL);
	const char *command = json_string_value(json_object_get(object, "command"));
	bool fits = command != NULL && (strcmp(command, "add") == 0 || strcmp(command, "check") == 0) &&
		    take(object, "namespace", question.pod.namespace_, sizeof question.pod.namespace_) &&
		    take(object, "pod", question.pod.name, sizeof question.pod.name) &&
		    take(object, "uid", question.pod.uid, sizeof question.pod.uid);
	question.checks = fits && strcmp(command, "check") == 0;
	json_decref(object);
	if (!fits || question.pod.name[0] == '\0' || question.pod.namespace_[0] == '\0')
		return ERR_MALFORMED;
	*out = question;
	return ERR_NONE;
}

enum err message_answer_put(const struct message_answer *answer, struct buf *out)
{
	const struct why *why = &answer->detail;
	return cni_json_put_line(json_pack("{s:s, s:s, s:s, s:s}", "verdict", VERDICTS[answer->verdict], "got",
					 why->got, "expected", why->expected, "fix", why->fix),
		out);
}

enum err message_answer_parse(struct span line, struct message_answer *out)
{
	json_t *object = json_loadb((const char *)line.ptr, line.len, JSON_REJECT_DUPLICATES, NULL);
	const char *verdict = json_string_value(json_object_get(object, "verdict"));
	struct message_answer answer = {0};
	struct why *why = &answer.detail;
	bool fits = false;
	for (size_t i = 0; verdict != NULL && i < sizeof VERDICTS / sizeof VERDICTS[0]; i++)
		if (strcmp(verdict, VERDICTS[i]) == 0) {
			answer.verdict = (enum message_verdict)i;
			fits = true;
		}
	fits = fits && take(object, "got", why->got, sizeof why->got) &&
	       take(object, "expected", why->expected, sizeof why->expected) &&
	       take(object, "fix", why->fix, sizeof why->fix);
	json_decref(object);
	if (!fits)
		return ERR_MALFORMED;
	*out = answer;
	return ERR_NONE;
}

union control {
	struct cmsghdr header; /* aligns it */
	char bytes[CMSG_SPACE(sizeof(int))];
};

enum err message_send(int fd, struct span line, int with_fd)
{
	union control control = {0};
	struct iovec part = {.iov_base = (void *)(uintptr_t)line.ptr, .iov_len = line.len};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	if (with_fd >= 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof control.bytes;
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);
		*header = (struct cmsghdr){
			.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
		memcpy(CMSG_DATA(header), &with_fd, sizeof with_fd);
	}
	ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);
	if (sent < 0)
		return err_from_errno(errno);
	return (size_t)sent == line.len ? ERR_NONE : ERR_LIMIT;
}

static void take_fd(struct msghdr *message, int *out_fd)
{
	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header != NULL; header = CMSG_NXTHDR(message, header)) {
		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		/* The padding of one descriptor has room for a second one on 64 bits. */
		for (size_t at = 0; CMSG_LEN(at + sizeof(int)) <= header->cmsg_len; at += sizeof(int)) {
			int passed = -1;
			memcpy(&passed, CMSG_DATA(header) + at, sizeof passed);
			if (*out_fd < 0)
				*out_fd = passed;
			else
				fd_close(passed);
		}
	}
}

enum err message_receive(int fd, struct buf *in, int *out_fd)
{
	union control control;
	uint8_t *room;
	size_t len = buf_room(in) < 1024 ? buf_room(in) : 1024;
	if (len == 0)
		return ERR_LIMIT;
	RETURN_IF_ERR(buf_reserve(in, len, &room));
	struct iovec part = {.iov_base = room, .iov_len = len};
	struct msghdr message = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof control.bytes};
	ssize_t received = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
	if (received < 0)
		return errno == EAGAIN || errno == EINTR ? ERR_UNAVAILABLE : err_from_errno(errno);
	take_fd(&message, out_fd);
	buf_commit(in, (size_t)received);
	return received == 0 ? ERR_CLOSED : ERR_NONE;
}
