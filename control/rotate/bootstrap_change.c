/* The steps of the bootstrap root's replacement. Each is a compare-and-swap of one record, so that of two replicas one
 * takes it. */
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "control/issue/certificate.h"
#include "control/rotate/bootstrap_private.h"

#define RETRY_S 60 /* after an attempt to begin by itself */

/* One change at a time: a successor is made, signs, is given up, or the former one is retired. */
struct bootstrap_change {
	struct bootstrap *bootstrap;
	struct bootstrap_state next;      /* to be stored */
	struct issuer_request *preparing; /* NULL: not at the signer */
	bool is_quiet;                    /* its failure is no error: another replica may have been first */
	rotation_done_fn *on_done;        /* NULL: no answer is wanted */
	void *arg;
};

static void change_free(struct bootstrap_change *change)
{
	CHECK(change->preparing == NULL);
	bootstrap_state_done(&change->next);
	mem_free(change);
}

void bootstrap_drop_change(struct bootstrap *bootstrap)
{
	struct bootstrap_change *change = TAKE_PTR(bootstrap->change);
	if (change == NULL)
		return;
	if (change->preparing != NULL)
		issuer_abandon(TAKE_PTR(change->preparing));
	change_free(change);
}

static void finish(struct bootstrap_change *change, enum err err, const struct why *why)
{
	struct bootstrap *bootstrap = change->bootstrap;
	CHECK(bootstrap->change == change);
	bootstrap->change = NULL;
	if (err != ERR_NONE && !(change->is_quiet && err == ERR_CONFLICT))
		log_why(LOG_LEVEL_ERROR, "rotate", "a step of the bootstrap root's replacement failed", why);
	if (change->on_done != NULL)
		change->on_done(change->arg, err, why);
	change_free(change);
}

static struct bootstrap_change *change_new(struct bootstrap *bootstrap, rotation_done_fn *on_done, void *arg)
{
	CHECK(bootstrap->change == NULL);
	struct bootstrap_change *change = mem_new(struct bootstrap_change);
	*change = (struct bootstrap_change){.bootstrap = bootstrap, .on_done = on_done, .arg = arg};
	bootstrap_state_init(&change->next);
	bootstrap_state_copy(&bootstrap->state, &change->next);
	bootstrap->change = change;
	return change;
}

static void on_stored(void *arg, enum err err, _unused_ uint64_t version)
{
	struct bootstrap_change *change = arg;
	struct why why = {0};
	if (err == ERR_CONFLICT)
		(void)why_set(&why, err, "one change of the bootstrap root at a time", "see `handfast ca status`",
			"another command or another replica of the control plane has changed it meanwhile");
	else if (err != ERR_NONE)
		store_explain(change->bootstrap->options.store, err, &why);
	finish(change, err, err == ERR_NONE ? NULL : &why);
}

static void store_state(struct bootstrap_change *change)
{
	_cleanup_(buf_done) struct buf record = BUF_INIT(BOOTSTRAP_STATE_MAX);
	CHECK(bootstrap_state_encode(&change->next, &record) == ERR_NONE); /* its parts are bounded */
	store_swap(change->bootstrap->options.store, BOOTSTRAP_STATE_KEY, change->bootstrap->version, buf_span(&record),
		on_stored, change);
}

static void enter(struct bootstrap_change *change, enum bootstrap_phase phase)
{
	change->next.phase = phase;
	change->next.phase_s = bootstrap_now_s(change->bootstrap);
}

static void set(struct buf *to, struct span bytes)
{
	buf_clear(to);
	CHECK(buf_append(to, bytes) == ERR_NONE); /* both have BOOTSTRAP_BYTES_MAX */
}

