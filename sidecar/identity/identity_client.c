#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/core/random.h"
#include "sidecar/identity/identity_client_private.h"
#include <sys/stat.h>

#define COMPONENT "identity"

enum { TICK_MS = 1000, TICK_MIN_MS = 20 };

static void on_dial_timer(struct loop_timer *timer);
static void on_tick(struct loop_timer *timer);

struct renew_now identity_now(const struct identity_client *client)
{
	const struct clock *clock = loop_clock(client->options.loop);
	return (struct renew_now){
		.boot_ms = clock->boot_ms(clock),
		.mono_ms = clock->mono_ms(clock),
		.wall_ms = clock->wall_ms(clock),
		.trusted_s = trusted_time_now_s(&client->time, clock),
		.random = random_u32(),
	};
}

static bool is_valid(const struct identity_client *client)
{
	return client->credentials != NULL &&
	       credentials_are_valid(client->credentials, identity_now(client).trusted_s);
}

static void dial_in(struct identity_client *client, uint64_t delay_ms)
{
	loop_timer_start(client->options.loop, &client->dial_timer, delay_ms, on_dial_timer);
}

/* A token may be replaced while the sidecar runs: after the control plane was set up again, or if the first token was
 * wrong. It contains the pin of the bootstrap root, so it is read before each dial. */
static void add_token_pin(struct identity_client *client)
{
	_cleanup_(token_done) struct token token = {0};
	if (client->options.token_file != NULL && token_read(client->options.token_file, &token, NULL) == ERR_NONE)
		bootstrap_pins_add(&client->pins, token.bootstrap_root_sha256);
}

/* What may follow each state. An attempt ends once, by give_up() or dial_with_svid(), from where the next one waits. */
void identity_enter(struct identity_client *client, enum identity_state next)
{
	static const uint8_t followers[] = {
		[IDENTITY_WAITING] = 1u << IDENTITY_ATTESTING | 1u << IDENTITY_CONNECTING,
		[IDENTITY_ATTESTING] = 1u << IDENTITY_ATTEST_ENDED | 1u << IDENTITY_STREAMING,
		[IDENTITY_ATTEST_ENDED] = 1u << IDENTITY_WAITING,
		[IDENTITY_CONNECTING] = 1u << IDENTITY_STREAMING | 1u << IDENTITY_STREAM_ENDED,
		[IDENTITY_STREAMING] = 1u << IDENTITY_TRUSTED | 1u << IDENTITY_STREAM_ENDED,
		[IDENTITY_TRUSTED] = 1u << IDENTITY_STREAM_ENDED,
		[IDENTITY_STREAM_ENDED] = 1u << IDENTITY_WAITING,
	};
	CHECK((followers[client->state] & 1u << next) != 0);
	client->state = next;
}

static void on_dial_timer(struct loop_timer *timer)
{
	struct identity_client *client = container_of(timer, struct identity_client, dial_timer);
	add_token_pin(client);
	bool attests = client->must_attest || !is_valid(client);
	CHECK(control_link_is_down(client->link) && client->call == NULL && client->state == IDENTITY_WAITING);
	CHECK(client->pending.key == NULL);
	identity_enter(client, attests ? IDENTITY_ATTESTING : IDENTITY_CONNECTING);
	control_link_dial(client->link, attests ? NULL : client->credentials, 0, redial_timeout_ms(&client->redial));
}

/* --- the end of an attempt --- */

static bool has_ended(const struct identity_client *client)
{
	return client->state == IDENTITY_ATTEST_ENDED || client->state == IDENTITY_STREAM_ENDED;
}

static bool is_of_stream(const struct identity_client *client)
{
	return client->state >= IDENTITY_CONNECTING;
}

/* Before the connection is freed: discovery may have a borrowed pointer to it. */
static void unshare(struct identity_client *client)
{
	client->options.on_connection(client->options.arg, NULL);
}

static void cut(struct identity_client *client)
{
	client->call = NULL;
	client->streams_here = false;
	fresh_request_done(&client->pending);
	claim_retry_stop(&client->claim_retry);
	unshare(client);
	control_link_cut(client->link);
	identity_enter(client, IDENTITY_WAITING);
}

static void give_up(struct loop_task *task)
{
	struct identity_client *client = container_of(task, struct identity_client, give_up);
	const struct identity_failure *failure = &client->failure;
	if (control_link_client(client->link) != NULL) /* the call failed: another control plane may answer it */
		control_link_turn(client->link);
	cut(client);
	uint32_t wait = redial_failed_ms(&client->redial, failure->cause, failure->retry_after_ms, random_u32());
	/* An outage is logged once as a warning, further tries for debugging. */
	log_why(client->redial.num_failed == 1 || failure->detail.err != client->last_failure.err ? LOG_LEVEL_WARNING
												  : LOG_LEVEL_DEBUG,
		COMPONENT, "no connection to the control plane; trying again", &failure->detail);
	client->last_failure = failure->detail;
	if (failure->cause != REDIAL_REFUSED)
		identity_kept_use(client);
	dial_in(client, wait);
}

