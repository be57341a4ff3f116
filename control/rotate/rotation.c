#include "control/rotate/rotation.h"
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "control/issue/certificate.h"
#include "control/rotate/rotation_private.h"

#define ROOT_MAX 32768 /* bytes, DER: as large as a message of the signer */

int64_t rotation_now_s(const struct rotation *rotation)
{
	const struct clock *clock = loop_clock(rotation->options.loop);
	return clock->wall_ms(clock) / 1000;
}

const struct rotation_state *rotation_state_of(const struct rotation *rotation)
{
	return &rotation->state;
}

const struct rotation_roots *rotation_roots(const struct rotation *rotation)
{
	return &rotation->roots;
}

bool rotation_signer_has_active(const struct rotation *rotation)
{
	return memcmp(rotation->signer_sha256, rotation->state.active, DIGEST_LEN) == 0;
}

static void set_signer_root(struct rotation *rotation, struct span der)
{
	buf_clear(&rotation->signer_root);
	CHECK(buf_append(&rotation->signer_root, der) == ERR_NONE); /* a message of the signer is shorter */
	digest_sha256(der, rotation->signer_sha256);
}

/* --- the stored roots --- */

static void clear_known(struct rotation *rotation)
{
	for (size_t i = 0; i < rotation->num_known; i++)
		rotation_root_done(&rotation->known[i].root);
	rotation->num_known = 0;
}

static void read_root(void *arg, const char *key, const struct store_value *value)
{
	struct rotation *rotation = arg;
	if (rotation->num_known == ROTATION_KNOWN_MAX)
		return;
	struct rotation_known *known = &rotation->known[rotation->num_known];
	if (rotation_root_parse(key, value->bytes, &known->root) != ERR_NONE) {
		log_error("rotate",
			"the record %s is damaged and not used; expected: a root certificate; fix: restore a backup "
			"of the store",
			key);
		return;
	}
	digest_sha256(buf_span(&known->root.certificate), known->sha256);
	known->version = value->version;
	rotation->num_known++;
}

struct rotation_known *rotation_find(struct rotation *rotation, const uint8_t sha256[DIGEST_LEN])
{
	for (size_t i = 0; i < rotation->num_known; i++)
		if (memcmp(rotation->known[i].sha256, sha256, DIGEST_LEN) == 0)
			return &rotation->known[i];
	return NULL;
}

static void add(struct rotation_roots *roots, struct span der)
{
	CHECK(roots->num_all < sizeof roots->der / sizeof roots->der[0]);
	roots->der[roots->num_all++] = der;
}

static bool is_trusted(const struct rotation *rotation, const struct rotation_known *known)
{
	const struct rotation_state *state = &rotation->state;
	return memcmp(known->sha256, state->active, DIGEST_LEN) == 0 ||
	       (state->phase != ROTATION_NONE && memcmp(known->sha256, state->other, DIGEST_LEN) == 0);
}

/* The newest retired root that is older than `before`; NULL: none. */
static const struct rotation_known *next_retired(const struct rotation *rotation, const struct rotation_known *before)
{
	const struct rotation_known *best = NULL;
	for (size_t i = 0; i < rotation->num_known; i++) {
		const struct rotation_known *known = &rotation->known[i];
		bool is_older = before == NULL || known->root.retired_s < before->root.retired_s ||
				(known->root.retired_s == before->root.retired_s && known > before);
		if (known->root.retired_s != 0 && !is_trusted(rotation, known) && is_older &&
			(best == NULL || known->root.retired_s > best->root.retired_s))
			best = known;
	}
	return best;
}

/* In the order of the store's keys, which is the same at every replica. */
static void list_roots(struct rotation *rotation)
{
	struct rotation_roots *roots = &rotation->roots;
	*roots = (struct rotation_roots){0};
	for (size_t i = 0; i < rotation->num_known; i++)
		if (is_trusted(rotation, &rotation->known[i]))
			add(roots, buf_span(&rotation->known[i].root.certificate));
	/* The active root has no record before the first rotation, or has lost it. */
	if (roots->num_all == 0 ||
		(rotation_find(rotation, rotation->state.active) == NULL && rotation_signer_has_active(rotation)))
		add(roots, buf_span(&rotation->signer_root));
	const struct rotation_known *retired = next_retired(rotation, NULL);
	for (; retired != NULL && roots->num_retired < ROTATION_RETIRED_MAX;
		retired = next_retired(rotation, retired)) {
		add(roots, buf_span(&retired->root.certificate));
		roots->num_retired++;
	}
}

