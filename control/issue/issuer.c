#include "control/issue/issuer.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "control/issue/signer.h"
#include "control/issue/wire.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PENDING_MAX 1024 /* requests under way: bounds what a flood of CSRs can pile up */

struct pending { /* one request, from the call until its answer */
	struct pending *next;
	uint64_t id;
	struct buf message;
	issuer_done_fn *on_done;
	void *arg;
};

struct issuer {
	struct issuer_options options;
	pid_t child;
	int fd;
	struct loop_io io;
	uint64_t epoch, next_id;
	struct pending *unsent, **unsent_tail;   /* in order */
	struct pending *sent, **sent_tail;       /* in order; so are the answers */
	struct pending *refused, **refused_tail; /* never sent: answered after the call returned */
	struct loop_task refusal;
	unsigned num_pending;
	bool is_lost;
};

/* In the child. Only async-signal-safe calls until exec. */
static _Noreturn void become_signer(int fd, const char *program, char *const *argv)
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

static enum err start_child(struct issuer *issuer, int fd, struct why *why)
{
	const struct issuer_options *options = &issuer->options;
	char leaf[24], intermediate[24], root[24];
	snprintf(leaf, sizeof leaf, "%lld", (long long)options->max_leaf_ttl_s);
	snprintf(intermediate, sizeof intermediate, "%lld", (long long)options->intermediate_life_s);
	snprintf(root, sizeof root, "%lld", (long long)options->root_life_s);
	const char *program = options->program == NULL ? "/proc/self/exe" : options->program;
	_cleanup_(mem_freep) char *folder = mem_strdup(options->key_folder);
	char domain[TRUST_DOMAIN_MAX + 1];
	memcpy(domain, options->trust_domain->name, sizeof domain);
	char name[] = "handfast-control", word[] = SIGNER_WORD, three[] = "3";
	char *argv[] = {name, word, three, folder, domain, leaf, intermediate, root, NULL};
	issuer->child = fork();
	if (issuer->child == 0)
		become_signer(fd, program, argv);
	if (issuer->child < 0)
		return why_set(why, err_from_errno(errno), "a child process", "raise the process limit", "%m");
	return ERR_NONE;
}

static void pending_free(struct pending *pending)
{
	buf_done(&pending->message);
	mem_free(pending);
}

static void finish(struct issuer *issuer, struct pending *pending, enum err err, const struct issued *issued,
	const struct why *why)
{
	issuer->num_pending--;
	pending->on_done(pending->arg, err, issued, why);
	pending_free(pending);
}

static struct pending *pop(struct pending **first, struct pending ***tail)
{
	struct pending *pending = *first;
	*first = pending->next;
	if (*first == NULL)
		*tail = first;
	return pending;
}

static void refuse_all(struct issuer *issuer, struct pending **first, struct pending ***tail)
{
	struct why why = {0};
	enum err err = why_set(&why, ERR_UNAVAILABLE, "a signer that runs", "restart the control plane", "it is gone");
	while (*first != NULL)
		finish(issuer, pop(first, tail), err, NULL, &why);
}

/* Whoever closed the socket or sent garbage has no more to say: the wait is short. */
static enum err reap(struct issuer *issuer)
{
	int status = 0;
	if (issuer->child <= 0)
		return ERR_NONE;
	while (waitpid(issuer->child, &status, 0) < 0 && errno == EINTR)
		;
	issuer->child = 0;
	return WIFEXITED(status) && WEXITSTATUS(status) == SIGNER_EXIT_BAD_STATE ? ERR_STATE_DAMAGED : ERR_UNAVAILABLE;
}

static void lose(struct issuer *issuer)
{
	if (issuer->is_lost)
		return;
	issuer->is_lost = true;
	loop_io_stop(&issuer->io);
	shutdown(issuer->fd, SHUT_RDWR);                            /* one that still lives ends by this */
	issuer->options.on_lost(issuer->options.arg, reap(issuer)); /* first: it knows why, the others only that */
	refuse_all(issuer, &issuer->sent, &issuer->sent_tail);
	refuse_all(issuer, &issuer->unsent, &issuer->unsent_tail);
}

static void answer(struct issuer *issuer, const struct wire_answer *answer)
{
	struct issued issued = {.num_chain = answer->num_certs};
	struct why why = {0};
	for (size_t i = 0; i < issued.num_chain; i++)
		issued.chain[i] = answer->certs[i];
	enum err err = (enum err)answer->err;
	if (err != ERR_NONE)
		why_set(&why, err, "a request that the signer may grant", "see the reason", "%.*s",
			(int)answer->text.len, (const char *)answer->text.ptr);
	finish(issuer, pop(&issuer->sent, &issuer->sent_tail), err, err == ERR_NONE ? &issued : NULL, &why);
}

/* One answer a call keeps a flood from starving the loop; the descriptor stays readable. */
static void receive(struct issuer *issuer)
{
	uint8_t bytes[WIRE_MAX];
	struct wire_answer parsed;
	ssize_t len = recv(issuer->fd, bytes, sizeof bytes, 0);
	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (len <= 0 || wire_answer_parse(span_of(bytes, (size_t)len), &parsed) != ERR_NONE || issuer->sent == NULL ||
		issuer->sent->id != parsed.id)
		lose(issuer);
	else
		answer(issuer, &parsed);
}

