#include "sidecar/running.h"

#include "base/core/mem.h"
#include "base/net/fd.h"
#include "base/net/service_manager.h"
#include "base/net/socket.h"
#include "base/settings/command_line/given.h"
#include "sidecar/admin_socket.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CGROUP_MAX = 4096, UNIT_MAX = 128, ANSWER_MS = 5000, CHUNK = 4096 };

struct unit {
	char name[UNIT_MAX]; /* "": none, or not known */
	bool is_known;       /* its process is in this /proc, which can hide it (hidepid, ProtectProc=invisible) */
	bool is_of_user;     /* of a user's manager, below user@UID.service */
};

static const char expected[] = "a running sidecar of this host, to take over from";
static const char expected_unit[] = "a process of the same unit as the running sidecar";
static const char user_manager[] = "/user@";

static bool ends_with(struct span text, const char *ending)
{
	size_t len = strlen(ending);
	return text.len >= len && memcmp(text.ptr + text.len - len, ending, len) == 0;
}

/* The innermost service of a line; {0}: none, or a scope is below it, such as a user's shell or a container. */
static struct span service_in(struct span line)
{
	struct span found = {0};
	for (size_t at = 0, end; at < line.len; at = end + 1) {
		for (end = at; end < line.len && line.ptr[end] != '/';)
			end++;
		struct span part = span_of(line.ptr + at, end - at);
		if (ends_with(part, ".scope"))
			found = (struct span){0};
		else if (ends_with(part, ".service"))
			found = part;
	}
	bool is_manager = found.len > sizeof(user_manager) - 2 &&
			  memcmp(found.ptr, user_manager + 1, sizeof(user_manager) - 2) == 0;
	return is_manager ? (struct span){0} : found;
}

void running_unit_of(const char *lines, char *out, size_t cap)
{
	struct span found = {0};
	for (const char *line = lines; found.len == 0 && line[0] != '\0'; line += line[0] == '\n') {
		size_t len = strcspn(line, "\n");
		found = service_in(span_of(line, len));
		line += len;
	}
	snprintf(out, cap, "%.*s", (int)found.len, found.len == 0 ? "" : (const char *)found.ptr);
}

static void read_unit(const char *path, struct unit *out)
{
	_cleanup_(buf_done) struct buf lines = BUF_INIT(CGROUP_MAX);
	*out = (struct unit){.is_known = fd_read_file(path, CGROUP_MAX - 1, &lines, NULL) == ERR_NONE};
	if (!out->is_known)
		return;
	running_unit_of(buf_cstr(&lines), out->name, sizeof(out->name));
	out->is_of_user = strstr(buf_cstr(&lines), user_manager) != NULL;
}

static void read_units(pid_t pid, struct unit *theirs, struct unit *own)
{
	_cleanup_(mem_freep) char *path = mem_printf("/proc/%d/cgroup", (int)pid);
	read_unit(path, theirs);
	read_unit("/proc/self/cgroup", own);
}

static bool is_same(const struct unit *a, const struct unit *b)
{
	return strcmp(a->name, b->name) == 0 && a->is_of_user == b->is_of_user;
}

static enum err same_unit(const struct peer_process *peer, struct why *why)
{
	struct unit theirs, own;
	read_units(peer->pid, &theirs, &own);
	if (theirs.name[0] == '\0' || is_same(&theirs, &own))
		return ERR_NONE;
	_cleanup_(mem_freep) char *fix =
		mem_printf("run `systemctl %sreload %s`", theirs.is_of_user ? "--user " : "", theirs.name);
	return why_set(
		why, ERR_CONFLICT, expected_unit, fix, "the running sidecar belongs to the unit %s", theirs.name);
}

static enum err same_place(const struct peer_process *peer, struct why *why)
{
	struct rlimit own, theirs;
	RETURN_IF_ERR(same_unit(peer, why));
	if (getrlimit(RLIMIT_NOFILE, &own) != 0 || prlimit(peer->pid, RLIMIT_NOFILE, NULL, &theirs) != 0 ||
		own.rlim_max >= theirs.rlim_cur)
		return ERR_NONE;
	return why_set(why, ERR_LIMIT, "as many open files as the running sidecar may have",
		"raise the limit: `ulimit -Hn`, or LimitNOFILE=",
		"this process may have %llu open files, that one %llu", (unsigned long long)own.rlim_max,
		(unsigned long long)theirs.rlim_cur);
}

