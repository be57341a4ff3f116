#include "sidecar/identity/workload_source.h"

#include "base/core/backoff.h"
#include "base/core/check.h"
#include "base/core/fixed_ports.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/core/random.h"
#include "base/net/socket.h"
#include "base/rpc/rpc_client.h"
#include "certs/digest.h"

#define COMPONENT "identity"
#define FETCH     "/SpiffeWorkloadAPI/FetchX509SVID"

enum {
	FIRST_MS = 500,
	LONGEST_MS = 10000,
	TICK_MS = 1000,
	ASK_AGAIN_MAX_MS = 60000,
	/* A gRPC server in Go ends a connection with more than a PING per 5 minutes. A silent agent is noticed by
	 * ask_again(). */
	KEEPALIVE_MS = 360000,
};

struct workload_source {
	struct workload_source_options options;
	struct source_identity identity;
	struct rpc_client *client; /* NULL: not connected */
	struct backoff backoff;
	struct loop_timer redial, tick;
	struct loop_task drop;      /* frees the client outside of its callbacks */
	uint8_t in_use[DIGEST_LEN]; /* of the answer in use */
	uint64_t ask_again_boot_ms; /* without a new SVID until then the stream is opened anew; 0: no SVID yet */
};

static uint64_t boot_ms(const struct workload_source *source)
{
	const struct clock *clock = loop_clock(source->options.loop);
	return clock->boot_ms(clock);
}

/* --- the end of a connection --- */

static void on_redial(struct loop_timer *timer);

static void retry_later(struct workload_source *source)
{
	loop_timer_start(
		source->options.loop, &source->redial, backoff_next_ms(&source->backoff, random_u32()), on_redial);
}

static void on_drop(struct loop_task *task)
{
	struct workload_source *source = container_of(task, struct workload_source, drop);
	rpc_client_free(TAKE_PTR(source->client));
}

static void drop(struct workload_source *source)
{
	retry_later(source);
	if (source->client != NULL)
		loop_task_post(source->options.loop, &source->drop, on_drop);
}

/* --- an answer --- */

/* After so many quarters of the life that is left. */
static void plan_to_ask(struct workload_source *source, int64_t quarters)
{
	int64_t left_ms =
		(credentials_until_s(source->identity.credentials) - source_identity_now_s(&source->identity)) * 1000;
	int64_t wait_ms = left_ms > 0 ? left_ms * quarters / 4 : 0;
	source->ask_again_boot_ms = boot_ms(source) + (uint64_t)(wait_ms > TICK_MS ? wait_ms : TICK_MS);
}

static enum err use(struct workload_source *source, struct span message, struct why *why)
{
	_cleanup_(workload_answer_done) struct workload_answer answer = {0};
	bool is_renewal;
	const struct workload_choice choice =
		source_identity_choice(&source->identity, &source->options.trust_domain, source->options.spiffe_id);
	RETURN_IF_ERR(workload_answer_parse(message, &choice, &answer, why));
	RETURN_IF_ERR(source_identity_use(&source->identity, &answer, &is_renewal, why));
	if (is_renewal)
		plan_to_ask(source, 3);
	return ERR_NONE;
}

static void on_message(void *arg, struct rpc_call *call, struct span message)
{
	struct workload_source *source = arg;
	uint8_t hash[DIGEST_LEN];
	struct why why = {0};
	digest_sha256(message, hash);
	if (source->identity.epoch.counter > 0 && memcmp(hash, source->in_use, DIGEST_LEN) == 0) {
		backoff_reset(&source->backoff);
		source_identity_succeeded(&source->identity);
		return; /* connected anew: nothing is new */
	}
	if (use(source, message, &why) != ERR_NONE) {
		source_identity_failed(&source->identity, IDENTITY_RENEW_FAILED, &why);
		rpc_call_cancel(call);
		drop(source);
		return;
	}
	backoff_reset(&source->backoff);
	source_identity_succeeded(&source->identity);
	memcpy(source->in_use, hash, DIGEST_LEN);
}

/* --- a connection --- */

/* PermissionDenied: no entry matches this process (yet). An agent that has just started answers the same until it has
 * its entries, so the identity in use stays (decision 077). */
