#include "control/serve/operator_status.h"
#include "base/core/mem.h"
#include "certs/svid.h"
#include "control/serve/operator_messages.h"

#define HOLDERS_MAX 20000 /* shown: bounds one answer */

struct gathering {
	const struct serve *serve;
	struct status_holder *rows;
	struct holder *holders; /* own the texts that the rows show */
	size_t num, cap;
};

static void add_holder(void *arg, const struct holder *holder)
{
	struct gathering *all = arg;
	if (all->num == HOLDERS_MAX)
		return;
	if (all->num == all->cap) {
		all->cap = all->cap == 0 ? 64 : 2 * all->cap;
		all->holders = mem_realloc(all->holders, all->cap * sizeof *all->holders);
	}
	struct holder *copy = &all->holders[all->num++];
	*copy = *holder;
	copy->id = (struct spiffe_id){0};
	spiffe_id_copy(&holder->id, &copy->id);
}

static void make_rows(struct gathering *all)
{
	all->rows = mem_calloc(all->num, sizeof *all->rows);
	for (size_t i = 0; i < all->num; i++) {
		const struct holder *holder = &all->holders[i];
		all->rows[i] = (struct status_holder){.id = holder->id.text,
			.is_banned = holders_is_banned(all->serve->options.store, &holder->id),
			.not_after_ms = holder->not_after_s * 1000,
			.serial = span_of(holder->serial, holder->serial_len),
			.release = ""};
		memcpy(all->rows[i].key_hash, holder->key_hash, DIGEST_LEN);
	}
}

/* Streams know an identity, not a key: with several keys an identity, the first free row takes the stream.
 * One that never answers trust is a sidecar's second, for its address of the other family. */
static void add_stream(void *arg, const struct identity_view *view)
{
	struct gathering *all = arg;
	for (size_t i = 0; i < all->num && view->answers_trust; i++) {
		struct status_holder *row = &all->rows[i];
		if (row->is_connected || !spiffe_id_eq(&all->holders[i].id, &view->sidecar->id))
			continue;
		row->is_connected = true;
		row->acked = view->acked;
		row->release = view->release;
		return;
	}
}

/* To the key that claimed it; a claim of release 0.1 names none, and goes to the first row of its identity. */
static bool is_of(const struct holder *holder, const struct registry_claim_view *claim)
{
	static const uint8_t not_known[DIGEST_LEN];
	return spiffe_id_eq(&holder->id, claim->id) &&
	       (memcmp(claim->key_hash, not_known, DIGEST_LEN) == 0 ||
		       memcmp(claim->key_hash, holder->key_hash, DIGEST_LEN) == 0);
}

static void add_claim(void *arg, const struct registry_claim_view *claim)
{
	struct gathering *all = arg;
	for (size_t i = 0; i < all->num && !claim->has_ended; i++) {
		struct status_holder *row = &all->rows[i];
		if (!is_of(&all->holders[i], claim) || row->num_addresses == STATUS_ADDRESSES_MAX)
			continue;
		row->addresses[row->num_addresses++] = *claim->ip;
		return;
	}
}

static void gathering_done(struct gathering *all)
{
	for (size_t i = 0; i < all->num; i++)
		holder_done(&all->holders[i]);
	mem_free(all->holders);
	mem_free(all->rows);
}

enum err operator_status(const struct serve *serve, struct buf *out)
{
	_cleanup_(gathering_done) struct gathering all = {.serve = serve};
	struct status_authority authorities[4];
	for (size_t i = 0; i < serve->num_authorities; i++)
		authorities[i] =
			(struct status_authority){serve->authority_kinds[i], buf_span(&serve->authorities[i].der),
				serve->authorities[i].not_before_s * 1000, serve->authorities[i].not_after_s * 1000};
	holders_list(serve->options.store, add_holder, &all);
	make_rows(&all);
	identity_each(serve, add_stream, &all);
	registry_each_claim(serve->options.registry, add_claim, &all);
	struct status status = {.release = serve->options.release,
		.trust_domain = trust_domain_of(serve->options.trust)->name,
		.epoch = trust_epoch(serve->options.trust),
		.num_streams = serve->num_streams,
		.holders = all.rows,
		.num_holders = all.num,
		.authorities = authorities,
		.num_authorities = serve->num_authorities,
		.svids_issued = serve->num_issued,
		.server_time_ms = serve_now_ms(serve),
		.started_ms = serve->started_ms};
	return status_encode(&status, out);
}