static void send_unsent(struct issuer *issuer)
{
	while (issuer->unsent != NULL) {
		struct span message = buf_span(&issuer->unsent->message);
		if (send(issuer->fd, message.ptr, message.len, MSG_NOSIGNAL) < 0)
			break; /* full: later; gone: reading tells */
		struct pending *pending = pop(&issuer->unsent, &issuer->unsent_tail);
		pending->next = NULL;
		*issuer->sent_tail = pending;
		issuer->sent_tail = &pending->next;
	}
	loop_io_want(&issuer->io, LOOP_READ | (issuer->unsent != NULL ? LOOP_WRITE : 0));
}

static void on_ready(struct loop_io *io, unsigned ready)
{
	struct issuer *issuer = container_of(io, struct issuer, io);
	if (ready & LOOP_WRITE)
		send_unsent(issuer);
	if (ready & LOOP_READ)
		receive(issuer);
}

static void issuer_destroy(struct issuer *issuer)
{
	fd_close(issuer->fd);
	mem_free(issuer);
}
DEFINE_CLEANUP(struct issuer *, issuer_destroy)

enum err issuer_start(const struct issuer_options *options, struct issuer **out, struct why *why)
{
	_cleanup_(issuer_destroyp) struct issuer *issuer = mem_new(struct issuer);
	int pair[2];
	issuer->options = *options;
	issuer->fd = -1;
	issuer->unsent_tail = &issuer->unsent;
	issuer->sent_tail = &issuer->sent;
	issuer->refused_tail = &issuer->refused;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
		return why_set(why, err_from_errno(errno), "a pair of sockets", "raise the descriptor limit", "%m");
	issuer->fd = pair[0];
	_cleanup_fd_ int theirs = pair[1];
	RETURN_IF_ERR(start_child(issuer, theirs, why));
	loop_io_start(options->loop, &issuer->io, issuer->fd, LOOP_READ, on_ready);
	*out = TAKE_PTR(issuer);
	return ERR_NONE;
}

static void drop_all(struct pending **first, struct pending ***tail)
{
	while (*first != NULL)
		pending_free(pop(first, tail));
}

void issuer_free(struct issuer *issuer)
{
	loop_io_stop(&issuer->io);
	drop_all(&issuer->sent, &issuer->sent_tail);
	drop_all(&issuer->unsent, &issuer->unsent_tail);
	drop_all(&issuer->refused, &issuer->refused_tail);
	loop_task_cancel(&issuer->refusal);
	fd_close(issuer->fd); /* the signer ends when it reads this */
	issuer->fd = -1;
	(void)reap(issuer);
	issuer_destroy(issuer);
}

static void on_refusal(struct loop_task *task)
{
	struct issuer *issuer = container_of(task, struct issuer, refusal);
	struct why why = {0};
	enum err err = why_set(&why, issuer->is_lost ? ERR_UNAVAILABLE : ERR_LIMIT, "a signer with time",
		"try again later", issuer->is_lost ? "it is gone" : "too many requests under way");
	while (issuer->refused != NULL)
		finish(issuer, pop(&issuer->refused, &issuer->refused_tail), err, NULL, &why);
}

static void refuse(struct issuer *issuer, struct pending *pending)
{
	*issuer->refused_tail = pending;
	issuer->refused_tail = &pending->next;
	loop_task_post(issuer->options.loop, &issuer->refusal, on_refusal);
}

static void request(struct issuer *issuer, struct wire_request *request, issuer_done_fn *on_done, void *arg)
{
	struct pending *pending = mem_new(struct pending);
	request->id = pending->id = ++issuer->next_id;
	request->epoch = issuer->epoch;
	*pending = (struct pending){.id = request->id, .message = BUF_INIT(WIRE_MAX), .on_done = on_done, .arg = arg};
	bool fits = wire_request_encode(request, &pending->message) == ERR_NONE;
	if (++issuer->num_pending > PENDING_MAX || issuer->is_lost || !fits) {
		refuse(issuer, pending);
		return;
	}
	*issuer->unsent_tail = pending;
	issuer->unsent_tail = &pending->next;
	send_unsent(issuer);
}

void issuer_introduce(struct issuer *issuer, uint64_t epoch, issuer_done_fn *on_done, void *arg)
{
	struct wire_request introduction = {.kind = WIRE_INTRODUCE};
	issuer->epoch = epoch;
	request(issuer, &introduction, on_done, arg);
}

void issuer_issue(struct issuer *issuer, const struct spiffe_id *id, struct span spki, int64_t ttl_s,
	issuer_done_fn *on_done, void *arg)
{
	struct wire_request leaf = {.kind = WIRE_LEAF, .ttl_s = ttl_s, .spiffe_id = spiffe_id_text(id), .spki = spki};
	request(issuer, &leaf, on_done, arg);
}

void issuer_issue_control(struct issuer *issuer, struct span spki, int64_t ttl_s, issuer_done_fn *on_done, void *arg)
{
	struct wire_request leaf = {.kind = WIRE_CONTROL, .ttl_s = ttl_s, .spki = spki};
	request(issuer, &leaf, on_done, arg);
}
