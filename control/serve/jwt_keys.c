#include "control/serve/jwt_keys.h"

#include "base/core/check.h"
#include "base/core/hex.h"
#include "base/core/log.h"
#include "control/store/record.h"
#include <stdio.h>

enum {
	FIRST_MS = 50,
	EACH_MS = 10 * 60 * 1000,
	RETRY_MS = 10 * 1000,
	KEY_TEXT_MAX = 4 + 2 * DIGEST_LEN + 1,
	RECORD_MAX = 1024,
	/* After that a key is shown no more unless its signer runs: tokens live for minutes, and a signer whose folder
	 * is new at each start must not fill the trust state. */
	KEEP_S = 2 * 3600,
};

static int64_t now_s(const struct jwt_keys *keys)
{
	const struct clock *clock = loop_clock(keys->loop);
	return clock->wall_ms(clock) / 1000;
}

static void key_of(struct span spki, char out[KEY_TEXT_MAX])
{
	uint8_t hash[DIGEST_LEN];
	char hex[2 * DIGEST_LEN + 1];
	digest_sha256(spki, hash);
	hex_format(span_of(hash, sizeof(hash)), hex);
	(void)snprintf(out, KEY_TEXT_MAX, JWT_KEYS_PREFIX "%s", hex);
}

/* Stored again when half of its time is over; a conflict is another's change, seen at the next turn. */
static void publish(struct jwt_keys *keys, struct span spki)
{
	_cleanup_(buf_done) struct buf record = BUF_INIT(RECORD_MAX);
	struct store_value found = {0};
	char key[KEY_TEXT_MAX];
	key_of(spki, key);
	bool is_there = store_get(keys->store, key, &found);
	keys->is_published = keys->is_published && is_there;
	if (is_there && record_number(found.bytes, "until", 0) > now_s(keys) + KEEP_S / 2)
		return;
	CHECK(record_put_hex(&record, "spki", spki) == ERR_NONE);
	CHECK(record_put_number(&record, "until", now_s(keys) + KEEP_S) == ERR_NONE);
	store_swap(keys->store, key, is_there ? found.version : 0, buf_span(&record), NULL, NULL);
}

struct removal {
	struct jwt_keys *keys;
	int64_t now_s;
};

static void remove_old(void *arg, const char *key, const struct store_value *value)
{
	const struct removal *removal = arg;
	if (record_number(value->bytes, "until", 0) < removal->now_s)
		store_swap(removal->keys->store, key, value->version, (struct span){0}, NULL, NULL);
}

static void on_turn(struct loop_timer *timer);

static void on_keys(void *arg, enum err err, const struct issued *issued, const struct why *why)
{
	struct jwt_keys *keys = arg;
	keys->request = NULL;
	if (err != ERR_NONE) {
		loop_timer_start(keys->loop, &keys->timer, RETRY_MS, on_turn);
		log_why(LOG_LEVEL_WARNING, "issue", "the signer shows no keys for JWT-SVIDs", why);
		return;
	}
	keys->is_published = true;
	for (size_t i = 0; i < issued->num_chain; i++)
		publish(keys, issued->chain[i]);
	/* Soon again after a change: whether it is durable is seen then. */
	loop_timer_start(keys->loop, &keys->timer, keys->is_published ? EACH_MS : FIRST_MS, on_turn);
	struct removal removal = {keys, now_s(keys)};
	store_list(keys->store, JWT_KEYS_PREFIX, remove_old, &removal);
}

static void on_turn(struct loop_timer *timer)
{
	struct jwt_keys *keys = container_of(timer, struct jwt_keys, timer);
	CHECK(keys->request == NULL);
	keys->request = issuer_jwt_keys(keys->issuer, on_keys, keys);
}

static void note_key(void *arg, _unused_ const char *key, _unused_ const struct store_value *value)
{
	((struct jwt_keys *)arg)->is_wanted = true;
}

void jwt_keys_start(struct jwt_keys *keys, struct loop *loop, struct store *store, struct issuer *issuer)
{
	*keys = (struct jwt_keys){.loop = loop, .store = store, .issuer = issuer};
	store_list(store, JWT_KEYS_PREFIX, note_key, keys);
	if (keys->is_wanted)
		loop_timer_start(loop, &keys->timer, FIRST_MS, on_turn);
}

bool jwt_keys_are_ready(struct jwt_keys *keys)
{
	if (!keys->is_wanted) {
		keys->is_wanted = true;
		loop_timer_start(keys->loop, &keys->timer, 0, on_turn);
	}
	return keys->is_published;
}

void jwt_keys_stop(struct jwt_keys *keys)
{
	loop_timer_stop(&keys->timer);
	if (keys->request != NULL)
		issuer_abandon(TAKE_PTR(keys->request));
}