void identity_fail(
	struct identity_client *client, enum redial_cause cause, uint32_t retry_after_ms, const struct why *why)
{
	if (has_ended(client))
		return; /* only the first failure counts */
	identity_enter(client, is_of_stream(client) ? IDENTITY_STREAM_ENDED : IDENTITY_ATTEST_ENDED);
	client->failure = (struct identity_failure){cause, retry_after_ms, *why};
	const struct addr dialed = control_link_dialed(client->link);
	char text[ADDR_TEXT_MAX];
	if (dialed.ip.family != 0)
		why_name_host(&client->failure.detail, addr_format(&dialed, text));
	loop_task_post(client->options.loop, &client->give_up, give_up);
}

/* The stream has ended just before its connection, and knew no reason. */
static void explain_end(struct identity_client *client, const struct why *why)
{
	if (client->state != IDENTITY_STREAM_ENDED || client->failure.cause != REDIAL_UNREACHABLE ||
		why->err != ERR_TIMEOUT)
		return;
	client->failure.cause = REDIAL_SILENT;
	client->failure.detail = *why;
}

static void on_down(void *arg, const struct why *why, enum redial_cause cause)
{
	struct identity_client *client = arg;
	unshare(client);
	/* The control plane refuses the SVID (its store is new, or this host's clock is wrong): attest again. */
	if (cause == REDIAL_REFUSED && is_of_stream(client))
		client->must_attest = true;
	explain_end(client, why);
	if (!has_ended(client))
		client->options.on_event(client->options.arg, IDENTITY_UNREACHABLE, why);
	identity_fail(client, cause, 0, why);
}

/* --- an attempt --- */

void identity_start_streams(struct identity_client *client)
{
	identity_stream_open(client);
	if (has_ended(client))
		return;
	CHECK(client->state == IDENTITY_STREAMING && client->call != NULL);
	client->options.on_connection(client->options.arg, control_link_client(client->link));
}

static void on_up(void *arg)
{
	struct identity_client *client = arg;
	if (client->state == IDENTITY_ATTESTING)
		identity_enroll(client);
	else
		identity_start_streams(client);
}

static void dial_with_svid(struct loop_task *task)
{
	struct identity_client *client = container_of(task, struct identity_client, attested);
	cut(client);
	loop_task_cancel(&client->give_up);
	dial_in(client, 0);
}

void identity_attested(struct identity_client *client)
{
	CHECK(client->pending.key == NULL);
	if (!has_ended(client))                                /* its connection may have failed just before */
		identity_enter(client, IDENTITY_ATTEST_ENDED); /* later events of this connection are ignored */
	redial_succeeded(&client->redial);
	loop_task_post(client->options.loop, &client->attested, dial_with_svid);
}

static struct timespec token_changed(const struct identity_client *client)
{
	struct stat stat_;
	if (client->options.token_file == NULL || stat(client->options.token_file, &stat_) != 0)
		return (struct timespec){0};
	return stat_.st_mtim;
}

/* While the client waits to dial again: a new token makes it dial at once. */
static void check_token_file(struct identity_client *client)
{
	if (!loop_timer_is_armed(&client->dial_timer))
		return;
	struct timespec changed = token_changed(client), before = client->token_changed;
	client->token_changed = changed;
	if (changed.tv_sec == 0 || (changed.tv_sec == before.tv_sec && changed.tv_nsec == before.tv_nsec))
		return;
	log_notice(COMPONENT, "the token file has changed: trying again at once");
	redial_succeeded(&client->redial);
	dial_in(client, 0);
}

static uint64_t next_tick_ms(const struct identity_client *client)
{
	uint64_t now = identity_now(client).boot_ms, due = client->renew.due_boot_ms;
	if (!client->renew.has_certificate || due >= now + TICK_MS)
		return TICK_MS;
	return due > now + TICK_MIN_MS ? due - now : due > now ? TICK_MIN_MS : TICK_MS / 4;
}

/* A request belongs to a call (until an ended attempt is cut), trust and sharing to a stream; the timer to dial runs
 * only while the link is down. */
static void check_state(const struct identity_client *client)
{
	CHECK(client->pending.key == NULL || client->call != NULL || has_ended(client));
	CHECK((client->state != IDENTITY_STREAMING && client->state != IDENTITY_TRUSTED) ||
		(client->call != NULL && control_link_client(client->link) != NULL));
	CHECK(!client->is_published || client->credentials != NULL);
	CHECK(!loop_timer_is_armed(&client->dial_timer) || control_link_is_down(client->link));
}

