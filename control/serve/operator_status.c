#include "control/serve/operator_status.h"
#include "base/core/mem.h"
#include "certs/svid.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SVID_HOLDERS_MAX 20000 /* bounds one answer */

struct further {                      /* a record without a row */
	uint8_t key_hash[DIGEST_LEN]; /* first, for compare_keys() */
	bool is_connected;
};

struct gathering {
	const struct serve *serve;
	struct status_svid_holder *rows;  /* in the order of their keys' hashes, as the store lists them */
	struct svid_holder *svid_holders; /* own the texts of the rows */
	size_t num, cap;
	size_t num_pods; /* rows behind them, of streams without a record: pods */
	size_t max_pods;
	size_t *by_id;           /* the rows in the order of their identities */
	struct further *further; /* in the order of their keys' hashes */
	size_t num_further, cap_further;
	size_t num_pods_left_out;
};

static void add_further(struct gathering *all, const uint8_t key_hash[DIGEST_LEN])
{
	if (all->num_further == all->cap_further) {
		all->cap_further = all->cap_further == 0 ? 64 : 2 * all->cap_further;
		all->further = mem_realloc(all->further, all->cap_further * sizeof *all->further);
	}
	struct further *added = &all->further[all->num_further++];
	memcpy(added->key_hash, key_hash, DIGEST_LEN);
	added->is_connected = false;
}

static void add_svid_holder(void *arg, const struct svid_holder *svid_holder)
{
	struct gathering *all = arg;
	if (all->num == SVID_HOLDERS_MAX) {
		add_further(all, svid_holder->key_hash);
		return;
	}
	if (all->num == all->cap) {
		all->cap = all->cap == 0 ? 64 : 2 * all->cap;
		all->svid_holders = mem_realloc(all->svid_holders, all->cap * sizeof *all->svid_holders);
	}
	struct svid_holder *copy = &all->svid_holders[all->num++];
	*copy = *svid_holder;
	copy->id = (struct spiffe_id){0};
	spiffe_id_copy(&svid_holder->id, &copy->id);
}

static int compare_ids(const void *a, const void *b, void *arg)
{
	const struct gathering *all = arg;
	return strcmp(all->svid_holders[*(const size_t *)a].id.text, all->svid_holders[*(const size_t *)b].id.text);
}

static void make_rows(struct gathering *all)
{
	const struct bundle_set *bundles = trust_bundles(all->serve->options.trust);
	all->max_pods = SVID_HOLDERS_MAX - all->num < all->serve->num_streams ? SVID_HOLDERS_MAX - all->num
									      : all->serve->num_streams;
	all->rows = mem_calloc(all->num + all->max_pods, sizeof *all->rows);
	all->by_id = mem_calloc(all->num, sizeof *all->by_id);
	for (size_t i = 0; i < all->num; i++) {
		const struct svid_holder *svid_holder = &all->svid_holders[i];
		all->by_id[i] = i;
		all->rows[i] = (struct status_svid_holder){.id = svid_holder->id.text,
			.is_banned = bundle_set_is_banned(bundles, &svid_holder->id),
			.not_after_ms = svid_holder->not_after_s * 1000,
			.serial = span_of(svid_holder->serial, svid_holder->serial_len),
			.release = ""};
		memcpy(all->rows[i].key_hash, svid_holder->key_hash, DIGEST_LEN);
	}
	qsort_r(all->by_id, all->num, sizeof *all->by_id, compare_ids, all);
}

