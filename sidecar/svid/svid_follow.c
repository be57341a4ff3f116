#include "sidecar/svid/svid_follow.h"

#include "base/core/backoff.h"
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/random.h"
#include "base/net/socket.h"
#include "base/rpc/rpc_client.h"
#include "certs/digest.h"
#include "sidecar/svid/svid_files.h"
#include <signal.h>

#define COMPONENT "svid"

enum { ANSWER_MAX = 4 * 1024 * 1024, FIRST_MS = 500, LONGEST_MS = 10000, POLL_MS = 50 };

struct follow {
	const struct svid_follow_options *options;
	struct loop *loop;
	struct rpc_client *client; /* NULL: not connected */
	struct svid_notice *notice;
	struct backoff backoff;
	struct loop_timer redial, once, done;
	struct loop_task drop;
	struct loop_signal on_term, on_int;
	uint8_t shown[DIGEST_LEN]; /* of the state in the files */
	bool has_shown;
	struct why detail; /* of the last failure */
};

static void dial(struct follow *follow);

static void on_redial(struct loop_timer *timer)
{
	dial(container_of(timer, struct follow, redial));
}

static void retry_later(struct follow *follow)
{
	loop_timer_start(follow->loop, &follow->redial, backoff_next_ms(&follow->backoff, random_u32()), on_redial);
}

/* --- a new state --- */

static void on_done_poll(struct loop_timer *timer)
{
	struct follow *follow = container_of(timer, struct follow, done);
	if (svid_notice_is_running(follow->notice))
		loop_timer_start(follow->loop, timer, POLL_MS, on_done_poll);
	else
		loop_stop(follow->loop);
}

static void on_message(void *arg, _unused_ struct rpc_call *call, struct span message)
{
	struct follow *follow = arg;
	uint8_t digest[DIGEST_LEN];
	struct why why = {0};
	enum err err = svid_files_digest(message, digest, &why);
	/* Connected anew, or another revocation list or trust domain: no reason to give notice. */
	bool is_same = err == ERR_NONE && follow->has_shown && memcmp(digest, follow->shown, sizeof(digest)) == 0;
	if (err == ERR_NONE && !is_same)
		err = svid_files_write(follow->options->folder, message, &why);
	if (err != ERR_NONE) { /* a full disk, perhaps for long: the pause grows */
		log_why(LOG_LEVEL_ERROR, COMPONENT, "cannot write the identity", &why);
		follow->detail = why;
		rpc_call_cancel(call);
		retry_later(follow);
		return;
	}
	backoff_reset(&follow->backoff);
	if (is_same)
		return;
	memcpy(follow->shown, digest, sizeof(digest));
	follow->has_shown = true;
	log_notice(COMPONENT, "wrote the identity to %s", follow->options->folder);
	svid_notice_give(follow->notice);
	if (!follow->options->is_once)
		return;
	loop_timer_stop(&follow->once); /* the program that was started has a time of its own */
	loop_timer_start(follow->loop, &follow->done, 0, on_done_poll);
}

/* --- the connection --- */

static void on_drop(struct loop_task *task)
{
	struct follow *follow = container_of(task, struct follow, drop);
	rpc_client_free(TAKE_PTR(follow->client));
}

static void lost(struct follow *follow, const struct why *why)
{
	follow->detail = *why;
	log_why(LOG_LEVEL_WARNING, COMPONENT, "no identity from the Workload API now", why);
	retry_later(follow);
}

static void on_done(void *arg, _unused_ struct rpc_call *call, enum rpc_status status, const char *message,
	_unused_ uint32_t retry_after_ms)
{
	static const struct why otherwise = {.err = ERR_UNAVAILABLE,
		.expected = "a sidecar with an identity, that serves this user",
		.fix = "run `handfast why` on the sidecar's host",
		.got = "the Workload API ended the call"};
	struct follow *follow = arg;
	struct why why = {0};
	(void)rpc_status_why(status, message, &otherwise, &why);
	lost(follow, &why);
	if (follow->client != NULL)
		loop_task_post(follow->loop, &follow->drop, on_drop);
}

static void on_ready(void *arg, struct rpc_client *client)
{
	static const struct rpc_call_handlers handlers = {on_message, on_done};
	struct rpc_call *call;
	if (rpc_client_call(client, "/SpiffeWorkloadAPI/FetchX509SVID", 0, &handlers, arg, &call) != ERR_NONE)
		return; /* on_close follows */
	if (rpc_call_send(call, SPAN_LITERAL("")) == ERR_NONE)
		rpc_call_close_send(call);
}

static void on_close(void *arg, _unused_ struct rpc_client *client, const struct why *why)
{
	struct follow *follow = arg;
	if (!loop_timer_is_armed(&follow->redial)) /* else on_done has seen it */
		lost(follow, why);
	loop_task_post(follow->loop, &follow->drop, on_drop);
}

static void dial(struct follow *follow)
{
	struct why why = {0};
	int fd;
	if (follow->client != NULL)
		rpc_client_free(TAKE_PTR(follow->client));
	if (socket_connect_unix(follow->options->socket, &fd, &why) != ERR_NONE) {
		lost(follow, &why);
		return;
	}
	follow->client = rpc_client_new(&(struct rpc_client_options){
		.loop = follow->loop,
		.transport = transport_new_plain(fd),
		.authority = "localhost",
		.metadata = {{"workload.spiffe.io", "true"}},
		.message_max = ANSWER_MAX,
		.on_ready = on_ready,
		.on_close = on_close,
		.arg = follow,
	});
}

/* --- run --- */

static void on_end(struct loop_signal *signal)
{
	loop_stop(signal->loop);
}

static void on_once_over(struct loop_timer *timer)
{
	loop_stop(timer->loop);
}

static void follow_done(struct follow *follow)
{
	loop_timer_stop(&follow->redial);
	loop_timer_stop(&follow->once);
	loop_timer_stop(&follow->done);
	loop_signal_stop(&follow->on_term);
	loop_signal_stop(&follow->on_int);
	loop_task_cancel(&follow->drop);
	rpc_client_free(follow->client);
	svid_notice_free(follow->notice);
	loop_free(follow->loop);
}

enum err svid_follow(const struct svid_follow_options *options, struct why *why)
{
	_cleanup_(follow_done) struct follow follow = {.options = options, .loop = loop_new(&clock_system)};
	(void)why_set(&follow.detail, ERR_TIMEOUT, "an answer of the Workload API in time",
		"run `handfast why` on the sidecar's host", "the Workload API took the call and did not answer");
	follow.notice = svid_notice_new(follow.loop, &options->notice);
	if (options->on_forked != NULL)
		options->on_forked();
	backoff_init(&follow.backoff, FIRST_MS, LONGEST_MS);
	loop_signal_start(follow.loop, &follow.on_term, SIGTERM, on_end);
	loop_signal_start(follow.loop, &follow.on_int, SIGINT, on_end);
	if (options->is_once)
		loop_timer_start(follow.loop, &follow.once, options->once_ms, on_once_over);
	dial(&follow);
	loop_run(follow.loop);
	if (!options->is_once || follow.has_shown)
		return ERR_NONE;
	*why = follow.detail;
	return why->err;
}
