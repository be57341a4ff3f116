#include "control/issue/issuer.h"
#include "base/core/check.h"
#include "base/core/list.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "control/issue/issuer_private.h"
#include "control/issue/signer.h"
#include "control/issue/wire.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PENDING_MAX 1024 /* requests under way: bounds the memory that a flood of CSRs can use */
#define SENT_MAX    256  /* of those, sent to the signer: the rest can still be dropped when their caller closes */
#define ROUND_MAX   256  /* answers read per round of the loop: the rest waits, so that connections get their turn */

struct issuer_request { /* from the call to its answer */
	struct issuer *issuer;
	struct list *queue; /* the queue in which it waits */
	struct list_link link;
	uint64_t id;
	struct buf message;
	issuer_done_fn *on_done; /* NULL: abandoned */
	void *arg;
};

struct issuer {
	struct issuer_options options;
	pid_t child;
	int fd;
	struct loop_io io;
	struct store_mark mark;
	uint64_t next_id;
	struct list unsent;
	struct list sent;    /* the answers come in the same order */
	struct list refused; /* never sent: answered after the call returned */
	struct loop_task refusal;
	unsigned num_pending, num_sent;
	bool is_lost, has_note_failed;
};

/* Runs in the child: only async-signal-safe calls until exec. */
static _Noreturn void become_signer(int fd, int token_fd, const char *program, char *const *argv)
{
	char *const no_environment[] = {NULL};
	/* Neither of the two may be where the other one goes. */
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 5);
	if (token_fd >= 0)
		dup2(fcntl(token_fd, F_DUPFD_CLOEXEC, 5), SIGNER_TOKEN_FD);
	dup2(fd, 3);
	fcntl(3, F_SETFL, 0);
	execve(program, argv, no_environment);
	_exit(127);
}

static char *copy_of(const char *path)
{
	return mem_strdup(path == NULL ? "" : path);
}

static enum err start_child(struct issuer *issuer, int fd, struct why *why)
{
	const struct issuer_options *options = &issuer->options;
	char leaf[24], intermediate[24], root[24], policy[24];
	snprintf(leaf, sizeof leaf, "%lld", (long long)options->max_leaf_ttl_s);
	snprintf(intermediate, sizeof intermediate, "%lld", (long long)options->intermediate_life_s);
	snprintf(root, sizeof root, "%lld", (long long)options->root_life_s);
	snprintf(policy, sizeof policy, "%d", (int)options->policy);
	const char *program = options->program == NULL ? "/proc/self/exe" : options->program;
	_cleanup_(mem_freep) char *folder = mem_strdup(options->key_folder);
	char domain[TRUST_DOMAIN_MAX + 1];
	memcpy(domain, options->trust_domain->name, sizeof domain);
	_cleanup_(mem_freep) char *own_certificate = copy_of(options->own.certificate);
	_cleanup_(mem_freep) char *own_key = copy_of(options->own.key);
	_cleanup_(mem_freep) char *own_root = copy_of(options->own.root);
	bool has_token = options->own.token_fd > 0;
	char name[] = "handfast-control", command[] = SIGNER_COMMAND, three[] = "3", token[] = "token", none[] = "";
	char *argv[] = {name, command, three, folder, domain, leaf, intermediate, root, policy, own_certificate,
		own_key, own_root, has_token ? token : none, NULL};
	issuer->child = fork();
	if (issuer->child == 0)
		become_signer(fd, has_token ? options->own.token_fd : -1, program, argv);
	if (issuer->child < 0)
		return why_set(why, err_from_errno(errno), "a child process", "raise the process limit",
			"the signer cannot be started: %m");
	return ERR_NONE;
}

static struct issuer_request *queue_first(const struct list *queue)
{
	return LIST_FIRST(queue, struct issuer_request, link);
}

static void queue_add(struct list *queue, struct issuer_request *request)
{
	request->queue = queue;
	list_push_back(queue, &request->link);
}

static struct issuer_request *queue_remove(struct issuer_request *request)
{
	list_remove(&request->link);
	if (request->queue == &request->issuer->sent) {
		CHECK(request->issuer->num_sent > 0);
		request->issuer->num_sent--;
	}
	return request;
}

/* After queue_remove(). */
static void request_free(struct issuer_request *request)
{
	CHECK(request->issuer->num_pending > 0 && !list_is_linked(&request->link));
	request->issuer->num_pending--;
	buf_done(&request->message);
	mem_free(request);
}

