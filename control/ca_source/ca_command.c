#include "control/ca_source/ca_command.h"
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "control/ca_source/command_runner.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct ca_command {
	struct loop *loop;
	pid_t child;
	int fd;
	struct loop_io io;
	struct loop_task refusal;
	ca_command_done_fn *on_done; /* NULL: nothing is under way */
	void *arg;
	bool is_lost;
};

/* Runs in the child: only async-signal-safe calls until exec. */
static _Noreturn void become_runner(int fd, const char *program, char *const *argv)
{
	char *const no_environment[] = {NULL};
	if (fd == 3)
		fcntl(fd, F_SETFD, 0);
	else
		dup2(fd, 3);
	fcntl(3, F_SETFL, 0);
	execve(program, argv, no_environment);
	_exit(127);
}

static enum err start_child(
	const struct ca_command_options *options, struct ca_command *command, int fd, struct why *why)
{
	_cleanup_(mem_freep) char *folder = mem_strdup(options->key_folder);
	char name[] = "handfast-control", role[] = RUNNER_COMMAND, timeout[24];
	char *argv[4 + RUNNER_WORDS_MAX + 1] = {name, role, folder, timeout};
	snprintf(timeout, sizeof timeout, "%llu", (unsigned long long)options->timeout_ms);
	CHECK(options->num_words > 0 && options->num_words <= RUNNER_WORDS_MAX);
	for (size_t i = 0; i < options->num_words; i++)
		argv[4 + i] = options->words[i];
	command->child = fork();
	if (command->child == 0)
		become_runner(fd, options->program == NULL ? "/proc/self/exe" : options->program, argv);
	if (command->child < 0)
		return why_set(why, err_from_errno(errno), "a child process", "raise the process limit",
			"the process for identity.ca.command cannot be started: %m");
	return ERR_NONE;
}

static void finish(struct ca_command *command, enum err err, struct span output, const struct why *why)
{
	ca_command_done_fn *on_done = command->on_done;
	command->on_done = NULL;
	if (on_done != NULL)
		on_done(command->arg, err, output, why);
}

static void refuse(struct ca_command *command)
{
	struct why why = {0};
	finish(command,
		why_set(&why, ERR_UNAVAILABLE, "a process that runs identity.ca.command",
			"see its last log line, and restart the control plane", "the process has ended"),
		(struct span){0}, &why);
}

static void lose(struct ca_command *command)
{
	command->is_lost = true;
	loop_io_stop(&command->io);
	refuse(command);
}

static void answer(struct ca_command *command, struct span message)
{
	struct why why = {0};
	struct span text = span_from(message, 1);
	if (message.ptr[0] == RUNNER_SIGNED)
		finish(command, ERR_NONE, text, NULL);
	else
		finish(command,
			why_set(&why, ERR_REFUSED, "a command that signs the request and prints the chain",
				"run it by hand with the output of `handfast ca csr`", "%.*s", (int)text.len,
				(const char *)text.ptr),
			(struct span){0}, &why);
}

static void on_ready(struct loop_io *io, _unused_ unsigned ready)
{
	struct ca_command *command = container_of(io, struct ca_command, io);
	uint8_t bytes[1 + RUNNER_OUTPUT_MAX];
	ssize_t len = recv(command->fd, bytes, sizeof bytes, 0);
	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (len <= 1 || command->on_done == NULL)
		lose(command);
	else
		answer(command, span_of(bytes, (size_t)len));
}

static void ca_command_destroy(struct ca_command *command)
{
	fd_close(command->fd);
	mem_free(command);
}
DEFINE_CLEANUP(struct ca_command *, ca_command_destroy)

enum err ca_command_start(const struct ca_command_options *options, struct ca_command **out, struct why *why)
{
	_cleanup_(ca_command_destroyp) struct ca_command *command = mem_new(struct ca_command);
	int pair[2];
	command->loop = options->loop;
	command->fd = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
		return why_set(why, err_from_errno(errno), "a pair of sockets", "raise the descriptor limit",
			"the sockets cannot be made: %m");
	command->fd = pair[0];
	_cleanup_fd_ int theirs = pair[1];
	RETURN_IF_ERR(start_child(options, command, theirs, why));
	loop_io_start(options->loop, &command->io, command->fd, LOOP_READ, on_ready);
	*out = TAKE_PTR(command);
	return ERR_NONE;
}

void ca_command_free(struct ca_command *command)
{
	loop_io_stop(&command->io);
	loop_task_cancel(&command->refusal);
	fd_close(command->fd); /* the process ends when it reads this, also while a command runs */
	command->fd = -1;
	while (waitpid(command->child, NULL, 0) < 0 && errno == EINTR)
		;
	ca_command_destroy(command);
}

static void on_refusal(struct loop_task *task)
{
	refuse(container_of(task, struct ca_command, refusal));
}

void ca_command_sign(struct ca_command *command, struct span request_pem, ca_command_done_fn *on_done, void *arg)
{
	CHECK(command->on_done == NULL && on_done != NULL);
	command->on_done = on_done;
	command->arg = arg;
	if (command->is_lost || send(command->fd, request_pem.ptr, request_pem.len, MSG_NOSIGNAL) < 0)
		loop_task_post(command->loop, &command->refusal, on_refusal);
}