static void tag_roots(struct rotation *rotation)
{
	const struct rotation_roots *roots = &rotation->roots;
	memset(rotation->trusted, 0, sizeof rotation->trusted);
	for (size_t i = 0; i < roots->num_all - roots->num_retired && i < 2; i++) {
		uint8_t digest[DIGEST_LEN];
		digest_sha256(roots->der[i], digest);
		memcpy(rotation->trusted[i], digest, ROTATION_TAG_LEN);
	}
}

bool rotation_trusts(const struct rotation *rotation, const uint8_t tag[ROTATION_TAG_LEN])
{
	return memcmp(rotation->trusted[0], tag, ROTATION_TAG_LEN) == 0 ||
	       memcmp(rotation->trusted[1], tag, ROTATION_TAG_LEN) == 0;
}

static void read_state(struct rotation *rotation)
{
	struct store_value value = {0};
	struct rotation_state state = {0};
	memcpy(state.active, rotation->signer_sha256, DIGEST_LEN); /* until a rotation begins */
	bool is_there = store_get(rotation->options.store, ROTATION_STATE_KEY, &value);
	if (is_there && rotation_state_parse(value.bytes, &state) != ERR_NONE) {
		log_error("rotate", "the record of the rotation is damaged; expected: its phase and its roots; fix: "
				    "restore a backup of the store");
		return; /* the state before stays */
	}
	rotation->state = state;
	rotation->state_version = is_there ? value.version : 0;
}

static void read_all(struct rotation *rotation)
{
	read_state(rotation);
	clear_known(rotation);
	store_list(rotation->options.store, ROTATION_ROOT_PREFIX, read_root, rotation);
	list_roots(rotation);
	tag_roots(rotation);
}

static void on_forgotten(void *arg, enum err err, _unused_ const struct issued *issued, const struct why *why)
{
	struct rotation *rotation = arg;
	rotation->forgetting = NULL;
	if (err != ERR_NONE)
		log_why(LOG_LEVEL_WARNING, "rotate", "the key of a replaced root is still in the key folder", why);
}

/* The rotation that `ended` describes is over: the key of the root that is not in use is removed. */
static void forget_root(struct rotation *rotation, const struct rotation_state *ended)
{
	if (rotation->forgetting == NULL && memcmp(ended->other, rotation->state.active, DIGEST_LEN) != 0)
		rotation->forgetting =
			issuer_forget_root(rotation->options.issuer, ended->other, on_forgotten, rotation);
}

/* --- the signer gets the root that the store names --- */

static void sync_signer(struct rotation *rotation);

static void report_ready(struct rotation *rotation, enum err err, const struct why *why)
{
	if (rotation->is_ready)
		return;
	rotation->is_ready = true;
	rotation->options.on_ready(rotation->options.arg, err, why);
}

/* A new root is published when the signer has it, so that who renews because of it gets a certificate below it. */
static void report_roots(struct rotation *rotation)
{
	if (!rotation->are_roots_new)
		return;
	rotation->are_roots_new = false;
	rotation->options.on_roots(rotation->options.arg);
}

static void sync_failed(struct rotation *rotation, enum err err, const struct why *why)
{
	rotation->retry_s = rotation_now_s(rotation) + 5;
	report_roots(rotation); /* a withdrawn root is withdrawn all the same */
	log_why(LOG_LEVEL_ERROR, "rotate", "the signer does not have the mesh's root", why);
	/* Without an intermediate it runs all the same, so that one can be imported. */
	report_ready(rotation, rotation_lacks_intermediate(rotation) ? ERR_NONE : err, why);
}

static void on_activated(void *arg, enum err err, const struct issued *issued, const struct why *why)
{
	struct rotation *rotation = arg;
	struct why own = {0};
	rotation->at_signer = NULL;
	if (err == ERR_NONE && issued->num_chain != 3)
		err = why_set(&own, ERR_MALFORMED, "three authorities", "report this as a defect",
			"the signer answered with %zu", issued->num_chain);
	if (err != ERR_NONE) {
		sync_failed(rotation, err, own.err == ERR_NONE ? why : &own);
		return;
	}
	set_signer_root(rotation, issued->chain[1]);
	rotation->options.on_active(rotation->options.arg, issued);
	if (rotation->state.phase == ROTATION_NONE)
		forget_root(rotation, &rotation->state);
	sync_signer(rotation);
}

static void activate(struct rotation *rotation)
{
	rotation->at_signer =
		issuer_activate_root(rotation->options.issuer, rotation->state.active, on_activated, rotation);
}

static void on_adopted(void *arg, enum err err, _unused_ const struct issued *issued, const struct why *why)
{
	struct rotation *rotation = arg;
	rotation->at_signer = NULL;
	if (err != ERR_NONE)
		sync_failed(rotation, err, why);
	else
		activate(rotation);
}

