/* Periodic work: finding copies of state folders, and removing records that are of no more use. */
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/health/sidecar_health.h"
#include "control/registry/revocations.h"
#include "control/serve/copies.h"
#include "control/serve/serve_private.h"

enum {
	COPIES_EACH_MS = 5000,
	ACKS_EACH_MS = 5000,
	PRUNE_EACH_MS = 60000,
	PRUNE_MORE_MS = 1000,
	PRUNE_MAX = 200,
	STEADY_S = 3600
};

struct copies_search { /* for copies */
	struct serve *serve;
	struct copies_row *rows;
	struct place {
		const struct sidecar *sidecar;
		bool *is_copied;
		bool was_copied;
	} * places;
	size_t num, max, num_copied;
};

static void add_row(void *arg, const struct identity_view *view)
{
	struct copies_search *search = arg;
	if (search->num == search->max || !view->sidecar->has_svid_holder)
		return;
	struct place *place = &search->places[search->num];
	*place = (struct place){view->sidecar, view->is_copied, *view->is_copied};
	struct copies_row *row = &search->rows[search->num++];
	*row = (struct copies_row){.family = view->sidecar->source.family, .since_ms = view->since_ms, .stream = place};
	memcpy(row->key_hash, view->sidecar->svid_holder, DIGEST_LEN);
	*view->is_copied = false;
}

static void mark(struct copies_search *search, struct place *place)
{
	search->num_copied += !*place->is_copied;
	*place->is_copied = true;
}

static void on_copy(void *arg, void *stream, void *other)
{
	struct copies_search *search = arg;
	struct place *one = stream, *two = other;
	char here[ADDR_TEXT_MAX], there[ADDR_TEXT_MAX];
	mark(search, one);
	mark(search, two);
	if ((one->was_copied && two->was_copied) || /* logged already */
		!limited_log_allows_source(search->serve->lines, &two->sidecar->source, "copied"))
		return;
	log_warning("audit",
		"copied state: two sidecars use the attestation key of %s, at %s and %s; expected: one state_dir per "
		"sidecar; fix: empty one of them and give that sidecar a token of its own, or stop both with `handfast "
		"ban`",
		one->sidecar->id.text, ip_addr_format(&one->sidecar->source, here),
		ip_addr_format(&two->sidecar->source, there));
}

static void check_for_copies(struct serve *serve)
{
	struct copies_search search = {.serve = serve,
		.max = serve->num_streams,
		.rows = mem_calloc(serve->num_streams + 1, sizeof *search.rows),
		.places = mem_calloc(serve->num_streams + 1, sizeof *search.places)};
	identity_each(serve, add_row, &search);
	(void)copies_find(search.rows, search.num, loop_now_ms(serve->options.loop), on_copy, &search);
	metric_set(serve->options.metrics, CONTROL_COPIED, (int64_t)search.num_copied);
	mem_free(search.rows);
	mem_free(search.places);
}

/* --- what sidecars report of themselves --- */

