#include "sidecar/admin_socket.h"

#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "base/net/listener.h"
#include "base/net/socket.h"
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CLIENTS_MAX = 8, KEYWORD_MAX = 32, CLIENT_MS = 2000, ANSWER_MS = 5000 };

static const char refused_mark[] = "refused: "; /* before what why_format() wrote */

struct admin_client { /* one connection; fd -1: free */
	struct admin_socket *admin;
	int fd;
	struct loop_io io;
	struct loop_timer deadline;
	char keyword[KEYWORD_MAX];
	size_t len;
};

struct admin_socket {
	struct admin_socket_options options;
	char *path;
	struct listener *listener;
	struct admin_client clients[CLIENTS_MAX];
};

static void client_close(struct admin_client *client)
{
	loop_io_stop(&client->io);
	loop_timer_stop(&client->deadline);
	fd_close(client->fd);
	client->fd = -1;
}

static void deadline_passed(struct loop_timer *timer)
{
	client_close(container_of(timer, struct admin_client, deadline));
}

static const char *answer_to(struct admin_socket *admin, struct span keyword)
{
	static const char *const keywords[] = {
		[ADMIN_DRAIN] = "drain", [ADMIN_QUIT] = "quit", [ADMIN_RELEASE] = "release"};
	for (unsigned i = 0; i < sizeof(keywords) / sizeof(*keywords); i++)
		if (span_eq(keyword, span_of_str(keywords[i])))
			return admin->options.on_command(admin->options.arg, (enum admin_command)i);
	return "unknown command; expected drain, quit or release";
}

/* The connection leaves the table; its process was allowed to command when it connected. */
static void hand_over(struct admin_client *client)
{
	const struct admin_socket_options *options = &client->admin->options;
	struct peer_process peer = {.pid = 0};
	int fd = client->fd;
	loop_io_stop(&client->io);
	loop_timer_stop(&client->deadline);
	client->fd = -1;
	if (socket_peer_process(fd, &peer) == ERR_NONE)
		options->on_hand_over(options->arg, fd, &peer);
	else
		fd_close(fd);
}

static void run_command(struct admin_client *client, struct span keyword)
{
	if (span_eq(keyword, SPAN_LITERAL(ADMIN_HAND_OVER))) {
		hand_over(client);
		return;
	}
	struct span answer = span_eq(keyword, SPAN_LITERAL(ADMIN_GIVEN))
				     ? client->admin->options.given
				     : span_of_str(answer_to(client->admin, keyword));
	/* It fits into the empty buffer of a socket; a client that does not read it loses it. */
	(void)!send(client->fd, answer.ptr, answer.len, MSG_NOSIGNAL);
	client_close(client);
}

static void on_ready(struct loop_io *io, unsigned ready)
{
	struct admin_client *client = container_of(io, struct admin_client, io);
	(void)ready;
	CHECK(client->fd >= 0 && client->len < sizeof(client->keyword));
	ssize_t got = read(client->fd, client->keyword + client->len, sizeof(client->keyword) - client->len);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	client->len += got > 0 ? (size_t)got : 0;
	const char *end = memchr(client->keyword, '\n', client->len);
	if (end == NULL && got > 0 && client->len < sizeof(client->keyword))
		return;
	if (end != NULL)
		run_command(client, span_of(client->keyword, (size_t)(end - client->keyword)));
	else
		client_close(client);
}

static bool may_command(int fd)
{
	struct peer_process peer;
	return socket_peer_process(fd, &peer) == ERR_NONE && (peer.uid == 0 || peer.uid == geteuid());
}

/* Before it has sent its command: a user that may not command holds none of the places of those that may. */
static void refuse(int fd)
{
	struct why why = {0};
	char text[sizeof(why) + 32];
	_cleanup_(mem_freep) char *expected =
		mem_printf("root or the sidecar's own user (uid %u)", (unsigned)geteuid());
	(void)why_set(&why, ERR_DENIED, expected, "run the command as one of them",
		"the sidecar accepts no commands from this user");
	_cleanup_(mem_freep) char *answer = mem_printf("%s%s\n", refused_mark, why_format(&why, text, sizeof(text)));
	(void)!send(fd, answer, strlen(answer), MSG_NOSIGNAL);
	fd_close(fd);
}

