/* The steps of a rotation. Each is a compare-and-swap of one record, so that of two replicas one takes it. */
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "control/issue/certificate.h"
#include "control/rotate/rotation_private.h"

#define RECORD_MAX 32768
#define RETRY_S    60 /* after an attempt to begin by itself */

struct rotation_change {
	struct rotation *rotation;  /* NULL: freed */
	struct rotation_state next; /* the state to be stored */
	struct rotation_root made;  /* begin: the next root */
	uint8_t made_sha256[DIGEST_LEN];
	uint8_t removed[2][DIGEST_LEN]; /* roots whose records go, the last one first */
	size_t num_removed;
	bool is_replacement;                          /* of a root whose key was stolen */
	struct issuer_request *preparing;             /* NULL: not at the signer */
	void (*step)(struct rotation_change *change); /* after the store's answer; NULL: the end */
	bool is_quiet;                                /* its failure is no error: another replica may have been first */
	rotation_done_fn *on_done;                    /* NULL: no answer is wanted */
	void *arg;
};

static void change_free(struct rotation_change *change)
{
	CHECK(change->preparing == NULL);
	rotation_root_done(&change->made);
	mem_free(change);
}

static void finish(struct rotation_change *change, enum err err, const struct why *why)
{
	struct rotation *rotation = change->rotation;
	CHECK(rotation != NULL && rotation->change == change);
	rotation->change = NULL;
	if (err != ERR_NONE && !(change->is_quiet && err == ERR_CONFLICT))
		log_why(LOG_LEVEL_ERROR, "rotate", "a step of the rotation failed", why);
	if (change->on_done != NULL)
		change->on_done(change->arg, err, why);
	change_free(change);
}

void rotation_drop_change(struct rotation *rotation)
{
	struct rotation_change *change = TAKE_PTR(rotation->change);
	if (change == NULL)
		return;
	if (change->preparing != NULL)
		issuer_abandon(TAKE_PTR(change->preparing));
	change_free(change);
}

static struct rotation_change *change_new(struct rotation *rotation, rotation_done_fn *on_done, void *arg)
{
	CHECK(rotation->change == NULL);
	struct rotation_change *change = mem_new(struct rotation_change);
	*change =
		(struct rotation_change){.rotation = rotation, .next = rotation->state, .on_done = on_done, .arg = arg};
	rotation->change = change;
	return change;
}

static void on_stored(void *arg, enum err err, _unused_ uint64_t version)
{
	struct rotation_change *change = arg;
	struct why why = {0};
	if (err == ERR_NONE && change->step != NULL) {
		change->step(change);
		return;
	}
	if (err == ERR_CONFLICT)
		(void)why_set(&why, err, "one change of the rotation at a time", "see `handfast ca status`",
			"another command or another replica of the control plane has changed it meanwhile");
	else
		store_explain(change->rotation->options.store, err, &why);
	finish(change, err, &why);
}

static void store_root(struct rotation_change *change, const uint8_t sha256[DIGEST_LEN],
	const struct rotation_root *root, void (*step)(struct rotation_change *change))
{
	_cleanup_(buf_done) struct buf record = BUF_INIT(RECORD_MAX);
	const struct rotation_known *known = rotation_find(change->rotation, sha256);
	char key[ROTATION_ROOT_KEY_LEN];
	rotation_root_key(sha256, key);
	CHECK(rotation_root_encode(root, &record) == ERR_NONE); /* both were bounded when they were read */
	change->step = step;
	store_swap(change->rotation->options.store, key, known == NULL ? 0 : known->version, buf_span(&record),
		on_stored, change);
}

static void end_after_state(struct rotation_change *change)
{
	finish(change, ERR_NONE, NULL);
}

static void store_state_then(struct rotation_change *change, void (*step)(struct rotation_change *change))
{
	_cleanup_(buf_done) struct buf record = BUF_INIT(RECORD_MAX);
	CHECK(rotation_state_encode(&change->next, &record) == ERR_NONE);
	change->step = step;
	store_swap(change->rotation->options.store, ROTATION_STATE_KEY, change->rotation->state_version,
		buf_span(&record), on_stored, change);
}