static bool find_key(const struct gathering *all, const uint8_t key_hash[DIGEST_LEN], size_t *out_row)
{
	size_t low = 0, high = all->num;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int comparison = memcmp(all->rows[middle].key_hash, key_hash, DIGEST_LEN);
		*out_row = middle;
		if (comparison == 0)
			return true;
		if (comparison < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

static int compare_keys(const void *a, const void *b)
{
	return memcmp(a, b, DIGEST_LEN);
}

/* NULL: its record has a row, or it has no record. */
static struct further *find_further(const struct gathering *all, const struct sidecar *sidecar)
{
	if (all->num_further == 0 || !sidecar->has_svid_holder)
		return NULL;
	return bsearch(sidecar->svid_holder, all->further, all->num_further, sizeof *all->further, compare_keys);
}

/* The first index in by_id of this identity; all->num: none. */
static size_t first_of_id(const struct gathering *all, const char *id)
{
	size_t low = 0, high = all->num;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (strcmp(all->rows[all->by_id[middle]].id, id) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low < all->num && strcmp(all->rows[all->by_id[low]].id, id) == 0 ? low : all->num;
}

static bool is_likelier(const struct status_svid_holder *row, const struct status_svid_holder *than)
{
	if (row->is_connected != than->is_connected)
		return !row->is_connected;
	return row->not_after_ms > than->not_after_ms;
}

/* A row of this identity: preferably one that is away, and of these the one with the latest certificate. */
static bool find_id(const struct gathering *all, const char *id, size_t *out_row)
{
	size_t first = first_of_id(all, id);
	if (first == all->num)
		return false;
	*out_row = all->by_id[first];
	for (size_t i = first + 1; i < all->num && strcmp(all->rows[all->by_id[i]].id, id) == 0; i++)
		if (is_likelier(&all->rows[all->by_id[i]], &all->rows[*out_row]))
			*out_row = all->by_id[i];
	return true;
}

/* A pod's sidecar has no record and claims no address: its stream is all that is known of it. */
static void add_pod(struct gathering *all, const struct identity_view *view)
{
	const struct sidecar *sidecar = view->sidecar;
	if (all->num_pods == all->max_pods) {
		all->num_pods_left_out++;
		return;
	}
	struct status_svid_holder *row = &all->rows[all->num + all->num_pods++];
	*row = (struct status_svid_holder){.id = sidecar->id.text,
		.is_connected = true,
		.is_banned = bundle_set_is_banned(trust_bundles(all->serve->options.trust), &sidecar->id),
		.not_after_ms = sidecar->valid_until_s * 1000,
		.serial = span_of(sidecar->leaf.bytes, sidecar->leaf.len),
		.acked = view->acked,
		.release = view->release,
		.is_draining = view->is_draining,
		.health = *view->health,
		.addresses = {sidecar->source},
		.num_addresses = 1};
	if (sidecar->has_svid_holder)
		memcpy(row->key_hash, sidecar->svid_holder, DIGEST_LEN);
}

/* While a sidecar is upgraded its former process has a stream, too: what the row states is of the one that was opened
 * last. identity_each() begins with that. */
static void take_newest(struct status_svid_holder *row, const struct identity_view *view)
{
	if (view->since_ms <= row->stream_since_ms)
		return;
	row->stream_since_ms = view->since_ms;
	row->acked = view->acked;
	row->release = view->release;
	row->is_draining = view->is_draining;
	row->health = *view->health;
}

static void add_to_row(struct status_svid_holder *row, const struct identity_view *view)
{
	const struct sidecar *sidecar = view->sidecar;
	row->is_copied |= *view->is_copied;
	row->is_connected = true;
	if (!view->answers_trust)
		return; /* the sidecar's second stream, for its address of the other family */
	take_newest(row, view);
	if (sidecar->leaf.len == 0 || sidecar->valid_until_s * 1000 < row->not_after_ms)
		return;
	row->serial = span_of(sidecar->leaf.bytes, sidecar->leaf.len); /* a full disk keeps it from the record */
	row->not_after_ms = sidecar->valid_until_s * 1000;
}

static bool find_row(const struct gathering *all, const struct sidecar *sidecar, size_t *out_row)
{
	return sidecar->has_svid_holder && find_key(all, sidecar->svid_holder, out_row);
}

static void add_known(void *arg, const struct identity_view *view)
{
	struct gathering *all = arg;
	size_t at;
	if (find_row(all, view->sidecar, &at))
		add_to_row(&all->rows[at], view);
}

/* The certificate that a stream presented maps to an attestation key, as does the proof of its claim. After a restart
 * of the control plane a certificate that is not the recorded one (an older one, or one that a full disk kept from the
 * record) does not: until the claim its stream goes to a row of its identity that no other stream has. */
static void add_unknown(void *arg, const struct identity_view *view)
{
	struct gathering *all = arg;
	size_t at;
	if (!view->answers_trust || find_row(all, view->sidecar, &at))
		return;
	struct further *further = find_further(all, view->sidecar);
	if (further != NULL)
		further->is_connected = true; /* one sidecar has two streams while it is upgraded */
	else if (find_id(all, view->sidecar->id.text, &at))
		add_to_row(&all->rows[at], view);
	else
		add_pod(all, view);
}

/* To the row of the key that claimed it; a claim of release 0.1 names no key, and goes to a row of its identity that is
 * away, else to the first row. */
static void add_claim(void *arg, const struct registry_claim_view *claim)
{
	static const uint8_t not_known[DIGEST_LEN];
	struct gathering *all = arg;
	size_t at;
	if (claim->has_ended)
		return;
	bool has_key = memcmp(claim->key_hash, not_known, DIGEST_LEN) != 0;
	if (has_key ? !find_key(all, claim->key_hash, &at) : !find_id(all, claim->id->text, &at))
		return;
	struct status_svid_holder *row = &all->rows[at];
	if (row->num_addresses < STATUS_ADDRESSES_MAX)
		row->addresses[row->num_addresses++] = *claim->ip;
}

static void gathering_done(struct gathering *all)
{
	for (size_t i = 0; i < all->num; i++)
		svid_holder_done(&all->svid_holders[i]);
	mem_free(all->svid_holders);
	mem_free(all->rows);
	mem_free(all->by_id);
	mem_free(all->further);
}

static size_t num_connected(const struct gathering *all)
{
	size_t num = all->num_pods_left_out;
	for (size_t i = 0; i < all->num_further; i++)
		num += all->further[i].is_connected;
	for (size_t i = 0; i < all->num + all->num_pods; i++)
		num += all->rows[i].is_connected;
	return num;
}

static void add_condition(void *arg, enum serve_condition condition, const struct why *why)
{
	struct status *status = arg;
	if (status->num_conditions < STATUS_CONDITIONS_MAX)
		status->conditions[status->num_conditions++] =
			(struct status_condition){serve_condition_name(condition), *why};
}

struct listing {
	struct status_authority rows[SERVE_CERTIFICATES_MAX];
	char kinds[SERVE_CERTIFICATES_MAX][32];
	size_t num;
};

/* "bootstrap_root" is shown as "bootstrap root", the server's as "server certificate". */
static void add_certificate(void *arg, const char *kind, struct span der)
{
	struct listing *list = arg;
	int64_t from_s, to_s;
	if (list->num == SERVE_CERTIFICATES_MAX || certificate_validity(der, &from_s, &to_s) != ERR_NONE)
		return;
	char *text = list->kinds[list->num];
	snprintf(text, sizeof list->kinds[0], "%s%s", kind, strcmp(kind, "server") == 0 ? " certificate" : "");
	for (char *at = text; *at != '\0'; at++)
		if (*at == '_')
			*at = ' ';
	list->rows[list->num++] = (struct status_authority){text, der, from_s * 1000, to_s * 1000};
}

enum err operator_status_gather(const struct serve *serve, status_use_fn *use, void *arg)
{
	_cleanup_(gathering_done) struct gathering all = {.serve = serve};
	_cleanup_(mem_freep) struct listing *list = mem_new(struct listing);
	serve_each_certificate(serve, add_certificate, list);
	svid_holders_list(serve->options.store, add_svid_holder, &all);
	make_rows(&all);
	identity_each(serve, add_known, &all);
	identity_each(serve, add_unknown, &all);
	registry_each_claim(serve->options.registry, add_claim, &all);
	struct status status = {.release = serve->options.release,
		.trust_domain = trust_domain_of(serve->options.trust)->name,
		.epoch = trust_epoch(serve->options.trust),
		.num_streams = serve->num_streams,
		.svid_holders = all.rows,
		.num_svid_holders = all.num + all.num_pods,
		.num_left_out = all.num_further + all.num_pods_left_out,
		.num_connected = num_connected(&all),
		.authorities = list->rows,
		.num_authorities = list->num,
		.svids_issued = serve->num_issued,
		.server_time_ms = serve_now_ms(serve),
		.started_ms = serve->started_ms};
	serve_each_condition(serve, add_condition, &status);
	return use(arg, &status);
}

static enum err encode(void *out, const struct status *status)
{
	return status_encode(status, out);
}

enum err operator_status(const struct serve *serve, struct buf *out)
{
	return operator_status_gather(serve, encode, out);
}
