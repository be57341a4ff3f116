/* Whom a rotation of the mesh's root waits for: in its first phase the sidecars that have not confirmed the next root,
 * in its second those whose certificate is below the former one. One that is away is waited for until its certificate
 * ends. The successor of the bootstrap root waits for those that have not confirmed its pin; the former one is still
 * needed by those and, of the sidecars that are away, by all whose attestation key is not forgotten. */
#include "control/serve/serve_private.h"

struct counting {
	const struct serve *serve;
	const uint8_t *active; /* the root that is to be above each certificate; NULL: a confirmation is waited for */
	uint64_t since;        /* the counter with which that to be confirmed was published; 0: it is not durable yet */
	int64_t phase_s;
	bool has_ended_too; /* also those whose certificate has ended */
	int64_t now_s;
	unsigned num;
	struct share_key shown[WAITED_SHOWN_MAX]; /* the identities of the rows */
	size_t num_shown;
	waited_fn *each;
	void *arg;
};

struct seeking { /* for the stream of a sidecar */
	const uint8_t *key_hash;
	struct waited_sidecar *row;
};

static bool has_confirmed(const struct counting *counting, const struct epoch *acked)
{
	return acked->incarnation == trust_epoch(counting->serve->options.trust).incarnation &&
	       acked->counter >= counting->since;
}

static bool is_done(const struct counting *counting, const struct epoch *acked, const uint8_t *root_tag)
{
	return counting->active == NULL ? counting->since != 0 && has_confirmed(counting, acked)
					: memcmp(root_tag, counting->active, ROTATION_TAG_LEN) == 0;
}

/* One identity with very many streams hides no other (decision 096). */
static bool has_room(const struct counting *counting, const struct share_key *key)
{
	size_t num_same = 0;
	for (size_t i = 0; i < counting->num_shown; i++)
		num_same += share_key_eq(&counting->shown[i], key);
	return counting->each != NULL && counting->num_shown < WAITED_SHOWN_MAX && num_same < WAITED_IDENTITY_MAX;
}

static void add(struct counting *counting, const struct waited_sidecar *sidecar)
{
	struct share_key key = share_key_of_bytes(spiffe_id_text(sidecar->id));
	counting->num++;
	if (!has_room(counting, &key))
		return;
	counting->shown[counting->num_shown++] = key;
	counting->each(counting->arg, sidecar);
}

static void fill_connected(void *arg, const struct identity_view *view)
{
	struct seeking *seeking = arg;
	const struct sidecar *sidecar = view->sidecar;
	if (!sidecar->has_svid_holder || memcmp(sidecar->svid_holder, seeking->key_hash, DIGEST_LEN) != 0)
		return;
	seeking->row->is_connected = true;
	seeking->row->release = view->release;
	seeking->row->source = sidecar->source;
}

static void on_svid_holder(void *arg, const struct svid_holder *svid_holder)
{
	struct counting *counting = arg;
	const struct store *store = counting->serve->options.store;
	bool has_ended = svid_holder->serial_len == 0 || svid_holder->not_after_s <= counting->now_s;
	if ((has_ended && !counting->has_ended_too) || svid_holders_is_banned(store, &svid_holder->id))
		return;
	struct epoch acked = svid_holders_ack(store, svid_holder->key_hash);
	struct waited_sidecar row = {.id = &svid_holder->id, .not_after_s = svid_holder->not_after_s, .release = ""};
	struct seeking seeking = {svid_holder->key_hash, &row};
	if (is_done(counting, &acked, svid_holder->root_tag))
		return;
	if (counting->each != NULL && counting->num_shown < WAITED_SHOWN_MAX)
		identity_each(counting->serve, fill_connected, &seeking);
	add(counting, &row);
}

static bool has_record(const struct counting *counting, const struct sidecar *sidecar)
{
	_cleanup_(svid_holder_done) struct svid_holder found = {0};
	return sidecar->has_svid_holder &&
	       svid_holders_find(counting->serve->options.store, sidecar->svid_holder, &found) == ERR_NONE;
}

