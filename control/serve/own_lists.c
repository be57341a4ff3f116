#include "control/serve/own_lists.h"

#include "base/core/check.h"
#include "base/core/log.h"
#include "control/issue/certificate.h"
#include "control/issue/revocation_list.h"
#include "control/registry/revocations.h"

enum {
	RETRY_MS = 10000,
	NEXT_MS = 50, /* for the commit of the one before */
	/* Sidecars have a revocation at once. When a new list joined them in the trust state, each would be sent it in
	 * the midst of what they do because of the revocation. */
	SETTLE_MS = 3000,
	LIFE_LEAST_S = 3600,
	AHEAD_S = 120,     /* a list that is from then was made while the clock was ahead */
	GONE_BEFORE_S = 5, /* before its end a list without a signer is removed, so that no verifier has a stale one */
	ENTRIES_MAX = REVOCATION_LIST_ENTRIES_MAX * 29,
};

static int64_t now_s(const struct own_lists *lists)
{
	const struct clock *clock = loop_clock(lists->loop);
	return clock->wall_ms(clock) / 1000;
}

/* --- what they name --- */

struct collection {
	struct own_lists *lists;
	int64_t now_s;
	size_t num;
};

static void add_entry(void *arg, const struct revocation *revocation)
{
	struct collection *collection = arg;
	struct own_lists *lists = collection->lists;
	if (revocation->until_s < collection->now_s)
		return;
	if (collection->num == REVOCATION_LIST_ENTRIES_MAX) {
		lists->num_left_out++;
		return;
	}
	CHECK(revocation_list_put_entry(&lists->entries, revocation->serial, revocation->since_s) == ERR_NONE);
	collection->num++;
}

static void collect(struct own_lists *lists)
{
	struct collection collection = {lists, now_s(lists), 0};
	buf_clear(&lists->entries);
	lists->num_left_out = 0;
	revocations_list(lists->store, add_entry, &collection);
	digest_sha256(buf_span(&lists->entries), lists->content);
	lists->is_changed = false;
}

static void on_revocation(struct store_watch *watch, _unused_ const char *key, _unused_ const struct store_value *value)
{
	struct own_lists *lists = container_of(watch, struct own_lists, watch);
	if (!lists->is_changed)
		lists->settled_ms = loop_now_ms(lists->loop) + SETTLE_MS;
	lists->is_changed = true;
}

/* --- which of them is due --- */

struct search {
	struct own_lists *lists;
	int64_t now_s;
	bool is_found;   /* asked and asked_version of the lists */
	size_t num;      /* of lists in the store */
	uint64_t number; /* the greatest of all */
};

static bool is_foreign(const struct own_lists *lists, const uint8_t authority[DIGEST_LEN])
{
	for (size_t i = 0; i < lists->num_foreign; i++)
		if (memcmp(lists->foreign[i], authority, DIGEST_LEN) == 0)
			return true;
	return false;
}

/* When there are too many it is asked again and again, which costs a datagram. */
static void note_foreign(struct own_lists *lists)
{
	if (lists->num_foreign < OWN_LISTS_ASKED_MAX)
		memcpy(lists->foreign[lists->num_foreign++], lists->asked.authority, DIGEST_LEN);
}

/* No list is older than half its life, and all of one life are due at the same moments, at every control plane: the
 * trust state takes them over together (trust.c). */
static bool is_old(const struct own_list *list, int64_t now)
{
	int64_t half_s = (list->ends_s - list->made_s) / 2;
	return half_s <= 0 || now / half_s > list->made_s / half_s;
}

static bool is_due(const struct own_lists *lists, const struct own_list *list, int64_t now)
{
	return memcmp(list->content, lists->content, DIGEST_LEN) != 0 || is_old(list, now) ||
	       list->made_s > now + AHEAD_S;
}

static void remove_list(const struct own_lists *lists, const struct own_list *list, uint64_t version)
{
	char key[OWN_LIST_KEY_MAX];
	own_list_key(list->authority, key);
	store_swap(lists->store, key, version, (struct span){0}, NULL, NULL);
}

/* A list of an authority that is revoked itself would make its leaves acceptable to who checks leaves alone. */
static void judge_list(void *arg, const struct own_list *list, uint64_t version)
{
	struct search *search = arg;
	struct own_lists *lists = search->lists;
	search->num++;
	if (list->number > search->number)
		search->number = list->number;
	if (list->ends_s - GONE_BEFORE_S <= search->now_s ||
		revocations_has(lists->store, span_of(list->serial, list->serial_len))) {
		remove_list(lists, list, version);
		return;
	}
	if (search->is_found || is_foreign(lists, list->authority) || !is_due(lists, list, search->now_s))
		return;
	search->is_found = true;
	lists->asked = *list;
	lists->asked.der = (struct buf){0}; /* borrowed */
	lists->asked_version = version;
}

static void seek_missing(struct search *search, const struct span *authorities, size_t num)
{
	struct own_lists *lists = search->lists;
	lists->is_full = false;
	for (size_t i = 0; i < num && !search->is_found; i++) {
		struct own_list wanted = {0};
		struct store_value value;
		char key[OWN_LIST_KEY_MAX];
		int64_t from_s;
		if (authorities[i].len == 0 ||
			certificate_serial(authorities[i], wanted.serial, &wanted.serial_len) != ERR_NONE ||
			certificate_validity(authorities[i], &from_s, &wanted.authority_ends_s) != ERR_NONE)
			continue;
		digest_sha256(authorities[i], wanted.authority);
		own_list_key(wanted.authority, key);
		if (is_foreign(lists, wanted.authority) || store_get(lists->store, key, &value) ||
			revocations_has(lists->store, span_of(wanted.serial, wanted.serial_len)))
			continue;
		lists->is_full = search->num >= OWN_LISTS_MAX;
		search->is_found = !lists->is_full;
		lists->asked = wanted;
		lists->asked_version = 0;
	}
}