/* Rows of metrics.def in the order of their bits. */
#define CONDITION(symbol, bit, name)                                                                                   \
	_Static_assert(CONTROL_SIDECARS_##symbol == CONTROL_SIDECARS_NO_IDENTITY + (bit)-1, "a row of its own");
#include "base/health/sidecar_conditions.def"
#undef CONDITION

enum { CONDITIONS_NUM = CONTROL_SIDECARS_CLOCK_DIFFERS - CONTROL_SIDECARS_NO_IDENTITY + 1 };

struct health_count {
	uint32_t num_not_ready, of_condition[CONDITIONS_NUM];
};

static void count_health(void *arg, const struct identity_view *view)
{
	struct health_count *count = arg;
	if (!view->answers_trust || !sidecar_health_is_bad(view->health))
		return;
	count->num_not_ready += !view->health->is_ready;
	for (size_t i = 0; i < CONDITIONS_NUM; i++)
		count->of_condition[i] += (view->health->conditions >> (i + 1) & 1) != 0;
}

static void count_all_health(const struct serve *serve)
{
	struct health_count count = {0};
	identity_each(serve, count_health, &count);
	metric_set(serve->options.metrics, CONTROL_SIDECARS_NOT_READY, count.num_not_ready);
	for (unsigned i = 0; i < CONDITIONS_NUM; i++)
		metric_set(serve->options.metrics, CONTROL_SIDECARS_NO_IDENTITY + i, count.of_condition[i]);
}

/* Removing an attestation key is final: its sidecar then needs a new token. So the clock must have run steadily for a
 * while: not right after a start, when the host may not have its time yet, and not right after a step or a suspend,
 * when the sidecars have not yet been able to reconnect. */
static bool may_prune(const struct serve *serve, uint64_t now_ms)
{
	int64_t forget_s = serve->options.forget_after_s;
	int64_t steady_s = forget_s < STEADY_S ? forget_s : STEADY_S;
	return now_ms >= serve->prune_due_ms && now_ms - serve->steady_since_ms >= (uint64_t)steady_s * 1000;
}

/* Whether there may be more. */
static bool prune(struct serve *serve)
{
	int64_t now_s = serve_judging_s(serve);
	unsigned tokens = attest_tokens_prune(serve->options.attest, PRUNE_MAX);
	unsigned svid_holders =
		svid_holders_prune(serve->options.store, now_s - serve->options.forget_after_s, now_s, PRUNE_MAX);
	(void)revocations_prune(serve->options.store, now_s, PRUNE_MAX);
	rotation_replicas_prune(serve);
	metric_add(serve->options.metrics, CONTROL_FORGOTTEN_TOKENS, tokens);
	metric_add(serve->options.metrics, CONTROL_FORGOTTEN_SVID_HOLDERS, svid_holders);
	if (svid_holders > 0)
		log_notice("audit", "forgotten: %u attestation keys whose certificates ended more than %lld s ago",
			svid_holders, (long long)serve->options.forget_after_s);
	return svid_holders == PRUNE_MAX;
}

/* Of the root and of the intermediate in use (control_start.c). */
void housekeeping_poll_lists(void *arg)
{
	struct serve *serve = arg;
	struct span authorities[SERVE_INTERMEDIATE] = {{0}};
	for (size_t i = 1; i < serve->num_authorities; i++)
		authorities[i - 1] = buf_span(&serve->authorities[i].der);
	own_lists_poll(&serve->own_lists, authorities, SERVE_INTERMEDIATE, serve->options.leaf_ttl_s);
}

void housekeeping_poll(struct serve *serve)
{
	uint64_t now_ms = loop_now_ms(serve->options.loop);
	if (now_ms >= serve->copies_due_ms) {
		check_for_copies(serve);
		count_all_health(serve);
		serve->copies_due_ms = now_ms + COPIES_EACH_MS;
	}
	if (now_ms >= serve->acks_due_ms) {
		identity_keep_acks(serve);
		serve->acks_due_ms = now_ms + ACKS_EACH_MS;
	}
	if (may_prune(serve, now_ms)) {
		serve->prune_due_ms = now_ms + (prune(serve) ? PRUNE_MORE_MS : PRUNE_EACH_MS);
	}
	if (crl_files_poll(serve->options.lists))
		trust_content_changed(serve->options.trust);
	housekeeping_poll_lists(serve);
	signer_watch_poll(&serve->signer);
	struct rotation_progress progress = rotation_progress_of(serve, NULL, NULL);
	struct rotation_progress bootstrap = bootstrap_progress_of(serve, NULL, NULL);
	rotation_replicas_note(serve, progress.has_own, bootstrap.has_own);
	rotation_poll(serve->options.rotation, &progress);
	bootstrap_poll(serve->options.bootstrap, &bootstrap);
}