static void store_state(struct rotation_change *change)
{
	store_state_then(change, end_after_state);
}

/* The records of roots that are neither in use nor retired are removed, but for those that may not come back. */
static void remove_roots(struct rotation_change *change)
{
	char key[ROTATION_ROOT_KEY_LEN];
	const struct rotation_known *known = NULL;
	while ((known == NULL || known->root.withdrawn_s > 0) && change->num_removed > 0)
		known = rotation_find(change->rotation, change->removed[--change->num_removed]);
	if (known == NULL || known->root.withdrawn_s > 0) {
		finish(change, ERR_NONE, NULL);
		return;
	}
	rotation_root_key(known->sha256, key);
	change->step = remove_roots;
	store_swap(change->rotation->options.store, key, known->version, (struct span){0}, on_stored, change);
}

static void remove_later(struct rotation_change *change, const uint8_t sha256[DIGEST_LEN])
{
	CHECK(change->num_removed < sizeof change->removed / sizeof change->removed[0]);
	memcpy(change->removed[change->num_removed++], sha256, DIGEST_LEN);
}

/* Also in the middle of a rotation: none of its roots stays. */
static void store_replacement(struct rotation_change *change)
{
	const struct rotation_state *before = &change->rotation->state;
	remove_later(change, before->active);
	if (before->phase != ROTATION_NONE)
		remove_later(change, before->other);
	change->next.phase = ROTATION_NONE;
	memcpy(change->next.active, change->made_sha256, DIGEST_LEN);
	memcpy(change->next.other, before->active, DIGEST_LEN);
	store_state_then(change, remove_roots);
}

/* A source that the control planes ask by themselves would bring an operator's root back (rotation_take_root()). */
static void mark_withdrawn(struct rotation_change *change)
{
	const struct rotation_known *known = rotation_next_to_mark(change->rotation);
	if (known != NULL) {
		struct rotation_root root = known->root; /* borrows its certificate */
		root.withdrawn_s = rotation_now_s(change->rotation);
		store_root(change, known->sha256, &root, mark_withdrawn);
	} else
		store_replacement(change);
}

/* --- begin --- */

static void store_next_root(struct rotation_change *change)
{
	store_root(change, change->made_sha256, &change->made, change->is_replacement ? mark_withdrawn : store_state);
}

/* The first root has no record until it is replaced. */
static void store_active_root(struct rotation_change *change)
{
	struct rotation *rotation = change->rotation;
	struct why why = {0};
	if (rotation_find(rotation, rotation->state.active) != NULL) {
		store_next_root(change);
		return;
	}
	if (rotation_is_behind(rotation, &why) != ERR_NONE) { /* another replica has taken a step meanwhile */
		finish(change, why.err, &why);
		return;
	}
	_cleanup_(rotation_root_done) struct rotation_root active = {.certificate = BUF_INIT(CERTIFICATE_MAX)};
	if (buf_append(&active.certificate, buf_span(&rotation->signer_root)) == ERR_NONE)
		store_root(change, rotation->state.active, &active, store_next_root);
	else
		finish(change,
			why_set(&why, ERR_LIMIT, "a root of 4,096 bytes at most", "use a smaller certificate",
				"the present root has %zu bytes", buf_len(&rotation->signer_root)),
			&why);
}

static void keep_made(struct rotation_change *change)
{
	digest_sha256(buf_span(&change->made.certificate), change->made_sha256);
	memcpy(change->next.other, change->made_sha256, DIGEST_LEN);
}

static enum err keep_prepared(struct rotation_change *change, const struct issued *issued, struct why *why)
{
	if (issued->num_chain != 1 || issued->sealed.len == 0)
		return why_set(why, ERR_MALFORMED, "a root and its sealed key", "report this as a defect",
			"the signer answered with %zu certificates", issued->num_chain);
	change->made.certificate = BUF_INIT(CERTIFICATE_MAX);
	change->made.sealed = BUF_INIT(CERTIFICATE_MAX);
	RETURN_IF_ERR(buf_append(&change->made.certificate, issued->chain[0]));
	RETURN_IF_ERR(buf_append(&change->made.sealed, issued->sealed));
	keep_made(change);
	return ERR_NONE;
}