static void finish(struct issuer_request *request, enum err err, const struct issued *issued, const struct why *why)
{
	queue_remove(request);
	if (request->on_done != NULL)
		request->on_done(request->arg, err, issued, why);
	request_free(request);
}

static void refuse_all(struct list *queue)
{
	struct why why = {0};
	enum err err = why_set(
		&why, ERR_UNAVAILABLE, "a signer that runs", "restart the control plane", "the signer has ended");
	while (!list_is_empty(queue))
		finish(queue_first(queue), err, NULL, &why);
}

/* A signer that has closed the socket or sent garbage ends at once: the wait is short. */
static enum err reap(struct issuer *issuer)
{
	int status = 0;
	if (issuer->child <= 0)
		return ERR_NONE;
	while (waitpid(issuer->child, &status, 0) < 0 && errno == EINTR)
		;
	issuer->child = 0;
	if (WIFSIGNALED(status))
		log_error("issuer", "the signer was ended by signal %d (%s)%s", WTERMSIG(status),
			strsignal(WTERMSIG(status)),
			WTERMSIG(status) == SIGSYS ? ": a system call outside of its list; `dmesg` names it, type=1326"
						   : "");
	return WIFEXITED(status) && WEXITSTATUS(status) == SIGNER_EXIT_BAD_STATE ? ERR_STATE_DAMAGED : ERR_UNAVAILABLE;
}

static void lose(struct issuer *issuer)
{
	if (issuer->is_lost)
		return;
	issuer->is_lost = true;
	loop_io_stop(&issuer->io);
	shutdown(issuer->fd, SHUT_RDWR); /* ends a signer that still runs */
	issuer->options.on_lost(
		issuer->options.arg, reap(issuer)); /* first: it gets the reason, the requests only the fact */
	refuse_all(&issuer->sent);
	refuse_all(&issuer->unsent);
}

/* The signer's reason in its three parts. */
static void explain(struct span text, enum err err, struct why *why)
{
	_cleanup_(mem_freep) char *copy = mem_printf("%.*s", (int)text.len, (const char *)text.ptr);
	if (!why_parse(copy, err, why))
		(void)why_set(why, err, "a request that the signer may grant",
			"read the signer's lines in the control plane's log, then repeat the request", "%s", copy);
}

static void answer(struct issuer *issuer, const struct wire_answer *answer)
{
	struct issued issued = {.num_chain = answer->num_certs, .sealed = answer->sealed};
	struct why why = {0};
	_Static_assert(sizeof issued.chain / sizeof issued.chain[0] >= WIRE_CERTS_MAX, "wire_answer_parse() bounds it");
	for (size_t i = 0; i < issued.num_chain; i++)
		issued.chain[i] = answer->certs[i];
	enum err err = (enum err)answer->err;
	if (err != ERR_NONE)
		explain(answer->text, err, &why);
	finish(queue_first(&issuer->sent), err, err == ERR_NONE ? &issued : NULL, &why);
}

/* False: nothing more to read for now. */
static bool receive_one(struct issuer *issuer)
{
	uint8_t bytes[WIRE_MAX];
	struct wire_answer parsed;
	ssize_t len = recv(issuer->fd, bytes, sizeof bytes, 0);
	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (len <= 0 || wire_answer_parse(span_of(bytes, (size_t)len), &parsed) != ERR_NONE ||
		list_is_empty(&issuer->sent) || queue_first(&issuer->sent)->id != parsed.id)
		lose(issuer);
	else
		answer(issuer, &parsed);
	return !issuer->is_lost;
}

static void send_unsent(struct issuer *issuer)
{
	while (!list_is_empty(&issuer->unsent) && issuer->num_sent < SENT_MAX) {
		struct issuer_request *request = queue_first(&issuer->unsent);
		struct span message = buf_span(&request->message);
		if (send(issuer->fd, message.ptr, message.len, MSG_NOSIGNAL) < 0)
			break; /* full: later; closed: the read side reports it */
		queue_add(&issuer->sent, queue_remove(request));
		issuer->num_sent++;
	}
	bool is_full = !list_is_empty(&issuer->unsent) && issuer->num_sent < SENT_MAX;
	loop_io_set_interest(&issuer->io, LOOP_READ | (is_full ? LOOP_WRITE : 0));
}

