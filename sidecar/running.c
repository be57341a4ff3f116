#include "sidecar/running.h"

#include "base/core/mem.h"
#include "base/net/fd.h"
#include "base/net/socket.h"
#include "sidecar/admin_socket.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CGROUP_MAX = 4096, UNIT_MAX = 128, ANSWER_MS = 5000, CHUNK = 4096 };

static const char expected[] = "a running sidecar of this host, to take over from";

void running_unit_of(const char *lines, char *out, size_t cap)
{
	static const char ending[] = ".service";
	const char *end = strstr(lines, ending), *start = end;
	out[0] = '\0';
	while (start != NULL && start > lines && start[-1] != '/' && start[-1] != '\n')
		start--;
	if (start != NULL)
		snprintf(out, cap, "%.*s", (int)(end - start + (ptrdiff_t)sizeof(ending) - 1), start);
}

/* "": none, or not known. */
static void read_unit(const char *path, char out[UNIT_MAX])
{
	_cleanup_(buf_done) struct buf lines = BUF_INIT(CGROUP_MAX);
	out[0] = '\0';
	if (fd_read_file(path, CGROUP_MAX - 1, &lines, NULL) == ERR_NONE)
		running_unit_of(buf_cstr(&lines), out, UNIT_MAX);
}

static enum err same_unit(const struct peer_process *peer, struct why *why)
{
	char unit[UNIT_MAX], own_unit[UNIT_MAX];
	_cleanup_(mem_freep) char *path = mem_printf("/proc/%d/cgroup", (int)peer->pid);
	read_unit(path, unit);
	read_unit("/proc/self/cgroup", own_unit);
	if (unit[0] == '\0' || strcmp(unit, own_unit) == 0)
		return ERR_NONE;
	_cleanup_(mem_freep) char *fix = mem_printf("systemctl reload %s", unit);
	return why_set(why, ERR_CONFLICT, "a process of the same unit as the running sidecar", fix,
		"the running sidecar belongs to the unit %s", unit);
}

static enum err same_place(const struct peer_process *peer, struct why *why)
{
	struct rlimit own, theirs;
	RETURN_IF_ERR(same_unit(peer, why));
	if (getrlimit(RLIMIT_NOFILE, &own) != 0 || prlimit(peer->pid, RLIMIT_NOFILE, NULL, &theirs) != 0 ||
		own.rlim_max >= theirs.rlim_cur)
		return ERR_NONE;
	return why_set(why, ERR_LIMIT, "as many open files as the running sidecar may have",
		"raise the limit: ulimit -Hn, or LimitNOFILE=", "this process may have %llu open files, that one %llu",
		(unsigned long long)own.rlim_max, (unsigned long long)theirs.rlim_cur);
}

static enum err same_user(int fd, struct why *why)
{
	struct peer_process peer;
	enum err err = socket_peer_process(fd, &peer);
	if (err != ERR_NONE)
		return why_set(why, err, expected, "run it where the other sidecar runs",
			"the other end of the admin socket is not a process of this host");
	if (peer.uid == geteuid())
		return same_place(&peer, why);
	return why_set(why, ERR_DENIED, "the user of the running sidecar",
		"run it as that user, for instance by `systemctl reload` of its unit",
		"the running sidecar has uid %u, and this process %u", (unsigned)peer.uid, (unsigned)geteuid());
}

enum err running_connect(const char *path, int *out_fd, struct why *why)
{
	_cleanup_fd_ int fd = -1;
	RETURN_IF_ERR(socket_connect_unix(path, &fd, why));
	RETURN_IF_ERR(same_user(fd, why));
	*out_fd = TAKE_FD(fd);
	return ERR_NONE;
}

static enum err read_to_end(int fd, struct buf *out)
{
	struct pollfd readable = {.fd = fd, .events = POLLIN};
	for (;;) {
		char chunk[CHUNK];
		int ready = poll(&readable, 1, ANSWER_MS);
		if (ready <= 0)
			return ready == 0 ? ERR_TIMEOUT : err_from_errno(errno);
		ssize_t got = read(fd, chunk, sizeof(chunk));
		if (got <= 0)
			return got == 0 ? ERR_NONE : err_from_errno(errno);
		RETURN_IF_ERR(buf_append(out, span_of(chunk, (size_t)got)));
	}
}

enum err running_given(const char *path, struct buf *out, struct why *why)
{
	static const char line[] = ADMIN_GIVEN "\n";
	_cleanup_fd_ int fd = -1;
	RETURN_IF_ERR(running_connect(path, &fd, why));
	enum err err =
		send(fd, line, sizeof(line) - 1, MSG_NOSIGNAL) < 0 ? err_from_errno(errno) : read_to_end(fd, out);
	if (err == ERR_NONE && buf_len(out) == 0)
		return why_set(why, ERR_LIMIT, "a running sidecar whose variables and flags fit into 64 KiB",
			"restart it instead, with most of them in its settings file", "it has more of them");
	if (err == ERR_NONE && span_eq(buf_span(out), RUNNING_OF_UNIT))
		buf_clear(out);
	return err == ERR_NONE ? ERR_NONE
			       : why_set(why, err, expected, "try it again; see the log of the running sidecar",
					 "it does not answer with what it was given: %s", err_text(err));
}
