#include "control/serve/own_list.h"

#include "base/core/base64url.h"
#include "base/core/check.h"
#include "base/core/hex.h"
#include "base/core/mem.h"
#include "control/store/record.h"

void own_list_done(struct own_list *list)
{
	buf_done(&list->der);
}

void own_list_key(const uint8_t authority[DIGEST_LEN], char out[OWN_LIST_KEY_MAX])
{
	memcpy(out, OWN_LIST_PREFIX, sizeof OWN_LIST_PREFIX);
	hex_format(span_of(authority, DIGEST_LEN), out + sizeof OWN_LIST_PREFIX - 1);
}

static enum err put_numbers(const struct own_list *list, struct buf *out)
{
	RETURN_IF_ERR(record_put_number(out, "authority_ends", list->authority_ends_s));
	RETURN_IF_ERR(record_put_number(out, "number", (int64_t)list->number));
	RETURN_IF_ERR(record_put_number(out, "made", list->made_s));
	return record_put_number(out, "ends", list->ends_s);
}

enum err own_list_encode(const struct own_list *list, struct buf *out)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT(OWN_LIST_RECORD_MAX);
	RETURN_IF_ERR(base64url_encode(buf_span(&list->der), &text));
	RETURN_IF_ERR(record_put_hex(out, "authority", span_of(list->authority, DIGEST_LEN)));
	RETURN_IF_ERR(record_put_hex(out, "serial", span_of(list->serial, list->serial_len)));
	RETURN_IF_ERR(put_numbers(list, out));
	RETURN_IF_ERR(record_put_hex(out, "content", span_of(list->content, DIGEST_LEN)));
	return record_put(out, "der", buf_span(&text));
}

static bool read_serial(struct span record, struct own_list *out)
{
	struct span digits;
	if (!record_get(record, "serial", 0, &digits) || digits.len == 0 || digits.len > 2 * OWN_LIST_SERIAL_MAX)
		return false;
	out->serial_len = digits.len / 2;
	return record_hex(record, "serial", out->serial, out->serial_len);
}

enum err own_list_parse(struct span record, struct own_list *out)
{
	struct own_list list = {.der = BUF_INIT(OWN_LIST_DER_MAX)};
	struct span text;
	int64_t number = record_number(record, "number", -1);
	list.number = (uint64_t)number;
	list.authority_ends_s = record_number(record, "authority_ends", 0);
	list.made_s = record_number(record, "made", 0);
	list.ends_s = record_number(record, "ends", 0);
	if (number < 0 || !read_serial(record, &list) || !record_hex(record, "authority", list.authority, DIGEST_LEN) ||
		!record_hex(record, "content", list.content, DIGEST_LEN) || !record_get(record, "der", 0, &text) ||
		base64url_decode(text, &list.der) != ERR_NONE) {
		own_list_done(&list);
		return ERR_MALFORMED;
	}
	*out = list;
	return ERR_NONE;
}

struct listing {
	own_list_fn *each;
	void *arg;
};

static void list_one(void *arg, _unused_ const char *key, const struct store_value *value)
{
	const struct listing *listing = arg;
	_cleanup_(own_list_done) struct own_list list = {0};
	if (own_list_parse(value->bytes, &list) == ERR_NONE)
		listing->each(listing->arg, &list, value->version);
}

void own_lists_each(const struct store *store, own_list_fn *each, void *arg)
{
	struct listing listing = {each, arg};
	store_list(store, OWN_LIST_PREFIX, list_one, &listing);
}