static void on_tick(struct loop_timer *timer)
{
	struct identity_client *client = container_of(timer, struct identity_client, tick);
	check_state(client);
	struct renew_now now = identity_now(client);
	if (renew_poll(&client->renew, &now))
		log_notice(COMPONENT, "the clock jumped or the host was suspended: renewing soon");
	identity_check_expiry(client);
	identity_kept_poll(client);
	check_token_file(client);
	if (identity_store_again(client))
		identity_stream_confirm(client);
	identity_stream_poll(client);
	if (renew_is_due(&client->renew, &now))
		identity_stream_renew(client);
	loop_timer_start(client->options.loop, &client->tick, next_tick_ms(client), on_tick);
}

/* --- create and free --- */

/* By the earlier clock: a clock that was ahead for a moment must not make the control plane's certificate look expired,
 * since the control plane is what corrects the time. */
static int64_t server_now_s(void *arg)
{
	const struct identity_client *client = arg;
	return trusted_time_earlier_s(&client->time, loop_clock(client->options.loop));
}

static void gather_pins(struct identity_client *client)
{
	const struct enrolled_state *state = state_folder_get(client->options.state);
	if (client->options.bootstrap_root_sha256 != NULL)
		bootstrap_pins_add(&client->pins, client->options.bootstrap_root_sha256);
	for (size_t i = 0; i < state->num_pins; i++)
		bootstrap_pins_add(&client->pins, state->pins[i]);
	add_token_pin(client);
	client->token_changed = token_changed(client);
}

static enum err check_pins(const struct identity_client *client, struct why *why)
{
	_cleanup_(token_done) struct token token = {0};
	if (client->pins.num > 0)
		return ERR_NONE;
	if (client->options.token_file != NULL)
		return token_read(client->options.token_file, &token, why); /* sets the reason */
	return why_set(why, ERR_CONFIG, "the SHA-256 of the bootstrap root, in a token or in the settings",
		"set identity.token_file or control.bootstrap_root_sha256",
		"no bootstrap root is configured, so any server could impersonate the control plane");
}

static enum err link_make(struct identity_client *client, struct why *why)
{
	struct control_link_options link = {
		.loop = client->options.loop,
		.context = client->options.context,
		.address = client->options.address,
		.pins = &client->pins,
		.now_s = server_now_s,
		.on_up = on_up,
		.on_down = on_down,
		.arg = client,
	};
	_cleanup_(mem_freep) char *name = mem_printf("spiffe://%s/handfast/control", client->options.trust_domain.name);
	CHECK(spiffe_id_parse(span_of_str(name), &link.expected, NULL) == ERR_NONE);
	enum err err = control_link_new(&link, &client->link, why);
	if (err == ERR_NONE && client->options.claims_address)
		err = address_claim_new(
			&(struct address_claim_options){
				.link = link,
				.trust_domain = &client->options.trust_domain,
				.release = client->options.release,
				.zone = client->options.zone,
				.state = client->options.state,
				.now_arg = client,
			},
			&client->other, why);
	spiffe_id_done(&link.expected);
	return err;
}

enum err identity_client_new(const struct identity_options *options, struct identity_client **out, struct why *why)
{
	struct identity_client *client = mem_new(struct identity_client);
	client->options = *options;
	renew_init(&client->renew);
	claim_retry_init(&client->claim_retry, options->loop);
	redial_init(&client->redial);
	gather_pins(client);
	identity_kept_load(client);
	enum err err = check_pins(client, why);
	err = err == ERR_NONE ? link_make(client, why) : err;
	if (err != ERR_NONE) {
		if (client->link != NULL)
			control_link_free(client->link);
		kept_identity_done(&client->earlier);
		bundle_set_unref(client->retained_bans);
		mem_free(client);
		return err;
	}
	*out = client;
	return ERR_NONE;
}

void identity_client_start(struct identity_client *client)
{
	dial_in(client, 0);
	loop_timer_start(client->options.loop, &client->tick, TICK_MS, on_tick);
}

void identity_client_free(struct identity_client *client)
{
	identity_kept_flush(client);
	loop_timer_stop(&client->dial_timer);
	loop_timer_stop(&client->tick);
	claim_retry_stop(&client->claim_retry);
	loop_task_cancel(&client->give_up);
	loop_task_cancel(&client->attested);
	if (client->other != NULL)
		address_claim_free(client->other);
	control_link_free(client->link);
	fresh_request_done(&client->pending);
	attestation_data_done(&client->data);
	credentials_unref(client->credentials);
	bundle_set_unref(client->retained_bans);
	kept_identity_done(&client->earlier);
	buf_done(&client->trust_encoded);
	mem_free(client);
}

void identity_client_status(const struct identity_client *client, struct identity_status *out)
{
	*out = (struct identity_status){
		.credentials = client->credentials,
		.is_banned = identity_is_banned(client),
		.is_released = client->is_released && client->options.claims_address,
		.is_valid = is_valid(client),
		.is_connected = client->state == IDENTITY_TRUSTED,
		.claims = {client->claimed},
		.retained = client->retained_counts,
		.last_failure = client->last_failure,
		.dialed = control_link_dialed(client->link),
	};
	if (client->other != NULL)
		out->claims[1] = *address_claim_get(client->other);
}