static enum err same_user(int fd, struct peer_process *out, struct why *why)
{
	enum err err = socket_peer_process(fd, out);
	if (err != ERR_NONE)
		return why_set(why, err, expected, "run it where the other sidecar runs",
			"the other end of the admin socket is not a process of this host");
	if (out->uid == geteuid())
		return same_place(out, why);
	return why_set(why, ERR_DENIED, "the user of the running sidecar",
		"run it as that user, for instance by `systemctl reload` of its unit",
		"the running sidecar has uid %u, and this process %u", (unsigned)out->uid, (unsigned)geteuid());
}

static enum err connect_to(const char *path, int *out_fd, struct peer_process *out_peer, struct why *why)
{
	_cleanup_fd_ int fd = -1;
	RETURN_IF_ERR(socket_connect_unix(path, &fd, why));
	RETURN_IF_ERR(same_user(fd, out_peer, why));
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

/* Its answer as it is. */
static enum err ask_given(const char *path, struct buf *out, struct peer_process *out_peer, struct why *why)
{
	static const char line[] = ADMIN_GIVEN "\n";
	_cleanup_fd_ int fd = -1;
	RETURN_IF_ERR(connect_to(path, &fd, out_peer, why));
	enum err err =
		send(fd, line, sizeof(line) - 1, MSG_NOSIGNAL) < 0 ? err_from_errno(errno) : read_to_end(fd, out);
	return err == ERR_NONE ? ERR_NONE
			       : why_set(why, err, expected, "try it again; see the log of the running sidecar",
					 "it does not answer with what it was given: %s", err_text(err));
}

/* To one that answers that it is of a unit. A process of that unit is notified, too, or is seen to be in it. */
static enum err of_its_unit(const struct peer_process *peer, struct why *why)
{
	struct unit theirs, own;
	read_units(peer->pid, &theirs, &own);
	if (service_manager_is_there() || (theirs.name[0] != '\0' && is_same(&theirs, &own)))
		return ERR_NONE;
	return why_set(why, ERR_CONFLICT, expected_unit,
		"run `systemctl reload` for its unit; where it has none, restart it without NOTIFY_SOCKET in its "
		"environment",
		"the running sidecar has a service manager (NOTIFY_SOCKET), and this process has none");
}

/* In a /proc that hides the running sidecar its own answer counts. One that has another is of a release before it, or
 * does not know its unit. */
static enum err hidden_unit(const char *path, const struct peer_process *peer, struct why *why)
{
	struct unit theirs, own;
	_cleanup_(buf_done) struct buf given = BUF_INIT(GIVEN_MAX);
	struct peer_process same;
	read_units(peer->pid, &theirs, &own);
	if (theirs.is_known || ask_given(path, &given, &same, NULL) != ERR_NONE ||
		!span_eq(buf_span(&given), RUNNING_OF_UNIT))
		return ERR_NONE;
	return of_its_unit(&same, why);
}

enum err running_connect(const char *path, int *out_fd, struct why *why)
{
	_cleanup_fd_ int fd = -1;
	struct peer_process peer;
	RETURN_IF_ERR(connect_to(path, &fd, &peer, why));
	RETURN_IF_ERR(hidden_unit(path, &peer, why));
	*out_fd = TAKE_FD(fd);
	return ERR_NONE;
}

enum err running_given(const char *path, struct buf *out, struct why *why)
{
	struct peer_process peer;
	RETURN_IF_ERR(ask_given(path, out, &peer, why));
	if (buf_len(out) == 0)
		return why_set(why, ERR_LIMIT, "a running sidecar whose variables and flags fit into 64 KiB",
			"restart it instead, with most of them in its settings file", "it has more of them");
	if (!span_eq(buf_span(out), RUNNING_OF_UNIT))
		return ERR_NONE;
	buf_clear(out);
	return of_its_unit(&peer, why);
}