static void on_accept(void *arg, int fd, const struct addr *peer)
{
	struct admin_socket *admin = arg;
	(void)peer;
	if (!may_command(fd)) {
		refuse(fd);
		return;
	}
	for (unsigned i = 0; i < CLIENTS_MAX; i++) {
		struct admin_client *client = &admin->clients[i];
		if (client->fd != -1)
			continue;
		*client = (struct admin_client){.admin = admin, .fd = fd};
		loop_io_start(admin->options.loop, &client->io, fd, LOOP_READ, on_ready);
		loop_timer_start(admin->options.loop, &client->deadline, CLIENT_MS, deadline_passed);
		return;
	}
	fd_close(fd);
}

enum err admin_socket_new(const struct admin_socket_options *options, struct admin_socket **out, struct why *why)
{
	int fd;
	RETURN_IF_ERR(socket_listen_unix(options->path, 0600, options->passed, &fd, why));
	struct admin_socket *admin = mem_new(struct admin_socket);
	*admin = (struct admin_socket){.options = *options, .path = mem_strdup(options->path)};
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		admin->clients[i].fd = -1;
	admin->listener = listener_new(options->loop, fd, on_accept, NULL, admin);
	if (options->is_held)
		listener_hold(admin->listener);
	*out = admin;
	return ERR_NONE;
}

void admin_socket_resume(struct admin_socket *admin)
{
	CHECK(admin->options.is_held);
	admin->options.is_held = false;
	if (listener_start(admin->listener, 1024) != ERR_NONE)
		log_error("sidecar", "cannot listen at %s", admin->path);
}

void admin_socket_hold(struct admin_socket *admin)
{
	CHECK(!admin->options.is_held);
	admin->options.is_held = true;
	listener_hold(admin->listener);
}

int admin_socket_fd(const struct admin_socket *admin)
{
	return listener_fd(admin->listener);
}

void admin_socket_free(struct admin_socket *admin)
{
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		if (admin->clients[i].fd != -1)
			client_close(&admin->clients[i]);
	listener_free(admin->listener);
	socket_remove_unix(admin->path);
	mem_free(admin->path);
	mem_free(admin);
}

static enum err read_answer(int fd, char *out, size_t cap)
{
	size_t len = 0;
	struct pollfd readable = {.fd = fd, .events = POLLIN};
	while (len + 1 < cap && poll(&readable, 1, ANSWER_MS) > 0) {
		ssize_t got = read(fd, out + len, cap - 1 - len);
		if (got <= 0)
			break;
		len += (size_t)got;
	}
	out[len] = '\0';
	return len > 0 ? ERR_NONE : ERR_TIMEOUT;
}

static enum err read_refusal(const char *answer, struct why *why)
{
	size_t len = sizeof(refused_mark) - 1;
	if (strncmp(answer, refused_mark, len) != 0)
		return ERR_NONE;
	if (!why_parse(answer + len, ERR_DENIED, why))
		(void)why_set(why, ERR_DENIED, "root or the sidecar's own user", "run the command as one of them",
			"the sidecar refused: %s", answer + len);
	return ERR_DENIED;
}

enum err admin_socket_send(const char *path, const char *keyword, char *out, size_t cap, struct why *why)
{
	_cleanup_fd_ int fd = -1;
	_cleanup_(mem_freep) char *line = mem_printf("%s\n", keyword);
	enum err err = socket_connect_unix(path, &fd, why);
	if (err == ERR_DENIED)
		return why_set(why, err, "root or the sidecar's own user", "run the command as one of them",
			"this user may not open %s", path);
	if (err == ERR_NOT_FOUND || err == ERR_REFUSED)
		return why_set(why, ERR_UNAVAILABLE, "a sidecar that listens on its admin socket",
			"start it, or pass the socket of its settings: --admin_socket PATH, or --config FILE",
			err == ERR_NOT_FOUND ? "the admin socket %s does not exist" : "no sidecar listens on %s", path);
	RETURN_IF_ERR(err);
	/* A sidecar that refuses this user answers and closes before it reads, so a failure to send is not the end. */
	int send_errno = send(fd, line, strlen(line), MSG_NOSIGNAL) < 0 ? errno : 0;
	err = read_answer(fd, out, cap);
	out[strcspn(out, "\n")] = '\0';
	if (err == ERR_NONE)
		return read_refusal(out, why);
	errno = send_errno;
	if (send_errno != 0)
		return why_set(why, ERR_IO, "a sidecar that listens on its admin socket",
			"check that the sidecar is running", "cannot send to %s: %m", path);
	return why_set(why, err, "an answer within 5 s", "inspect the sidecar's log",
		"the sidecar did not answer on %s", path);
}
