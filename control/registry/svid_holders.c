#include "control/registry/svid_holders.h"
#include "base/core/check.h"
#include "base/core/hex.h"
#include "base/core/mem.h"
#include "control/store/record.h"

#define KEY_LEN (sizeof SVID_HOLDERS_PREFIX + 2 * DIGEST_LEN)

_Static_assert(KEY_LEN <= STORE_KEY_MAX, "a key of the store");

static const char *const by_names[] = {
	[SVID_HOLDER_BY_TOKEN] = "token", /* not written: releases before 0.2 had no other */
	[SVID_HOLDER_BY_X509] = "x509",
	[SVID_HOLDER_BY_UNIX] = "unix"};

void svid_holder_done(struct svid_holder *svid_holder)
{
	spiffe_id_done(&svid_holder->id);
}

static void format_key(const uint8_t key_hash[DIGEST_LEN], char out[KEY_LEN])
{
	memcpy(out, SVID_HOLDERS_PREFIX, sizeof SVID_HOLDERS_PREFIX);
	hex_format(span_of(key_hash, DIGEST_LEN), out + sizeof SVID_HOLDERS_PREFIX - 1);
}

bool svid_holders_key_parse(const char *key, uint8_t out_key_hash[DIGEST_LEN])
{
	const char *digits = key + strlen(SVID_HOLDERS_PREFIX);
	if (strncmp(key, SVID_HOLDERS_PREFIX, strlen(SVID_HOLDERS_PREFIX)) != 0)
		return false;
	_cleanup_(mem_freep) char *record = mem_printf("key=%s\n", digits);
	return record_hex(span_of_str(record), "key", out_key_hash, DIGEST_LEN);
}

/* What a later release may have written is no join token. */
static enum svid_holder_by parse_by(struct span record)
{
	struct span by;
	if (!record_get(record, "by", 0, &by))
		return SVID_HOLDER_BY_TOKEN;
	return span_eq(by, span_of_str(by_names[SVID_HOLDER_BY_X509])) ? SVID_HOLDER_BY_X509 : SVID_HOLDER_BY_UNIX;
}

static enum err parse(struct span record, uint64_t version, struct svid_holder *out)
{
	struct svid_holder svid_holder = {.version = version};
	struct span id;
	uint8_t serial[16];
	if (!record_hex(record, "key", svid_holder.key_hash, DIGEST_LEN) || !record_get(record, "id", 0, &id) ||
		spiffe_id_parse(id, &svid_holder.id, NULL) != ERR_NONE)
		return ERR_STATE_DAMAGED;
	svid_holder.since_s = record_number(record, "since", 0);
	svid_holder.by = parse_by(record);
	svid_holder.not_after_s = record_number(record, "not_after", 0);
	if (record_hex(record, "serial", serial, sizeof serial)) {
		memcpy(svid_holder.serial, serial, sizeof serial);
		svid_holder.serial_len = sizeof serial;
	}
	if (!record_hex(record, "leaf_key", svid_holder.leaf_key_hash, DIGEST_LEN))
		memset(svid_holder.leaf_key_hash, 0, DIGEST_LEN);
	if (!record_hex(record, "root", svid_holder.root_tag, SVID_HOLDER_ROOT_LEN))
		memset(svid_holder.root_tag, 0, SVID_HOLDER_ROOT_LEN);
	svid_holder.proves_claims = record_number(record, "proves_claims", 0) != 0;
	*out = svid_holder;
	return ERR_NONE;
}

enum err svid_holders_find(const struct store *store, const uint8_t key_hash[DIGEST_LEN], struct svid_holder *out)
{
	char key[KEY_LEN];
	struct store_value value;
	format_key(key_hash, key);
	return store_get(store, key, &value) ? parse(value.bytes, value.version, out) : ERR_NOT_FOUND;
}

static enum err encode_certificate(const struct svid_holder *svid_holder, struct buf *out)
{
	RETURN_IF_ERR(record_put_number(out, "not_after", svid_holder->not_after_s));
	RETURN_IF_ERR(record_put_hex(out, "serial", span_of(svid_holder->serial, svid_holder->serial_len)));
	RETURN_IF_ERR(record_put_hex(out, "root", span_of(svid_holder->root_tag, SVID_HOLDER_ROOT_LEN)));
	RETURN_IF_ERR(record_put_number(out, "proves_claims", svid_holder->proves_claims));
	return record_put_hex(out, "leaf_key", span_of(svid_holder->leaf_key_hash, DIGEST_LEN));
}

static enum err encode(const struct svid_holder *svid_holder, struct buf *out)
{
	RETURN_IF_ERR(record_put_hex(out, "key", span_of(svid_holder->key_hash, DIGEST_LEN)));
	RETURN_IF_ERR(record_put(out, "id", spiffe_id_text(&svid_holder->id)));
	RETURN_IF_ERR(record_put_number(out, "since", svid_holder->since_s));
	if (svid_holder->by != SVID_HOLDER_BY_TOKEN)
		RETURN_IF_ERR(record_put(out, "by", span_of_str(by_names[svid_holder->by])));
	return svid_holder->serial_len == 0 ? ERR_NONE : encode_certificate(svid_holder, out);
}

enum err svid_holders_put(struct store *store, const struct svid_holder *svid_holder, store_done_fn *on_done, void *arg)
{
	_cleanup_(buf_done) struct buf record = BUF_INIT(STORE_VALUE_MAX);
	char key[KEY_LEN];
	CHECK(svid_holder->serial_len <= sizeof svid_holder->serial);
	RETURN_IF_ERR(encode(svid_holder, &record));
	format_key(svid_holder->key_hash, key);
	store_swap(store, key, svid_holder->version, buf_span(&record), on_done, arg);
	return ERR_NONE;
}

