#include "control/attest/unix_facts.h"
#include "base/core/buf.h"
#include "base/core/cleanup.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "base/net/socket.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Defined by newer headers than those of Debian 12. */
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

enum { STATUS_MAX = 16 * 1024, OVERFLOW_ID = 65534 };

/* --- pure --- */

/* The next line of *rest, without its end. */
static bool next_line(struct span *rest, struct span *out)
{
	if (rest->len == 0)
		return false;
	const uint8_t *end = memchr(rest->ptr, '\n', rest->len);
	size_t len = end == NULL ? rest->len : (size_t)(end - rest->ptr);
	*out = span_of(rest->ptr, len);
	size_t taken = end == NULL ? len : len + 1;
	*rest = span_of(rest->ptr + taken, rest->len - taken);
	return true;
}

bool unix_status_is_of(struct span status, uid_t uid, gid_t gid)
{
	char users[64], groups[64];
	struct span line;
	bool has_users = false, has_groups = false;
	snprintf(users, sizeof users, "Uid:\t%u\t%u\t%u\t%u", uid, uid, uid, uid);
	snprintf(groups, sizeof groups, "Gid:\t%u\t%u\t%u\t%u", gid, gid, gid, gid);
	while (next_line(&status, &line)) {
		has_users = has_users || span_eq(line, span_of_str(users));
		has_groups = has_groups || span_eq(line, span_of_str(groups));
	}
	return has_users && has_groups;
}

static bool ends_with(struct span text, const char *suffix)
{
	size_t len = strlen(suffix);
	return text.len > len && memcmp(text.ptr + text.len - len, suffix, len) == 0;
}

static void add(struct selector_set *facts, const char *prefix, struct span value)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT(WORKLOAD_SELECTOR_MAX);
	if (buf_append_str(&text, prefix) == ERR_NONE && buf_append(&text, value) == ERR_NONE)
		selector_set_add(facts, buf_span(&text));
}

static void add_unit(struct span path, struct selector_set *facts)
{
	while (path.len > 1 && path.ptr[0] == '/') {
		path = span_of(path.ptr + 1, path.len - 1);
		const uint8_t *end = memchr(path.ptr, '/', path.len);
		struct span part = span_of(path.ptr, end == NULL ? path.len : (size_t)(end - path.ptr));
		if (!ends_with(part, ".slice")) {
			if (ends_with(part, ".service") || ends_with(part, ".scope"))
				add(facts, "unix:unit:", part);
			return;
		}
		path = span_of(path.ptr + part.len, path.len - part.len);
	}
}

void unix_facts_of_cgroup(struct span text, struct selector_set *facts)
{
	struct span line;
	while (next_line(&text, &line)) {
		if (!span_starts_with(line, SPAN_LITERAL("0::/")))
			continue;
		struct span path = span_from(line, 3);
		if (span_starts_with(path, SPAN_LITERAL("/.."))) /* outside of this process's cgroup namespace */
			return;
		add(facts, "unix:cgroup:", path);
		add_unit(path, facts);
		return;
	}
}

/* --- the process --- */

static enum err has_ended(struct why *why)
{
	return why_set(why, ERR_DENIED, "a process that still runs", "let the sidecar connect itself, and again",
		"the process that connected has ended");
}

static bool is_alive(int pidfd)
{
	struct pollfd end = {.fd = pidfd, .events = POLLIN};
	return poll(&end, 1, 0) == 0;
}

/* A descriptor of the process that connected, as by pidfd_open(2), which never becomes another's; close-on-exec.
 * Another error than ERR_UNSUPPORTED: that process has ended. */
static enum err open_pidfd(int fd, int *out)
{
	socklen_t len = sizeof *out;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, out, &len) == 0)
		return ERR_NONE;
	return errno == ENOPROTOOPT ? ERR_UNSUPPORTED : ERR_CLOSED;
}

static enum err read_at(int folder, const char *name, struct buf *out, struct why *why)
{
	_cleanup_fd_ int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
	uint8_t *room;
	ssize_t got = 0;
	while (fd >= 0 && buf_room(out) > 0 && buf_reserve(out, buf_room(out), &room) == ERR_NONE) {
		got = read(fd, room, buf_room(out));
		if (got <= 0)
			break;
		buf_commit(out, (size_t)got);
	}
	if (fd >= 0 && got >= 0)
		return ERR_NONE;
	if (errno == ESRCH)
		return has_ended(why);
	return why_set(why, ERR_IO, "/proc with the status of all processes",
		"mount it without hidepid, or add the control plane's user to its group", "cannot read %s of /proc: %m",
		name);
}

static enum err read_folder(int folder, const struct peer_process *process, struct selector_set *facts, struct why *why)
{
	_cleanup_(buf_done) struct buf status = BUF_INIT(STATUS_MAX), cgroup = BUF_INIT(STATUS_MAX);
	RETURN_IF_ERR(read_at(folder, "status", &status, why));
	RETURN_IF_ERR(read_at(folder, "cgroup", &cgroup, why));
	if (!unix_status_is_of(buf_span(&status), process->uid, process->gid))
		return why_set(why, ERR_DENIED, "a process that has the user and group that it connected with",
			"let the sidecar connect after it has changed its user", "it has others now");
	unix_facts_of_cgroup(buf_span(&cgroup), facts);
	return ERR_NONE;
}

static void add_number(struct selector_set *facts, const char *prefix, unsigned number)
{
	char text[16];
	snprintf(text, sizeof text, "%u", number);
	add(facts, prefix, span_of_str(text));
}

/* The pidfd is of the very process that connected, and the number is its number as long as it lives: so the folder is
 * its folder if it lives after that was opened. */
static enum err open_folder(pid_t pid, int pidfd, int *out, struct why *why)
{
	_cleanup_(mem_freep) char *path = mem_printf("/proc/%d", (int)pid);
	_cleanup_fd_ int folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0 || !is_alive(pidfd))
		return has_ended(why);
	*out = TAKE_FD(folder);
	return ERR_NONE;
}

enum err unix_facts_read(int fd, struct selector_set *facts, struct why *why)
{
	struct peer_process process;
	_cleanup_fd_ int pidfd = -1, folder = -1;
	_cleanup_(selector_set_done) struct selector_set found = {0};
	if (fd < 0 || socket_peer_process(fd, &process) != ERR_NONE)
		return why_set(why, ERR_UNSUPPORTED,
			"a connection over the control plane's Unix socket, from this host's pid namespace",
			"set control.address to unix: and the path of listen.streams_socket", "this one is none");
	enum err err = open_pidfd(fd, &pidfd);
	if (err == ERR_UNSUPPORTED)
		return why_set(why, err, "a kernel with SO_PEERPIDFD (Linux 6.5)",
			"upgrade the kernel of the control plane's host, or give the sidecar a join token: `handfast "
			"token create`",
			"this one could take a process for another that had its number");
	if (err != ERR_NONE)
		return has_ended(why);
	if (process.uid == OVERFLOW_ID || process.uid == (uid_t)-1)
		return why_set(why, ERR_DENIED, "a user of this host", "run the sidecar in the host's user namespace",
			"uid %u stands for every user without a number here", process.uid);
	RETURN_IF_ERR(open_folder(process.pid, pidfd, &folder, why));
	RETURN_IF_ERR(read_folder(folder, &process, &found, why));
	if (!is_alive(pidfd))
		return has_ended(why);
	add_number(&found, "unix:uid:", process.uid);
	add_number(&found, "unix:gid:", process.gid);
	*facts = found;
	found = (struct selector_set){0};
	return ERR_NONE;
}