static enum err keep_prepared(struct bootstrap_change *change, const struct issued *issued, struct why *why)
{
	if (issued->num_chain != 2 || issued->sealed.len == 0)
		return why_set(why, ERR_MALFORMED, "a bootstrap root, cross-signed, and its sealed key",
			"report this as a defect", "the signer answered with %zu certificates", issued->num_chain);
	RETURN_IF_ERR(buf_append(&change->next.next, issued->chain[0]));
	RETURN_IF_ERR(buf_append(&change->next.cross, issued->chain[1]));
	return buf_append(&change->next.next_sealed, issued->sealed);
}

static void on_prepared(void *arg, enum err err, const struct issued *issued, const struct why *why)
{
	struct bootstrap_change *change = arg;
	struct why own = {0};
	change->preparing = NULL;
	if (err == ERR_NONE) {
		why = &own;
		err = keep_prepared(change, issued, &own);
	}
	if (err != ERR_NONE)
		finish(change, err, why);
	else
		store_state(change);
}

static struct bootstrap_change *begin(struct bootstrap *bootstrap, bool is_forced, rotation_done_fn *on_done, void *arg)
{
	struct bootstrap_change *change = change_new(bootstrap, on_done, arg);
	enter(change, BOOTSTRAP_PUBLISHING);
	change->next.began_s = change->next.phase_s;
	change->next.is_forced = is_forced;
	change->next.number++;
	change->preparing = issuer_prepare_bootstrap(bootstrap->options.issuer, on_prepared, change);
	return change;
}

static enum err is_busy(const struct bootstrap *bootstrap, struct why *why)
{
	if (bootstrap->change == NULL && bootstrap_is_in_force(bootstrap))
		return ERR_NONE;
	return why_set(why, ERR_CONFLICT, "one change of the bootstrap root at a time", "repeat the command",
		bootstrap->change != NULL ? "a step of its replacement is being stored"
					  : "the signer does not have the present bootstrap root yet");
}

static enum err is_under_way(const struct bootstrap *bootstrap, struct why *why)
{
	bool overlaps = bootstrap->state.phase == BOOTSTRAP_OVERLAP;
	return why_set(why, ERR_EXISTS, "no replacement of the bootstrap root under way",
		overlaps ? "see `handfast ca status` for who still needs it; then: `handfast ca retire --bootstrap`"
			 : "see `handfast ca status`; `handfast ca rotate --bootstrap --force` goes on without silent "
			   "sidecars, `handfast ca abort --bootstrap` gives up the successor",
		"replacement %llu is under way: %s", (unsigned long long)bootstrap->state.number,
		overlaps ? "the former bootstrap root is still accepted" : "its successor is published");
}

void bootstrap_begin(struct bootstrap *bootstrap, bool is_forced, rotation_done_fn *on_done, void *arg)
{
	struct why why = {0};
	if (is_busy(bootstrap, &why) != ERR_NONE)
		on_done(arg, why.err, &why);
	else if (bootstrap->state.phase == BOOTSTRAP_NONE)
		(void)begin(bootstrap, is_forced, on_done, arg);
	else if (bootstrap->state.phase == BOOTSTRAP_PUBLISHING && is_forced) {
		struct bootstrap_change *change = change_new(bootstrap, on_done, arg);
		change->next.is_forced = true;
		store_state(change);
	} else
		on_done(arg, is_under_way(bootstrap, &why), &why);
}

void bootstrap_abort(struct bootstrap *bootstrap, rotation_done_fn *on_done, void *arg)
{
	struct why why = {0};
	if (is_busy(bootstrap, &why) != ERR_NONE)
		on_done(arg, why.err, &why);
	else if (bootstrap->state.phase == BOOTSTRAP_NONE)
		on_done(arg,
			why_set(&why, ERR_NOT_FOUND, "a replacement that is under way", "see `handfast ca status`",
				"the bootstrap root is not being replaced"),
			&why);
	else if (bootstrap->state.phase == BOOTSTRAP_OVERLAP)
		on_done(arg,
			why_set(&why, ERR_DENIED, "a successor that does not sign yet",
				"none is needed: the former bootstrap root is accepted as before; `handfast ca retire "
				"--bootstrap` ends that",
				"join tokens have the successor's pin already"),
			&why);
	else {
		struct bootstrap_change *change = change_new(bootstrap, on_done, arg);
		enter(change, BOOTSTRAP_NONE);
		change->next.is_forced = false;
		buf_clear(&change->next.next);
		buf_clear(&change->next.next_sealed);
		buf_clear(&change->next.cross);
		store_state(change);
	}
}