/* --- making one --- */

/* A conflict is another control plane's change, seen at the next turn. */
static void keep(struct own_lists *lists, struct span der)
{
	_cleanup_(buf_done) struct buf record = BUF_INIT(OWN_LIST_RECORD_MAX);
	_cleanup_(own_list_done) struct own_list list = lists->asked;
	char key[OWN_LIST_KEY_MAX];
	list.der = BUF_INIT(OWN_LIST_DER_MAX);
	own_list_key(list.authority, key);
	if (buf_append(&list.der, der) != ERR_NONE || own_list_encode(&list, &record) != ERR_NONE) {
		log_error("issue",
			"a revocation list is too large to be published: %zu bytes; expected: at most %u; "
			"fix: report this as a defect",
			der.len, OWN_LIST_DER_MAX);
		return;
	}
	store_swap(lists->store, key, lists->asked_version, buf_span(&record), NULL, NULL);
}

static void on_next(struct loop_timer *timer)
{
	const struct own_lists *lists = container_of(timer, struct own_lists, next);
	lists->on_turn(lists->arg);
}

static void on_signed(void *arg, enum err err, const struct issued *issued, const struct why *why)
{
	struct own_lists *lists = arg;
	lists->request = NULL;
	loop_timer_start(lists->loop, &lists->next, NEXT_MS, on_next);
	if (err == ERR_NONE)
		keep(lists, issued->sealed);
	else if (err == ERR_NOT_FOUND)
		note_foreign(lists);
	else if (err == ERR_UNSUPPORTED) {
		log_why(LOG_LEVEL_NOTICE, "issue", "no revocation list of the intermediate is published", why);
		note_foreign(lists);
	} else {
		log_why(LOG_LEVEL_WARNING, "issue", "a revocation list cannot be made", why);
		lists->retry_ms = loop_now_ms(lists->loop) + RETRY_MS;
	}
}

static void ask(struct own_lists *lists, const struct search *search, int64_t leaf_ttl_s)
{
	struct own_list *asked = &lists->asked;
	int64_t life_s = 2 * leaf_ttl_s < LIFE_LEAST_S ? LIFE_LEAST_S : 2 * leaf_ttl_s;
	uint64_t above = search->number > lists->last_number ? search->number : lists->last_number;
	asked->number = (above < (uint64_t)search->now_s ? (uint64_t)search->now_s : above) + 1;
	lists->last_number = asked->number;
	asked->made_s = search->now_s;
	asked->ends_s = search->now_s + life_s;
	memcpy(asked->content, lists->content, DIGEST_LEN);
	const struct list_request request = {.sha256 = span_of(asked->authority, DIGEST_LEN),
		.entries = buf_span(&lists->entries),
		.above = asked->number - 1,
		.life_s = life_s};
	lists->request = issuer_sign_list(lists->issuer, &request, on_signed, lists);
}

void own_lists_poll(struct own_lists *lists, const struct span *authorities, size_t num, int64_t leaf_ttl_s)
{
	struct search search = {.lists = lists, .now_s = now_s(lists)};
	uint64_t now_ms = loop_now_ms(lists->loop);
	if (lists->request != NULL || now_ms < lists->retry_ms || now_ms < lists->settled_ms)
		return;
	if (lists->is_changed)
		collect(lists);
	own_lists_each(lists->store, judge_list, &search);
	if (!search.is_found)
		seek_missing(&search, authorities, num);
	if (search.is_found)
		ask(lists, &search, leaf_ttl_s);
}

void own_lists_start(struct own_lists *lists, const struct own_lists_options *options)
{
	CHECK(options->on_turn != NULL);
	*lists = (struct own_lists){.loop = options->loop,
		.store = options->store,
		.issuer = options->issuer,
		.on_turn = options->on_turn,
		.arg = options->arg,
		.entries = BUF_INIT(ENTRIES_MAX),
		.is_changed = true};
	store_watch_start(options->store, &lists->watch, REVOCATIONS_PREFIX, on_revocation);
}

void own_lists_stop(struct own_lists *lists)
{
	store_watch_stop(&lists->watch);
	loop_timer_stop(&lists->next);
	if (lists->request != NULL)
		issuer_abandon(TAKE_PTR(lists->request));
	buf_done(&lists->entries);
}

bool own_lists_trouble(const struct own_lists *lists, struct why *why)
{
	if (lists->num_left_out > 0)
		(void)why_set(why, ERR_LIMIT, "at most 512 revoked certificates in the lists for others",
			"revoke their intermediate: `handfast revoke --intermediate`",
			"%zu revoked certificates are refused by sidecars alone", lists->num_left_out);
	else if (lists->is_full)
		(void)why_set(why, ERR_LIMIT, "at most 40 published revocation lists of the mesh's authorities",
			"find the control plane that starts again and again; lists of former ones end within twice "
			"leaf_ttl",
			"there is no list of this control plane's intermediate: verifiers that demand one refuse its "
			"certificates");
	else
		return false;
	return true;
}