/* Reads most of what is there at once: a round of a busy loop is long, and the signer must not wait for it. */
static void receive(struct issuer *issuer)
{
	for (unsigned i = 0; i < ROUND_MAX; i++)
		if (!receive_one(issuer))
			break;
	if (!issuer->is_lost)
		send_unsent(issuer);
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
	CHECK(options->on_lost != NULL && options->key_folder != NULL);
	_cleanup_(issuer_destroyp) struct issuer *issuer = mem_new(struct issuer);
	int pair[2];
	issuer->options = *options;
	issuer->fd = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
		return why_set(why, err_from_errno(errno), "a pair of sockets", "raise the descriptor limit",
			"the sockets cannot be made: %m");
	issuer->fd = pair[0];
	_cleanup_fd_ int theirs = pair[1];
	RETURN_IF_ERR(start_child(issuer, theirs, why));
	loop_io_start(options->loop, &issuer->io, issuer->fd, LOOP_READ, on_ready);
	*out = TAKE_PTR(issuer);
	return ERR_NONE;
}

static void drop_all(struct list *queue)
{
	while (!list_is_empty(queue))
		request_free(queue_remove(queue_first(queue)));
}

void issuer_free(struct issuer *issuer)
{
	loop_io_stop(&issuer->io);
	drop_all(&issuer->sent);
	drop_all(&issuer->unsent);
	drop_all(&issuer->refused);
	loop_task_cancel(&issuer->refusal);
	CHECK(issuer->num_pending == 0 && issuer->num_sent == 0);
	fd_close(issuer->fd); /* the signer ends when it reads this */
	issuer->fd = -1;
	(void)reap(issuer);
	issuer_destroy(issuer);
}

static void on_refusal(struct loop_task *task)
{
	struct issuer *issuer = container_of(task, struct issuer, refusal);
	struct why why = {0};
	enum err err = why_set(&why, issuer->is_lost ? ERR_UNAVAILABLE : ERR_LIMIT, "a signer with capacity",
		"try again later",
		issuer->is_lost ? "the signer has ended" : "the signer has too many requests under way");
	while (!list_is_empty(&issuer->refused))
		finish(queue_first(&issuer->refused), err, NULL, &why);
}

struct issuer_request *issuer_send(
	struct issuer *issuer, struct wire_request *message, issuer_done_fn *on_done, void *arg)
{
	struct issuer_request *request = mem_new(struct issuer_request);
	message->id = ++issuer->next_id;
	message->epoch = issuer->mark.epoch;
	message->incarnation = issuer->mark.incarnation;
	message->revision = issuer->mark.revision;
	*request = (struct issuer_request){
		.issuer = issuer, .id = message->id, .message = BUF_INIT(WIRE_MAX), .on_done = on_done, .arg = arg};
	bool fits = wire_request_encode(message, &request->message) == ERR_NONE;
	if (++issuer->num_pending > PENDING_MAX || issuer->is_lost || !fits) {
		queue_add(&issuer->refused, request);
		loop_task_post(issuer->options.loop, &issuer->refusal, on_refusal);
		return request;
	}
	queue_add(&issuer->unsent, request);
	send_unsent(issuer);
	return request;
}

void issuer_abandon(struct issuer_request *request)
{
	CHECK(request->on_done != NULL); /* abandoned once, and not after its answer */
	request->on_done = NULL;
	if (request->queue == &request->issuer->unsent)
		request_free(queue_remove(request));
}

void issuer_judge(struct issuer *issuer, const struct store_mark *mark, issuer_done_fn *on_done, void *arg)
{
	struct wire_request question = {.kind = WIRE_JUDGE};
	issuer->mark = *mark;
	(void)issuer_send(issuer, &question, on_done, arg);
}

void issuer_introduce(struct issuer *issuer, const struct store_mark *mark, issuer_done_fn *on_done, void *arg)
{
	struct wire_request introduction = {.kind = WIRE_INTRODUCE};
	issuer->mark = *mark;
	(void)issuer_send(issuer, &introduction, on_done, arg);
}

/* Logged once per episode: it is tried again every few seconds while the disk is full. */
static void on_noted(void *arg, enum err err, _unused_ const struct issued *issued, const struct why *why)
{
	struct issuer *issuer = arg;
	if (err != ERR_NONE && !issuer->has_note_failed)
		log_why(LOG_LEVEL_ERROR, "issue", "the signer could not record the revision of the store", why);
	issuer->has_note_failed = err != ERR_NONE;
}

void issuer_note(struct issuer *issuer, uint64_t revision)
{
	struct wire_request note = {.kind = WIRE_NOTE};
	if (revision <= issuer->mark.revision)
		return;
	issuer->mark.revision = revision;
	(void)issuer_send(issuer, &note, on_noted, issuer);
}
