#include "control/federate/bundle_jwks.h"

#include "base/core/base64.h"
#include "base/core/base64url.h"
#include "base/json/json_put.h"
#include "base/json/json_read.h"
#include "certs/web_key_members.h"
#include <stdio.h>

#define FIX "ask the partner's operator to correct it; the former bundle stays in use"

enum { MEMBER_TEXT_MAX = 2048 };

static enum err refuse(struct why *why, enum err err, size_t entry, const char *expected, const char *got)
{
	return why_set(why, err, expected, FIX, "entry %zu of the partner's bundle %s", entry + 1, got);
}

static const char *text_of(const json_t *map, const char *name)
{
	const char *text = json_string_value(json_object_get(map, name));
	return text == NULL ? "" : text;
}

/* --- what a bundle has --- */

static bool has_root(const struct jwks_bundle *bundle, struct span der)
{
	for (size_t i = 0; i < bundle->num_roots; i++)
		if (span_eq(bundle->roots[i], der))
			return true;
	return false;
}

enum err jwks_bundle_add_root(struct jwks_bundle *bundle, struct span der)
{
	uint8_t *room;
	if (has_root(bundle, der))
		return ERR_NONE;
	if (bundle->der.max == 0) { /* whole: the roots point into it */
		buf_init(&bundle->der, JWKS_DER_MAX);
		RETURN_IF_ERR(buf_reserve(&bundle->der, JWKS_DER_MAX, &room));
	}
	size_t at = buf_len(&bundle->der);
	if (bundle->num_roots == JWKS_ROOTS_MAX || der.len > JWKS_ROOT_MAX || buf_append(&bundle->der, der) != ERR_NONE)
		return ERR_LIMIT;
	bundle->roots[bundle->num_roots++] = span_of(buf_span(&bundle->der).ptr + at, der.len);
	return ERR_NONE;
}

static bool is_kid(const char *kid)
{
	size_t len = strlen(kid);
	for (size_t i = 0; i < len; i++)
		if (kid[i] <= ' ' || kid[i] > '~' || kid[i] == '"' || kid[i] == '\\')
			return false;
	return len > 0 && len <= JWKS_KID_MAX;
}

enum err jwks_bundle_add_jwt_key(struct jwks_bundle *bundle, const char *kid, struct span spki)
{
	if (bundle->num_jwt_keys == JWKS_JWT_KEYS_MAX)
		return ERR_LIMIT;
	if (!is_kid(kid) || spki.len != WEB_KEY_P256_SPKI_LEN)
		return ERR_MALFORMED;
	struct jwks_jwt_key *key = &bundle->jwt_keys[bundle->num_jwt_keys++];
	memcpy(key->kid, kid, strlen(kid) + 1);
	memcpy(key->spki, spki.ptr, spki.len);
	return ERR_NONE;
}

void jwks_bundle_done(struct jwks_bundle *bundle)
{
	buf_done(&bundle->der);
}

/* --- reading --- */

static enum err read_root(const json_t *entry, size_t i, struct jwks_bundle *out, struct why *why)
{
	static const char expected[] = "x5c with exactly one certificate, base64 of its DER (SPIFFE Bundle 4.2.2)";
	_cleanup_(buf_done) struct buf der = BUF_INIT(JWKS_DER_MAX);
	const json_t *list = json_object_get(entry, "x5c");
	const json_t *text = json_array_get(list, 0);
	if (!json_is_array(list) || json_array_size(list) != 1 || !json_is_string(text))
		return refuse(why, ERR_MALFORMED, i, expected, "is for X.509-SVIDs and has another x5c");
	enum err err = base64_decode(span_of(json_string_value(text), json_string_length(text)), &der);
	if (err != ERR_NONE || buf_len(&der) == 0)
		return refuse(why, ERR_MALFORMED, i, expected, "has an x5c that is not base64, or too long");
	if (jwks_bundle_add_root(out, buf_span(&der)) != ERR_NONE)
		return refuse(why, ERR_LIMIT, i, "at most 16 roots, of 20 KiB together and 8 KiB each",
			"is one root too many");
	return ERR_NONE;
}

static bool read_coordinate(const json_t *entry, const char *name, uint8_t *out)
{
	_cleanup_(buf_done) struct buf number = BUF_INIT(WEB_KEY_P256_LEN);
	if (base64url_decode(span_of_str(text_of(entry, name)), &number) != ERR_NONE ||
		buf_len(&number) != WEB_KEY_P256_LEN)
		return false;
	memcpy(out, buf_span(&number).ptr, WEB_KEY_P256_LEN);
	return true;
}

