#include "control/pkcs11/token_start.h"
#include "base/core/cleanup.h"
#include "base/net/fd.h"
#include "control/pkcs11/token_wire.h"
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

extern char **environ; /* modules are configured by it */

/* Runs in the child: only async-signal-safe calls until exec. */
static _Noreturn void become(int fd, const char *program, char *const *argv)
{
	if (fd == 3)
		fcntl(fd, F_SETFD, 0);
	else
		dup2(fd, 3);
	execve(program, argv, environ);
	_exit(127);
}

static char *word(const char *text)
{
	return (char *)(uintptr_t)text; /* execve() changes none */
}

static enum err start_child(const struct token_start_options *options, int fd, pid_t *out, struct why *why)
{
	char *argv[] = {word("handfast-pkcs11"), word(options->key_folder), word(options->module), word(options->token),
		word(options->key), word(options->pin_file), NULL};
	if (access(options->program, X_OK) != 0)
		return why_set(why, ERR_CONFIG, "the program handfast-pkcs11 at identity.ca.pkcs11.program",
			"install it there, or set its path", "cannot run %s: %m", options->program);
	pid_t child = fork();
	if (child == 0)
		become(fd, options->program, argv);
	if (child < 0)
		return why_set(why, err_from_errno(errno), "a child process", "raise the process limit",
			"handfast-pkcs11 cannot be started: %m");
	*out = child;
	return ERR_NONE;
}

enum err token_start(const struct token_start_options *options, int *out_fd, pid_t *out_child, struct why *why)
{
	const struct timeval wait = {.tv_sec = TOKEN_WAIT_MS / 1000};
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return why_set(why, err_from_errno(errno), "a pair of sockets", "raise the descriptor limit",
			"the sockets cannot be made: %m");
	_cleanup_fd_ int signers = pair[0], theirs = pair[1];
	if (setsockopt(signers, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) != 0 ||
		setsockopt(signers, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait) != 0)
		return why_set(why, err_from_errno(errno), "a socket with a timeout", "report this as a defect", "%m");
	RETURN_IF_ERR(start_child(options, theirs, out_child, why));
	*out_fd = TAKE_FD(signers);
	return ERR_NONE;
}
