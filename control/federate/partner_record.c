#include "control/federate/partner_record.h"

#include "base/core/hex.h"
#include "base/core/log.h"
#include "control/store/record.h"
#include <stdio.h>

#define RETIRED_DER_MAX (6u * 1024) /* bytes: a value of the store has room for them beside all others */

void partner_record_key(const struct trust_domain *domain, char out[STORE_KEY_MAX])
{
	(void)snprintf(out, STORE_KEY_MAX, PARTNER_RECORDS_PREFIX "%s", domain->name);
}

void partner_record_done(struct partner_record *record)
{
	jwks_bundle_done(&record->live);
	jwks_bundle_done(&record->retired);
}

static enum err put_roots(const char *name, const struct jwks_bundle *bundle, struct buf *out)
{
	for (size_t i = 0; i < bundle->num_roots; i++)
		RETURN_IF_ERR(record_put_hex(out, name, bundle->roots[i]));
	return ERR_NONE;
}

static enum err put_jwt_keys(const struct jwks_bundle *bundle, struct buf *out)
{
	for (size_t i = 0; i < bundle->num_jwt_keys; i++) {
		const struct jwks_jwt_key *key = &bundle->jwt_keys[i];
		RETURN_IF_ERR(record_put(out, "kid", span_of_str(key->kid)));
		RETURN_IF_ERR(record_put_hex(out, "jwt", span_of(key->spki, sizeof(key->spki))));
	}
	return ERR_NONE;
}

enum err partner_record_encode(const struct partner_record *record, struct buf *out)
{
	const struct jwks_bundle *live = &record->live;
	if (live->has_sequence)
		RETURN_IF_ERR(record_put_number(out, "sequence", (int64_t)live->sequence));
	RETURN_IF_ERR(record_put_number(out, "hint", live->refresh_hint_s));
	RETURN_IF_ERR(record_put_number(out, "changed", record->changed_s));
	RETURN_IF_ERR(put_roots("root", live, out));
	RETURN_IF_ERR(put_roots("retired", &record->retired, out));
	return put_jwt_keys(live, out);
}

/* --- reading --- */

static enum err read_roots(struct span value, const char *name, struct jwks_bundle *out)
{
	struct span digits;
	uint8_t der[RECORD_HEX_MAX];
	for (size_t i = 0; record_get(value, name, i, &digits); i++) {
		size_t len = digits.len / 2;
		if (len == 0 || len > sizeof(der) || !hex_parse(digits, der, len))
			return ERR_MALFORMED;
		RETURN_IF_ERR(jwks_bundle_add_root(out, span_of(der, len)));
	}
	return ERR_NONE;
}

static enum err read_jwt_keys(struct span value, struct jwks_bundle *out)
{
	struct span kid, digits;
	for (size_t i = 0; record_get(value, "kid", i, &kid); i++) {
		uint8_t spki[WEB_KEY_P256_SPKI_LEN];
		char text[JWKS_KID_MAX + 1];
		if (kid.len >= sizeof(text) || !record_get(value, "jwt", i, &digits) ||
			!hex_parse(digits, spki, sizeof(spki)))
			return ERR_MALFORMED;
		memcpy(text, kid.ptr, kid.len);
		text[kid.len] = '\0';
		RETURN_IF_ERR(jwks_bundle_add_jwt_key(out, text, span_of(spki, sizeof(spki))));
	}
	return ERR_NONE;
}

static enum err read_all(struct span value, struct partner_record *out)
{
	int64_t sequence = record_number(value, "sequence", -1), hint = record_number(value, "hint", 0);
	out->live.has_sequence = sequence >= 0;
	out->live.sequence = sequence >= 0 ? (uint64_t)sequence : 0;
	out->live.refresh_hint_s = hint < 0 || hint > UINT32_MAX ? 0 : (uint32_t)hint;
	out->changed_s = record_number(value, "changed", 0);
	RETURN_IF_ERR(read_roots(value, "root", &out->live));
	RETURN_IF_ERR(read_roots(value, "retired", &out->retired));
	return read_jwt_keys(value, &out->live);
}