static bool has_kid(const struct jwks_bundle *bundle, const char *kid)
{
	for (size_t i = 0; i < bundle->num_jwt_keys; i++)
		if (strcmp(bundle->jwt_keys[i].kid, kid) == 0)
			return true;
	return false;
}

static enum err read_jwt_key(const json_t *entry, size_t i, struct jwks_bundle *out, struct why *why)
{
	const char *kid = text_of(entry, "kid");
	uint8_t point[2 * WEB_KEY_P256_LEN], spki[WEB_KEY_P256_SPKI_LEN];
	_cleanup_(web_key_freep) struct web_key *key = NULL;
	if (strcmp(text_of(entry, "kty"), "EC") != 0 || strcmp(text_of(entry, "crv"), "P-256") != 0) {
		out->num_skipped++; /* no sidecar can verify by it */
		return ERR_NONE;
	}
	if (!is_kid(kid) || has_kid(out, kid))
		return refuse(why, ERR_MALFORMED, i, "a kid of its own, of 1 to 128 printable bytes",
			"is for JWT-SVIDs and has no such kid");
	if (!read_coordinate(entry, "x", point) || !read_coordinate(entry, "y", point + WEB_KEY_P256_LEN))
		return refuse(why, ERR_MALFORMED, i, "x and y of 32 bytes, in base64url", "has no point of P-256");
	RETURN_IF_ERR(web_key_from_p256(
		span_of(point, WEB_KEY_P256_LEN), span_of(point + WEB_KEY_P256_LEN, WEB_KEY_P256_LEN), &key, why));
	web_key_p256_spki(point, spki);
	if (jwks_bundle_add_jwt_key(out, kid, span_of(spki, sizeof(spki))) != ERR_NONE)
		return refuse(why, ERR_LIMIT, i, "at most 16 keys of JWT-SVIDs", "is one JWT key too many");
	return ERR_NONE;
}

static bool is_known_type(const char *kty)
{
	return strcmp(kty, "EC") == 0 || strcmp(kty, "RSA") == 0 || strcmp(kty, "OKP") == 0;
}

static enum err read_entry(const json_t *entry, size_t i, struct jwks_bundle *out, struct why *why)
{
	if (!json_is_object(entry))
		return refuse(why, ERR_MALFORMED, i, "a list of keys, each a JSON object", "is no object");
	const char *use = text_of(entry, "use");
	if (is_known_type(text_of(entry, "kty")) && strcmp(use, "x509-svid") == 0)
		return read_root(entry, i, out, why);
	if (is_known_type(text_of(entry, "kty")) && strcmp(use, "jwt-svid") == 0)
		return read_jwt_key(entry, i, out, why);
	out->num_skipped++;
	return ERR_NONE;
}

static enum err read_number(const json_t *map, const char *name, bool *out_is_there, uint64_t *out, struct why *why)
{
	const json_t *number = json_object_get(map, name);
	if (number != NULL && (!json_is_integer(number) || json_integer_value(number) < 0))
		return why_set(why, ERR_MALFORMED, "an integer that is not negative", FIX,
			"%s of the partner's bundle is none", name);
	*out_is_there = number != NULL;
	*out = number == NULL ? 0 : (uint64_t)json_integer_value(number);
	return ERR_NONE;
}

static int by_kid(const void *a, const void *b)
{
	return strcmp(((const struct jwks_jwt_key *)a)->kid, ((const struct jwks_jwt_key *)b)->kid);
}

static int by_bytes(const void *a, const void *b)
{
	const struct span *one = a, *two = b;
	size_t len = one->len < two->len ? one->len : two->len;
	int differs = memcmp(one->ptr, two->ptr, len);
	return differs != 0 ? differs : (one->len > two->len) - (one->len < two->len);
}

/* One order, whatever the partner's: many list what a map has, anew at each fetch, and that is no change. */
static void put_in_order(struct jwks_bundle *bundle)
{
	if (bundle->num_jwt_keys > 0)
		qsort(bundle->jwt_keys, bundle->num_jwt_keys, sizeof bundle->jwt_keys[0], by_kid);
	if (bundle->num_roots > 0)
		qsort(bundle->roots, bundle->num_roots, sizeof bundle->roots[0], by_bytes);
}