static void on_done(void *arg, _unused_ struct rpc_call *call, enum rpc_status status, const char *message,
	_unused_ uint32_t retry_after_ms)
{
	struct workload_source *source = arg;
	bool is_denied = status == RPC_PERMISSION_DENIED;
	struct why otherwise, why;
	if (is_denied)
		why_set(&otherwise, ERR_DENIED, "an identity that is registered for this sidecar's process",
			"register it, such as: spire-server entry create -selector unix:uid:" FIXED_TEXT(FIXED_ID),
			"the Workload API has no identity for this sidecar");
	else
		why_set(&otherwise, ERR_UNAVAILABLE, "a Workload API that keeps the stream open",
			"inspect the log of the Workload API's server, such as the SPIRE agent's",
			"the Workload API ended the stream");
	(void)rpc_status_why(status, message, &otherwise, &why);
	source_identity_failed(&source->identity, IDENTITY_SOURCE_LOST, &why);
	drop(source);
}

static void on_ready(void *arg, struct rpc_client *client)
{
	static const struct rpc_call_handlers handlers = {on_message, on_done};
	struct rpc_call *call;
	if (rpc_client_call(client, FETCH, 0, &handlers, arg, &call) != ERR_NONE)
		return; /* on_close follows */
	if (rpc_call_send(call, SPAN_LITERAL("")) == ERR_NONE)
		rpc_call_close_send(call);
}

static void on_close(void *arg, _unused_ struct rpc_client *client, const struct why *why)
{
	struct workload_source *source = arg;
	if (!loop_timer_is_armed(&source->redial)) { /* else on_done has seen it */
		source_identity_failed(&source->identity, IDENTITY_SOURCE_LOST, why);
		retry_later(source);
	}
	loop_task_post(source->options.loop, &source->drop, on_drop);
}

static void dial(struct workload_source *source)
{
	struct why why = {0};
	int fd;
	CHECK(source->client == NULL);
	if (socket_connect_unix(source->options.socket, &fd, &why) != ERR_NONE) {
		source_identity_failed(&source->identity, IDENTITY_SOURCE_LOST, &why);
		retry_later(source);
		return;
	}
	source->client = rpc_client_new(&(struct rpc_client_options){
		.loop = source->options.loop,
		.transport = transport_new_plain(fd),
		.authority = "localhost",
		.metadata = {{"workload.spiffe.io", "true"}},
		.keepalive_ms = KEEPALIVE_MS,
		.message_max = WORKLOAD_ANSWER_MAX,
		.on_ready = on_ready,
		.on_close = on_close,
		.arg = source,
	});
}

static void on_redial(struct loop_timer *timer)
{
	struct workload_source *source = container_of(timer, struct workload_source, redial);
	loop_task_cancel(&source->drop);
	rpc_client_free(TAKE_PTR(source->client));
	dial(source);
}

/* --- once per second --- */

/* A server renews at half of the life. One that has not by three quarters may hang, and its socket not report it. */
static void ask_again(struct workload_source *source)
{
	if (source->client == NULL || source->ask_again_boot_ms == 0 || boot_ms(source) < source->ask_again_boot_ms)
		return;
	plan_to_ask(source, 1);
	if (source->ask_again_boot_ms > boot_ms(source) + ASK_AGAIN_MAX_MS)
		source->ask_again_boot_ms = boot_ms(source) + ASK_AGAIN_MAX_MS;
	log_warning(COMPONENT, "the Workload API has not renewed the SVID in time: asking again");
	loop_timer_start(source->options.loop, &source->redial, 0, on_redial);
}

static void on_tick(struct loop_timer *timer)
{
	struct workload_source *source = container_of(timer, struct workload_source, tick);
	source_identity_check_expiry(&source->identity);
	ask_again(source);
	loop_timer_start(source->options.loop, &source->tick, TICK_MS, on_tick);
}

/* --- create and free --- */

struct workload_source *workload_source_new(const struct workload_source_options *options)
{
	static const struct source_texts texts = {"the Workload API", "no answer from the Workload API"};
	struct workload_source *source = mem_new(struct workload_source);
	source->options = *options;
	source_identity_init(&source->identity, options->loop, &options->callbacks, &texts);
	backoff_init(&source->backoff, FIRST_MS, LONGEST_MS);
	return source;
}

void workload_source_start(struct workload_source *source)
{
	loop_timer_start(source->options.loop, &source->tick, TICK_MS, on_tick);
	dial(source);
}

void workload_source_free(struct workload_source *source)
{
	if (source == NULL)
		return;
	loop_timer_stop(&source->redial);
	loop_timer_stop(&source->tick);
	loop_task_cancel(&source->drop);
	rpc_client_free(source->client);
	source_identity_done(&source->identity);
	mem_free(source);
}

const struct source_identity *workload_source_identity(const struct workload_source *source)
{
	return &source->identity;
}
