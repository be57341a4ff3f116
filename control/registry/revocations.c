#include "control/registry/revocations.h"
#include "base/core/check.h"
#include "base/core/hex.h"
#include "base/core/mem.h"
#include "control/store/record.h"

#define KEY_MAX (sizeof REVOCATIONS_PREFIX + 2 * REVOCATIONS_SERIAL_MAX)

static bool key_of(struct span serial, char out[KEY_MAX])
{
	if (serial.len == 0 || serial.len > REVOCATIONS_SERIAL_MAX)
		return false;
	memcpy(out, REVOCATIONS_PREFIX, sizeof REVOCATIONS_PREFIX);
	hex_format(serial, out + sizeof REVOCATIONS_PREFIX - 1);
	return true;
}

enum err revocations_put(struct store *store, const struct revocation *revocation, store_done_fn *on_done, void *arg)
{
	_cleanup_(buf_done) struct buf record = BUF_INIT(256);
	char key[KEY_MAX];
	if (!key_of(revocation->serial, key))
		return ERR_MALFORMED;
	CHECK(record_put_number(&record, "until", revocation->until_s) == ERR_NONE);
	CHECK(record_put_number(&record, "since", revocation->since_s) == ERR_NONE);
	store_swap(store, key, 0, buf_span(&record), on_done, arg);
	return ERR_NONE;
}

bool revocations_has(const struct store *store, struct span serial)
{
	struct store_value value;
	char key[KEY_MAX];
	return key_of(serial, key) && store_get(store, key, &value);
}

struct listing {
	revocations_fn *each;
	void *arg;
};

static void list_one(void *arg, const char *key, const struct store_value *value)
{
	const struct listing *listing = arg;
	struct span digits = span_of_str(key + sizeof REVOCATIONS_PREFIX - 1);
	uint8_t serial[REVOCATIONS_SERIAL_MAX];
	if (digits.len == 0 || digits.len > 2 * sizeof serial || !hex_parse(digits, serial, digits.len / 2))
		return; /* not written by this program */
	const struct revocation revocation = {span_of(serial, digits.len / 2), record_number(value->bytes, "since", 0),
		record_number(value->bytes, "until", 0)};
	listing->each(listing->arg, &revocation);
}

void revocations_list(const struct store *store, revocations_fn *each, void *arg)
{
	struct listing listing = {each, arg};
	store_list(store, REVOCATIONS_PREFIX, list_one, &listing);
}

static bool is_over(void *arg, const char *key, struct span record)
{
	const int64_t *now_s = arg;
	(void)key;
	return record_number(record, "until", INT64_MAX) < *now_s;
}

unsigned revocations_prune(struct store *store, int64_t now_s, unsigned max)
{
	return store_prune(store, REVOCATIONS_PREFIX, max, is_over, &now_s);
}