static enum err read_all(const json_t *map, struct jwks_bundle *out, struct why *why)
{
	const json_t *keys = json_object_get(map, "keys"), *entry;
	bool has_hint;
	uint64_t hint = 0;
	size_t i;
	if (!json_is_array(keys) || json_array_size(keys) > JWKS_ENTRIES_MAX)
		return why_set(why, ERR_MALFORMED, "a JSON object with a list of at most 128 keys (RFC 7517 5)", FIX,
			"the partner's bundle has no such list");
	RETURN_IF_ERR(read_number(map, "spiffe_sequence", &out->has_sequence, &out->sequence, why));
	RETURN_IF_ERR(read_number(map, "spiffe_refresh_hint", &has_hint, &hint, why));
	out->refresh_hint_s = hint > UINT32_MAX ? UINT32_MAX : (uint32_t)hint;
	json_array_foreach(keys, i, entry)
	{
		RETURN_IF_ERR(read_entry(entry, i, out, why));
	}
	put_in_order(out);
	return ERR_NONE;
}

enum err jwks_bundle_parse(struct span text, struct jwks_bundle *out, struct why *why)
{
	struct jwks_bundle bundle = {0};
	json_error_t error;
	if (text.len > JWKS_TEXT_MAX)
		return why_set(why, ERR_TOO_LARGE, "a bundle of at most 256 KiB", FIX,
			"the partner's bundle has %zu bytes", text.len);
	json_t *map = json_read(text, &error);
	if (map == NULL)
		return why_set(why, ERR_MALFORMED, "a trust bundle in JSON", FIX,
			"the partner's bundle is not JSON: %.100s", error.text);
	enum err err = read_all(map, &bundle, why);
	json_decref(map);
	if (err == ERR_NONE)
		*out = bundle;
	else
		jwks_bundle_done(&bundle);
	return err;
}

/* --- writing --- */

static json_t *number_text(struct span bytes)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT(MEMBER_TEXT_MAX);
	CHECK(base64url_encode(bytes, &text) == ERR_NONE);
	return json_string(buf_cstr(&text));
}

static enum err root_entry(struct span der, json_t *out)
{
	_cleanup_(web_key_members_done) struct web_key_members members = {0};
	_cleanup_(buf_done) struct buf text = BUF_INIT(2 * JWKS_DER_MAX);
	RETURN_IF_ERR(web_key_members_of(der, &members, NULL));
	RETURN_IF_ERR(base64_encode(der, &text));
	bool is_rsa = members.crv == NULL;
	json_object_set_new(out, "kty", json_string(members.kty));
	json_object_set_new(out, "use", json_string("x509-svid"));
	if (!is_rsa)
		json_object_set_new(out, "crv", json_string(members.crv));
	json_object_set_new(out, is_rsa ? "n" : "x", number_text(buf_span(&members.first)));
	if (buf_len(&members.second) > 0)
		json_object_set_new(out, is_rsa ? "e" : "y", number_text(buf_span(&members.second)));
	json_object_set_new(out, "x5c", json_pack("[s]", buf_cstr(&text)));
	return ERR_NONE;
}

static enum err jwt_entry(const struct jwks_jwt_key *key, json_t *out)
{
	struct span x, y;
	RETURN_IF_ERR(web_key_point_of_spki(span_of(key->spki, sizeof(key->spki)), &x, &y, NULL));
	json_object_set_new(out, "kty", json_string("EC"));
	json_object_set_new(out, "use", json_string("jwt-svid"));
	json_object_set_new(out, "kid", json_string(key->kid));
	json_object_set_new(out, "crv", json_string("P-256"));
	json_object_set_new(out, "x", number_text(x));
	json_object_set_new(out, "y", number_text(y));
	return ERR_NONE;
}

static enum err put_entries(const struct jwks_bundle *bundle, json_t *keys)
{
	for (size_t i = 0; i < bundle->num_roots; i++) {
		json_t *entry = json_object();
		json_array_append_new(keys, entry);
		RETURN_IF_ERR(root_entry(bundle->roots[i], entry));
	}
	for (size_t i = 0; i < bundle->num_jwt_keys; i++) {
		json_t *entry = json_object();
		json_array_append_new(keys, entry);
		RETURN_IF_ERR(jwt_entry(&bundle->jwt_keys[i], entry));
	}
	return ERR_NONE;
}

enum err jwks_bundle_encode(const struct jwks_bundle *bundle, struct buf *out)
{
	json_t *map = json_object(), *keys = json_array();
	json_object_set_new(map, "keys", keys);
	if (bundle->has_sequence)
		json_object_set_new(map, "spiffe_sequence", json_integer((json_int_t)bundle->sequence));
	if (bundle->refresh_hint_s > 0)
		json_object_set_new(map, "spiffe_refresh_hint", json_integer(bundle->refresh_hint_s));
	enum err err = put_entries(bundle, keys);
	if (err == ERR_NONE)
		err = buf_append_json(out, map, JSON_COMPACT);
	json_decref(map);
	return err;
}