/* Also a root that this signer has prepared itself: adopting it again changes nothing. */
static void sync_signer(struct rotation *rotation)
{
	const struct rotation_state *state = &rotation->state;
	struct why why = {0};
	if (rotation->at_signer != NULL)
		return; /* its answer comes here again */
	if (rotation_signer_has_active(rotation)) {
		report_roots(rotation);
		report_ready(rotation, ERR_NONE, NULL);
		return;
	}
	const struct rotation_known *known = rotation_find(rotation, state->active);
	if (known != NULL && known->root.is_operators) {
		activate(rotation);
		return;
	}
	if (known == NULL || buf_len(&known->root.sealed) == 0) {
		(void)why_set(&why, ERR_STATE_DAMAGED, "the key of the mesh's root",
			"restore the key folder and the store from one backup; nothing was overwritten",
			"the signer has another root, and the store has no key for the one in use");
		sync_failed(rotation, why.err, &why);
		return;
	}
	rotation->at_signer = issuer_adopt_root(rotation->options.issuer, buf_span(&known->root.certificate),
		buf_span(&known->root.sealed), on_adopted, rotation);
}

static void log_phase(const struct rotation *rotation, const struct rotation_state *before)
{
	const struct rotation_state *state = &rotation->state;
	if (state->phase == before->phase && state->number == before->number)
		return;
	log_notice("audit", "rotation %llu of the mesh's root: %s", (unsigned long long)state->number,
		state->phase == ROTATION_PUBLISHING  ? "the next root is published; waiting for sidecars to confirm it"
		: state->phase == ROTATION_REISSUING ? "the next root signs; sidecars get new certificates"
						     : "ended");
}

static void on_store_change(
	struct store_watch *watch, _unused_ const char *key, _unused_ const struct store_value *value)
{
	struct rotation *rotation = container_of(watch, struct rotation, watch);
	struct rotation_state before = rotation->state;
	read_all(rotation);
	log_phase(rotation, &before);
	if (before.phase != ROTATION_NONE && rotation->state.phase == ROTATION_NONE)
		forget_root(rotation, &before);
	rotation->are_roots_new = true;
	sync_signer(rotation);
}

void rotation_retry(struct rotation *rotation)
{
	if (!rotation_signer_has_active(rotation) && rotation_now_s(rotation) >= rotation->retry_s)
		sync_signer(rotation);
}

void rotation_retry_now(struct rotation *rotation)
{
	rotation->retry_s = 0;
	rotation_retry(rotation);
}

static void start(struct loop_task *task)
{
	sync_signer(container_of(task, struct rotation, start));
}

struct rotation *rotation_new(const struct rotation_options *options)
{
	struct rotation *rotation = mem_new(struct rotation);
	rotation->options = *options;
	buf_init(&rotation->signer_root, ROOT_MAX);
	set_signer_root(rotation, options->root);
	read_all(rotation);
	store_watch_start(options->store, &rotation->watch, ROTATION_PREFIX, on_store_change);
	loop_task_post(options->loop, &rotation->start, start);
	return rotation;
}

void rotation_free(struct rotation *rotation)
{
	store_watch_stop(&rotation->watch);
	loop_task_cancel(&rotation->start);
	if (rotation->at_signer != NULL)
		issuer_abandon(rotation->at_signer);
	if (rotation->forgetting != NULL)
		issuer_abandon(rotation->forgetting);
	rotation_drop_change(rotation);
	clear_known(rotation);
	buf_done(&rotation->signer_root);
	buf_done(&rotation->last_intermediate);
	mem_free(rotation);
}

bool rotation_is_in_force(const struct rotation *rotation)
{
	return !rotation->are_roots_new && rotation_signer_has_active(rotation);
}

bool rotation_find_root(struct rotation *rotation, struct span intermediate_der, uint8_t out_tag[ROTATION_TAG_LEN])
{
	bool is_same = buf_len(&rotation->last_intermediate) > 0 &&
		       span_eq(buf_span(&rotation->last_intermediate), intermediate_der);
	for (size_t i = 0; !is_same && i < rotation->roots.num_all; i++) {
		if (certificate_is_signed_by(intermediate_der, rotation->roots.der[i]) != ERR_NONE)
			continue;
		digest_sha256(rotation->roots.der[i], rotation->last_root);
		buf_done(&rotation->last_intermediate);
		buf_init(&rotation->last_intermediate, CERTIFICATE_MAX);
		is_same = buf_append(&rotation->last_intermediate, intermediate_der) == ERR_NONE;
		break;
	}
	if (is_same)
		memcpy(out_tag, rotation->last_root, ROTATION_TAG_LEN);
	return is_same;
}