enum err partner_record_parse(const char *key, struct span value, struct partner_record *out)
{
	struct partner_record record = {0};
	size_t prefix = strlen(PARTNER_RECORDS_PREFIX);
	enum err err = ERR_MALFORMED;
	if (strncmp(key, PARTNER_RECORDS_PREFIX, prefix) == 0)
		err = trust_domain_parse(span_of_str(key + prefix), &record.domain, NULL);
	if (err == ERR_NONE)
		err = read_all(value, &record);
	if (err == ERR_NONE)
		*out = record;
	else
		partner_record_done(&record);
	return err == ERR_NONE ? ERR_NONE : ERR_MALFORMED;
}

/* --- what is made of it --- */

enum err partner_record_bundle(const struct partner_record *record, struct bundle **out, struct why *why)
{
	struct span roots[JWKS_ROOTS_MAX + PARTNER_RETIRED_MAX];
	size_t num = 0, num_retired = record->retired.num_roots;
	if (num_retired > PARTNER_RETIRED_MAX)
		num_retired = PARTNER_RETIRED_MAX;
	for (size_t i = 0; i < record->live.num_roots; i++)
		roots[num++] = record->live.roots[i];
	for (size_t i = 0; i < num_retired; i++)
		roots[num++] = record->retired.roots[i];
	return bundle_new_with_retired(&record->domain, roots, num, num_retired, out, why);
}

static bool has_root(const struct jwks_bundle *bundle, struct span der)
{
	for (size_t i = 0; i < bundle->num_roots; i++)
		if (span_eq(bundle->roots[i], der))
			return true;
	return false;
}

static void retire(const struct jwks_bundle *from, const struct jwks_bundle *live, struct jwks_bundle *out)
{
	for (size_t i = 0; i < from->num_roots; i++) {
		if (has_root(live, from->roots[i]) || out->num_roots == PARTNER_RETIRED_MAX ||
			buf_len(&out->der) + from->roots[i].len > RETIRED_DER_MAX)
			continue;
		(void)!jwks_bundle_add_root(out, from->roots[i]); /* there is room */
	}
}

void partner_record_update(struct partner_record *record, struct jwks_bundle *fresh)
{
	struct jwks_bundle retired = {0};
	retire(&record->live, fresh, &retired);
	retire(&record->retired, fresh, &retired);
	partner_record_done(record);
	record->live = *fresh;
	record->retired = retired;
	*fresh = (struct jwks_bundle){0};
}

bool partner_record_has_same_content(const struct partner_record *record, const struct jwks_bundle *bundle)
{
	const struct jwks_bundle *live = &record->live;
	bool is_same = live->num_roots == bundle->num_roots && live->num_jwt_keys == bundle->num_jwt_keys &&
		       live->refresh_hint_s == bundle->refresh_hint_s;
	for (size_t i = 0; is_same && i < bundle->num_roots; i++)
		is_same = has_root(live, bundle->roots[i]);
	for (size_t i = 0; is_same && i < bundle->num_jwt_keys; i++)
		is_same = memcmp(&live->jwt_keys[i], &bundle->jwt_keys[i], sizeof(live->jwt_keys[i])) == 0;
	return is_same;
}

struct listing {
	partner_record_fn *each;
	void *arg;
};

static void list_one(void *arg, const char *key, const struct store_value *value)
{
	const struct listing *listing = arg;
	_cleanup_(partner_record_done) struct partner_record record = {0};
	if (partner_record_parse(key, value->bytes, &record) == ERR_NONE)
		listing->each(listing->arg, &record);
	else
		log_error("federate",
			"the record %s is damaged and not used; expected: a partner's trust bundle; fix: restore "
			"a backup of the store; the next fetch replaces it",
			key);
}

void partner_records_list(const struct store *store, partner_record_fn *each, void *arg)
{
	store_list(store, PARTNER_RECORDS_PREFIX, list_one, &(struct listing){each, arg});
}