struct listing {
	svid_holders_list_fn *on_svid_holder;
	svid_holders_ban_fn *on_ban;
	void *arg;
};

static void list_one(void *arg, _unused_ const char *key, const struct store_value *value)
{
	const struct listing *listing = arg;
	_cleanup_(svid_holder_done) struct svid_holder svid_holder = {0};
	if (parse(value->bytes, value->version, &svid_holder) == ERR_NONE)
		listing->on_svid_holder(listing->arg, &svid_holder);
}

void svid_holders_list(const struct store *store, svid_holders_list_fn *on_svid_holder, void *arg)
{
	struct listing listing = {.on_svid_holder = on_svid_holder, .arg = arg};
	store_list(store, SVID_HOLDERS_PREFIX, list_one, &listing);
}

/* --- acknowledgments --- */

#define ACK_PREFIX  "ack/"
#define ACK_KEY_LEN (sizeof ACK_PREFIX + 2 * DIGEST_LEN)

static bool get_ack(
	const struct store *store, const uint8_t key_hash[DIGEST_LEN], char key[ACK_KEY_LEN], struct store_value *out)
{
	memcpy(key, ACK_PREFIX, sizeof ACK_PREFIX);
	hex_format(span_of(key_hash, DIGEST_LEN), key + sizeof ACK_PREFIX - 1);
	*out = (struct store_value){0};
	return store_get(store, key, out);
}

void svid_holders_put_ack(struct store *store, const uint8_t key_hash[DIGEST_LEN], const struct epoch *acked)
{
	_cleanup_(buf_done) struct buf record = BUF_INIT(256);
	char key[ACK_KEY_LEN];
	struct store_value known;
	(void)get_ack(store, key_hash, key, &known);
	CHECK(record_put_number(&record, "incarnation", (int64_t)acked->incarnation) == ERR_NONE);
	CHECK(record_put_number(&record, "counter", (int64_t)acked->counter) == ERR_NONE);
	store_swap(store, key, known.version, buf_span(&record), NULL, NULL);
}

struct epoch svid_holders_ack(const struct store *store, const uint8_t key_hash[DIGEST_LEN])
{
	char key[ACK_KEY_LEN];
	struct store_value known;
	if (!get_ack(store, key_hash, key, &known))
		return (struct epoch){0};
	return (struct epoch){.incarnation = (uint64_t)record_number(known.bytes, "incarnation", 0),
		.counter = (uint64_t)record_number(known.bytes, "counter", 0)};
}

static void drop_ack(struct store *store, const uint8_t key_hash[DIGEST_LEN])
{
	char key[ACK_KEY_LEN];
	struct store_value known;
	if (get_ack(store, key_hash, key, &known))
		store_swap(store, key, known.version, span_of(NULL, 0), NULL, NULL);
}

struct pruning {
	struct store *store;
	int64_t before_s, now_s;
};

/* Its acknowledgment goes with it. */
static bool is_over(void *arg, const char *key, struct span record)
{
	const struct pruning *pruning = arg;
	uint8_t key_hash[DIGEST_LEN];
	int64_t since_s = record_number(record, "since", INT64_MAX);
	int64_t before_s = parse_by(record) == SVID_HOLDER_BY_TOKEN ? pruning->before_s : pruning->now_s;
	if (record_number(record, "not_after", since_s) >= before_s)
		return false;
	if (svid_holders_key_parse(key, key_hash))
		drop_ack(pruning->store, key_hash);
	return true;
}

unsigned svid_holders_prune(struct store *store, int64_t before_s, int64_t now_s, unsigned max)
{
	struct pruning pruning = {store, before_s, now_s};
	return store_prune(store, SVID_HOLDERS_PREFIX, max, is_over, &pruning);
}

static char *ban_key(const struct spiffe_id *id)
{
	return mem_printf(SVID_HOLDERS_BAN_PREFIX "%s", id->text);
}

bool svid_holders_is_banned(const struct store *store, const struct spiffe_id *id)
{
	_cleanup_(mem_freep) char *key = ban_key(id);
	struct store_value value;
	return store_get(store, key, &value);
}

void svid_holders_ban(
	struct store *store, const struct spiffe_id *id, int64_t since_s, store_done_fn *on_done, void *arg)
{
	_cleanup_(mem_freep) char *key = ban_key(id);
	_cleanup_(mem_freep) char *record = mem_printf("banned=1\nsince=%lld\n", (long long)since_s);
	store_swap(store, key, 0, span_of_str(record), on_done, arg);
}

enum err svid_holders_unban(struct store *store, const struct spiffe_id *id, store_done_fn *on_done, void *arg)
{
	_cleanup_(mem_freep) char *key = ban_key(id);
	struct store_value value;
	if (!store_get(store, key, &value))
		return ERR_NOT_FOUND;
	store_swap(store, key, value.version, span_of(NULL, 0), on_done, arg);
	return ERR_NONE;
}

static void list_ban(void *arg, const char *key, const struct store_value *value)
{
	const struct listing *listing = arg;
	listing->on_ban(listing->arg, span_of_str(key + strlen(SVID_HOLDERS_BAN_PREFIX)),
		record_number(value->bytes, "since", 0));
}

void svid_holders_list_bans(const struct store *store, svid_holders_ban_fn *on_ban, void *arg)
{
	struct listing listing = {.on_ban = on_ban, .arg = arg};
	store_list(store, SVID_HOLDERS_BAN_PREFIX, list_ban, &listing);
}