static void on_prepared(void *arg, enum err err, const struct issued *issued, const struct why *why)
{
	struct rotation_change *change = arg;
	struct why own = {0};
	change->preparing = NULL;
	if (err == ERR_NONE) {
		why = &own;
		err = keep_prepared(change, issued, &own);
	}
	if (err != ERR_NONE)
		finish(change, err, why);
	else if (change->is_replacement)
		store_next_root(change);
	else
		store_active_root(change);
}

static struct rotation_change *change_begin(
	struct rotation *rotation, bool is_forced, rotation_done_fn *on_done, void *arg)
{
	struct rotation_change *change = change_new(rotation, on_done, arg);
	change->next.phase = ROTATION_PUBLISHING;
	change->next.began_s = change->next.phase_s = rotation_now_s(rotation);
	change->next.is_forced = is_forced;
	change->next.number++;
	return change;
}

static void begin(struct rotation *rotation, bool is_forced, rotation_done_fn *on_done, void *arg)
{
	struct rotation_change *change = change_begin(rotation, is_forced, on_done, arg);
	change->preparing = issuer_prepare_root(rotation->options.issuer, on_prepared, change);
}

void rotation_begin_own(struct rotation *rotation, struct span root_der, rotation_done_fn *on_done, void *arg)
{
	struct why why = {0};
	if (rotation_is_busy(rotation, &why) != ERR_NONE || rotation_is_behind(rotation, &why) != ERR_NONE) {
		on_done(arg, why.err, &why);
		return;
	}
	struct rotation_change *change = change_begin(rotation, false, on_done, arg);
	change->made = (struct rotation_root){.certificate = BUF_INIT(CERTIFICATE_MAX), .is_operators = true};
	CHECK(buf_append(&change->made.certificate, root_der) == ERR_NONE); /* the signer bounds it */
	keep_made(change);
	store_active_root(change);
}

static void force(struct rotation *rotation, rotation_done_fn *on_done, void *arg)
{
	struct rotation_change *change = change_new(rotation, on_done, arg);
	change->next.is_forced = true;
	store_state(change);
}

void rotation_begin(struct rotation *rotation, bool is_forced, rotation_done_fn *on_done, void *arg)
{
	struct why why = {0};
	if (rotation_is_busy(rotation, &why) != ERR_NONE ||
		(rotation->state.phase == ROTATION_NONE && rotation_is_behind(rotation, &why) != ERR_NONE))
		on_done(arg, why.err, &why);
	else if (rotation->state.phase == ROTATION_NONE)
		begin(rotation, is_forced, on_done, arg);
	else if (is_forced)
		force(rotation, on_done, arg);
	else
		on_done(arg, rotation_is_under_way(rotation, &why), &why);
}

static void on_next_forgotten(void *arg, enum err err, _unused_ const struct issued *issued, const struct why *why)
{
	struct rotation_change *change = arg;
	change->preparing = NULL;
	if (err != ERR_NONE)
		finish(change, err, why);
	else
		change->preparing = issuer_prepare_root(change->rotation->options.issuer, on_prepared, change);
}

void rotation_replace(struct rotation *rotation, rotation_done_fn *on_done, void *arg)
{
	struct why why = {0};
	struct issuer *issuer = rotation->options.issuer;
	if (rotation_is_busy(rotation, &why) != ERR_NONE || rotation_is_behind(rotation, &why) != ERR_NONE) {
		on_done(arg, why.err, &why);
		return;
	}
	struct rotation_change *change = change_new(rotation, on_done, arg);
	change->is_replacement = true;
	change->next.began_s = change->next.phase_s = rotation_now_s(rotation);
	change->next.number++;
	/* A next root that was published may be stolen too. */
	change->preparing = rotation->state.phase == ROTATION_PUBLISHING
				    ? issuer_forget_root(issuer, rotation->state.other, on_next_forgotten, change)
				    : issuer_prepare_root(issuer, on_prepared, change);
}