static struct bootstrap_change *retire(struct bootstrap *bootstrap, rotation_done_fn *on_done, void *arg)
{
	struct bootstrap_change *change = change_new(bootstrap, on_done, arg);
	enter(change, BOOTSTRAP_NONE);
	change->next.is_forced = false;
	buf_clear(&change->next.former);
	buf_clear(&change->next.cross);
	store_state(change);
	return change;
}

void bootstrap_retire(struct bootstrap *bootstrap, rotation_done_fn *on_done, void *arg)
{
	struct why why = {0};
	if (bootstrap->state.phase != BOOTSTRAP_OVERLAP)
		on_done(arg,
			why_set(&why, ERR_NOT_FOUND, "a former bootstrap root that is still accepted",
				"see `handfast ca status`; `handfast ca rotate --bootstrap` replaces the present one",
				"there is none"),
			&why);
	else if (is_busy(bootstrap, &why) != ERR_NONE)
		on_done(arg, why.err, &why);
	else
		(void)retire(bootstrap, on_done, arg);
}

/* --- the steps that are due by themselves --- */

static void advance(struct bootstrap *bootstrap)
{
	struct bootstrap_change *change = change_new(bootstrap, NULL, NULL);
	struct bootstrap_state *next = &change->next;
	change->is_quiet = true;
	enter(change, BOOTSTRAP_OVERLAP);
	set(&next->former, bootstrap_active(bootstrap));
	set(&next->active, buf_span(&bootstrap->state.next));
	set(&next->active_sealed, buf_span(&bootstrap->state.next_sealed));
	buf_clear(&next->next);
	buf_clear(&next->next_sealed);
	store_state(change);
}

static int64_t left_s(const struct bootstrap *bootstrap, struct span der)
{
	int64_t from_s, to_s;
	return certificate_validity(der, &from_s, &to_s) == ERR_NONE ? to_s - bootstrap_now_s(bootstrap) : INT64_MAX;
}

/* As if by an operator; of several replicas one begins it. */
static void begin_if_due(struct bootstrap *bootstrap)
{
	int64_t left = left_s(bootstrap, bootstrap_active(bootstrap));
	if (bootstrap->options.rotate_before_s == 0 || bootstrap_now_s(bootstrap) < bootstrap->begin_retry_s ||
		left >= bootstrap->options.rotate_before_s)
		return;
	log_notice("audit", "the bootstrap root ends in %lld days and gets a successor", (long long)(left / 86400));
	bootstrap->begin_retry_s = bootstrap_now_s(bootstrap) + RETRY_S;
	begin(bootstrap, false, NULL, NULL)->is_quiet = true;
}

void bootstrap_poll(struct bootstrap *bootstrap, const struct rotation_progress *progress)
{
	const struct bootstrap_state *state = &bootstrap->state;
	bool is_over = forced_wait_is_over(&bootstrap->forced, state->is_forced, state->phase_s,
		bootstrap_now_s(bootstrap), loop_now_ms(bootstrap->options.loop));
	bootstrap_retry(bootstrap);
	if (bootstrap->change != NULL || !bootstrap_is_in_force(bootstrap))
		return;
	if (state->phase == BOOTSTRAP_NONE)
		begin_if_due(bootstrap);
	else if (state->phase == BOOTSTRAP_OVERLAP && left_s(bootstrap, buf_span(&state->former)) <= 0)
		retire(bootstrap, NULL, NULL)->is_quiet = true;
	else if (state->phase == BOOTSTRAP_PUBLISHING && progress->is_published &&
		 (!rotation_progress_waits(progress) || is_over))
		advance(bootstrap);
}