/* Pods have no record; their streams are known. */
static void on_stream(void *arg, const struct identity_view *view)
{
	struct counting *counting = arg;
	if (is_done(counting, &view->acked, view->sidecar->root_tag) || has_record(counting, view->sidecar))
		return;
	struct waited_sidecar row = {.id = &view->sidecar->id,
		.not_after_s = view->sidecar->valid_until_s,
		.is_connected = true,
		.release = view->release,
		.source = view->sidecar->source};
	add(counting, &row);
}

/* Until when there may be certificates that no record and perhaps no stream here stands for; 0: there are none. */
static int64_t unrecorded_until_s(const struct counting *counting)
{
	const struct serve *serve = counting->serve;
	const int64_t pods_until_s = serve->options.has_unrecorded ? counting->phase_s + serve->options.leaf_ttl_s : 0;
	int64_t until_s;
	if (granter_num_unrecorded(serve->granter, &until_s) == 0 || until_s < pods_until_s)
		until_s = pods_until_s;
	return until_s > counting->now_s ? until_s : 0;
}

static struct rotation_progress count(struct counting *counting, bool is_in_force)
{
	const struct serve *serve = counting->serve;
	identity_each(serve, on_stream, counting);
	bool has_own = counting->since != 0 && counting->num == 0 && is_in_force;
	svid_holders_list(serve->options.store, on_svid_holder, counting);
	const int64_t until_s = unrecorded_until_s(counting);
	return (struct rotation_progress){.is_published = counting->since != 0,
		.has_own = has_own,
		.num_waited = counting->num + (until_s != 0),
		.unrecorded_until_s = until_s};
}

struct rotation_progress rotation_progress_of(const struct serve *serve, waited_fn *each, void *arg)
{
	const struct rotation_state *state = rotation_state_of(serve->options.rotation);
	struct counting counting = {.serve = serve,
		.active = state->phase == ROTATION_PUBLISHING ? NULL : state->active,
		.since = trust_roots_since(serve->options.trust),
		.phase_s = state->phase_s,
		.now_s = serve_judging_s(serve),
		.each = each,
		.arg = arg};
	if (state->phase == ROTATION_NONE)
		return (struct rotation_progress){.has_own = true};
	struct rotation_progress progress = count(&counting, rotation_is_in_force(serve->options.rotation));
	progress.num_replicas = rotation_replicas_waited(serve, REPLICAS_ROTATION, NULL, NULL);
	/* Partners fetch the bundle now and then, and confirm nothing. */
	if (state->phase == ROTATION_PUBLISHING && counting.now_s < state->phase_s + serve->options.publish_s)
		progress.partners_until_s = state->phase_s + serve->options.publish_s;
	return progress;
}

struct rotation_progress bootstrap_progress_of(const struct serve *serve, waited_fn *each, void *arg)
{
	const struct bootstrap_state *state = bootstrap_state_of(serve->options.bootstrap);
	struct counting counting = {.serve = serve,
		.since = trust_pins_since(serve->options.trust),
		.phase_s = state->phase_s,
		.has_ended_too = state->phase == BOOTSTRAP_OVERLAP,
		.now_s = serve_judging_s(serve),
		.each = each,
		.arg = arg};
	if (state->phase == BOOTSTRAP_NONE)
		return (struct rotation_progress){.has_own = true};
	bool is_in_force = bootstrap_is_in_force(serve->options.bootstrap);
	struct rotation_progress progress = count(&counting, is_in_force);
	if (state->phase == BOOTSTRAP_OVERLAP) /* no later phase waits for a sidecar here */
		progress.has_own = is_in_force;
	progress.num_replicas = rotation_replicas_waited(serve, REPLICAS_BOOTSTRAP, NULL, NULL);
	return progress;
}

void rotation_scrape(const struct serve *serve)
{
	metric_set(serve->options.metrics, CONTROL_ROTATION_PHASE,
		(int64_t)rotation_state_of(serve->options.rotation)->phase);
	metric_set(serve->options.metrics, CONTROL_BOOTSTRAP_PHASE,
		(int64_t)bootstrap_state_of(serve->options.bootstrap)->phase);
	metric_set(
		serve->options.metrics, CONTROL_BOOTSTRAP_WAITED, bootstrap_progress_of(serve, NULL, NULL).num_waited);
	metric_set(serve->options.metrics, CONTROL_ROTATION_WAITED, rotation_progress_of(serve, NULL, NULL).num_waited);
}