/* --- abort --- */

void rotation_abort(struct rotation *rotation, rotation_done_fn *on_done, void *arg)
{
	struct why why = {0};
	if (rotation_is_busy(rotation, &why) != ERR_NONE)
		on_done(arg, why.err, &why);
	else if (rotation->state.phase == ROTATION_NONE)
		on_done(arg,
			why_set(&why, ERR_NOT_FOUND, "a rotation that is under way", "see `handfast ca status`",
				"no rotation is under way"),
			&why);
	else if (rotation->state.phase == ROTATION_REISSUING)
		on_done(arg,
			why_set(&why, ERR_DENIED, "a rotation whose next root does not sign yet",
				"let it end; then `handfast ca rotate` replaces this root by another",
				"sidecars have certificates below the next root already"),
			&why);
	else {
		struct rotation_change *change = change_new(rotation, on_done, arg);
		change->next.phase = ROTATION_NONE;
		change->next.phase_s = rotation_now_s(rotation);
		remove_later(change, rotation->state.other);
		store_state_then(change, remove_roots);
	}
}

/* --- the steps that are due by themselves --- */

static void advance(struct rotation *rotation)
{
	struct rotation_change *change = change_new(rotation, NULL, NULL);
	change->is_quiet = true;
	change->next.phase = ROTATION_REISSUING;
	change->next.phase_s = rotation_now_s(rotation);
	memcpy(change->next.active, rotation->state.other, DIGEST_LEN);
	memcpy(change->next.other, rotation->state.active, DIGEST_LEN);
	store_state(change);
}

static void retire(struct rotation *rotation)
{
	const struct rotation_known *former = rotation_find(rotation, rotation->state.other);
	struct rotation_change *change = change_new(rotation, NULL, NULL);
	change->is_quiet = true;
	change->next.phase = ROTATION_NONE;
	change->next.phase_s = rotation_now_s(rotation);
	change->next.is_forced = false;
	if (former == NULL) { /* its record was damaged */
		store_state(change);
		return;
	}
	_cleanup_(rotation_root_done) struct rotation_root root = {.certificate = BUF_INIT(CERTIFICATE_MAX),
		.retired_s = rotation_now_s(rotation),
		.is_operators = former->root.is_operators};
	CHECK(buf_append(&root.certificate, buf_span(&former->root.certificate)) == ERR_NONE);
	store_root(change, rotation->state.other, &root, store_state);
}

/* As if by an operator; of several replicas one begins it. */
static void begin_if_due(struct rotation *rotation)
{
	int64_t from_s, to_s, left_s, now = rotation_now_s(rotation);
	if (rotation->options.rotate_before_s == 0 || now < rotation->retry_s || rotation_is_own_root(rotation) ||
		!rotation_signer_has_active(rotation) ||
		certificate_validity(buf_span(&rotation->signer_root), &from_s, &to_s) != ERR_NONE)
		return;
	left_s = to_s - now;
	if (left_s >= rotation->options.rotate_before_s)
		return;
	log_notice("audit", "the mesh's root ends in %lld days and is rotated", (long long)(left_s / 86400));
	rotation->retry_s = now + RETRY_S;
	begin(rotation, false, NULL, NULL);
	rotation->change->is_quiet = true;
}

void rotation_poll(struct rotation *rotation, const struct rotation_progress *progress)
{
	const struct rotation_state *state = &rotation->state;
	bool is_over = rotation_phase_is_over(rotation, progress);
	rotation_retry(rotation);
	if (rotation->change != NULL)
		return;
	if (state->phase == ROTATION_NONE)
		begin_if_due(rotation);
	else if (is_over && state->phase == ROTATION_PUBLISHING && rotation_next_is_valid(rotation))
		advance(rotation);
	else if (is_over && state->phase == ROTATION_REISSUING && rotation_signer_has_active(rotation))
		retire(rotation);
}
