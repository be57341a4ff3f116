#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "control/rotate/bootstrap_private.h"

#define SYNC_RETRY_S 5

int64_t bootstrap_now_s(const struct bootstrap *bootstrap)
{
	const struct clock *clock = loop_clock(bootstrap->options.loop);
	return clock->wall_ms(clock) / 1000;
}

const struct bootstrap_state *bootstrap_state_of(const struct bootstrap *bootstrap)
{
	return &bootstrap->state;
}

const struct bootstrap_pins *bootstrap_pins(const struct bootstrap *bootstrap)
{
	return &bootstrap->pins;
}

struct span bootstrap_active(const struct bootstrap *bootstrap)
{
	return buf_len(&bootstrap->state.active) > 0 ? buf_span(&bootstrap->state.active) : buf_span(&bootstrap->first);
}

bool bootstrap_is_in_force(const struct bootstrap *bootstrap)
{
	return memcmp(bootstrap->wanted, bootstrap->used, DIGEST_LEN) == 0;
}

static bool is_overlap(const struct bootstrap *bootstrap)
{
	return bootstrap->state.phase == BOOTSTRAP_OVERLAP;
}

/* Zero for the first one, which the signer has from its start. */
static void digest_wanted(const struct bootstrap *bootstrap, uint8_t out[DIGEST_LEN])
{
	_cleanup_(buf_done) struct buf all = BUF_INIT(3 * BOOTSTRAP_BYTES_MAX);
	const struct bootstrap_state *state = &bootstrap->state;
	memset(out, 0, DIGEST_LEN);
	if (buf_len(&state->active) == 0)
		return;
	CHECK(buf_append(&all, buf_span(&state->active)) == ERR_NONE);
	if (is_overlap(bootstrap))
		CHECK(buf_append(&all, buf_span(&state->cross)) == ERR_NONE &&
			buf_append(&all, buf_span(&state->former)) == ERR_NONE);
	digest_sha256(buf_span(&all), out);
}

static void add_pin(struct bootstrap_pins *pins, const struct buf *der)
{
	if (buf_len(der) > 0)
		digest_sha256(buf_span(der), pins->sha256[pins->num++]);
}

static void read_state(struct bootstrap *bootstrap)
{
	struct store_value value = {0};
	bool is_there = store_get(bootstrap->options.store, BOOTSTRAP_STATE_KEY, &value);
	if (is_there && bootstrap_state_parse(value.bytes, &bootstrap->state) != ERR_NONE) {
		log_error("rotate", "the record of the bootstrap root is damaged; expected: its phase and its "
				    "certificates; fix: restore a backup of the store");
		return; /* the state before stays */
	}
	bootstrap->version = is_there ? value.version : 0;
	bootstrap->pins.num = 0;
	/* The one in use too, the first one included: sidecars keep those that are published, and forget others for
	 * them. */
	if (buf_len(&bootstrap->state.active) > 0 || buf_len(&bootstrap->state.next) > 0)
		digest_sha256(bootstrap_active(bootstrap), bootstrap->pins.sha256[bootstrap->pins.num++]);
	add_pin(&bootstrap->pins, &bootstrap->state.next);
	digest_wanted(bootstrap, bootstrap->wanted);
}

/* --- the signer gets the bootstrap root that the store names --- */

static void sync_signer(struct bootstrap *bootstrap);

static void report_ready(struct bootstrap *bootstrap, enum err err, const struct why *why)
{
	if (bootstrap->is_ready)
		return;
	bootstrap->is_ready = true;
	bootstrap->options.on_ready(bootstrap->options.arg, err, why);
}

static void on_used(void *arg, enum err err, const struct issued *issued, const struct why *why)
{
	struct bootstrap *bootstrap = arg;
	bootstrap->at_signer = NULL;
	if (err != ERR_NONE) {
		bootstrap->sync_retry_s = bootstrap_now_s(bootstrap) + SYNC_RETRY_S;
		log_why(LOG_LEVEL_ERROR, "rotate", "the signer does not have the mesh's bootstrap root", why);
		report_ready(bootstrap, err, why);
		return;
	}
	memcpy(bootstrap->used, bootstrap->at_signer_digest, DIGEST_LEN);
	bootstrap->options.on_active(bootstrap->options.arg, issued);
	sync_signer(bootstrap); /* it may have changed meanwhile */
}

static void sync_signer(struct bootstrap *bootstrap)
{
	const struct bootstrap_state *state = &bootstrap->state;
	if (bootstrap->at_signer != NULL)
		return; /* its answer comes here again */
	if (bootstrap_is_in_force(bootstrap)) {
		report_ready(bootstrap, ERR_NONE, NULL);
		return;
	}
	bool has_former = is_overlap(bootstrap);
	const struct bootstrap_request use = {.certificate = buf_span(&state->active),
		.sealed = buf_span(&state->active_sealed),
		.cross = has_former ? buf_span(&state->cross) : (struct span){0},
		.former = has_former ? buf_span(&state->former) : (struct span){0}};
	memcpy(bootstrap->at_signer_digest, bootstrap->wanted, DIGEST_LEN);
	bootstrap->at_signer = issuer_use_bootstrap(bootstrap->options.issuer, &use, on_used, bootstrap);
}

static void log_phase(const struct bootstrap *bootstrap, enum bootstrap_phase before)
{
	static const char *const texts[BOOTSTRAP_PHASES_NUM] = {"ended",
		"the pin of its successor is published; waiting for sidecars to confirm it",
		"the successor signs the server certificate; the former one is accepted until it ends or is retired"};
	const struct bootstrap_state *state = &bootstrap->state;
	if (state->phase != before)
		log_notice("audit", "replacement %llu of the bootstrap root: %s", (unsigned long long)state->number,
			texts[state->phase]);
}

static void on_store_change(
	struct store_watch *watch, _unused_ const char *key, _unused_ const struct store_value *value)
{
	struct bootstrap *bootstrap = container_of(watch, struct bootstrap, watch);
	enum bootstrap_phase before = bootstrap->state.phase;
	read_state(bootstrap);
	log_phase(bootstrap, before);
	bootstrap->options.on_pins(bootstrap->options.arg);
	sync_signer(bootstrap);
}

static void start(struct loop_task *task)
{
	sync_signer(container_of(task, struct bootstrap, start));
}

struct bootstrap *bootstrap_new(const struct bootstrap_options *options)
{
	struct bootstrap *bootstrap = mem_new(struct bootstrap);
	bootstrap->options = *options;
	buf_init(&bootstrap->first, BOOTSTRAP_BYTES_MAX);
	CHECK(buf_append(&bootstrap->first, options->first) == ERR_NONE); /* the signer bounds a certificate */
	bootstrap_state_init(&bootstrap->state);
	read_state(bootstrap);
	store_watch_start(options->store, &bootstrap->watch, BOOTSTRAP_STATE_KEY, on_store_change);
	loop_task_post(options->loop, &bootstrap->start, start);
	return bootstrap;
}

void bootstrap_free(struct bootstrap *bootstrap)
{
	store_watch_stop(&bootstrap->watch);
	loop_task_cancel(&bootstrap->start);
	if (bootstrap->at_signer != NULL)
		issuer_abandon(bootstrap->at_signer);
	bootstrap_drop_change(bootstrap);
	bootstrap_state_done(&bootstrap->state);
	buf_done(&bootstrap->first);
	mem_free(bootstrap);
}

void bootstrap_retry(struct bootstrap *bootstrap)
{
	if (!bootstrap_is_in_force(bootstrap) && bootstrap_now_s(bootstrap) >= bootstrap->sync_retry_s)
		sync_signer(bootstrap);
}
