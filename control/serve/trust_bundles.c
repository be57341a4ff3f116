/* What sidecars trust, made of the store: the own roots, bans, revoked serials, keys of JWT-SVIDs, partners. */
#include "base/core/check.h"
#include "base/core/log.h"
#include "certs/web_key.h"
#include "control/federate/partner_record.h"
#include "control/registry/revocations.h"
#include "control/registry/svid_holders.h"
#include "control/serve/jwt_keys.h"
#include "control/serve/own_list.h"
#include "control/serve/trust_private.h"
#include "control/store/record.h"

static void add_ban(void *arg, struct span text, _unused_ int64_t since_s)
{
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
	if (spiffe_id_parse(text, &id, NULL) == ERR_NONE)
		bundle_set_ban_id(arg, &id);
}

static void add_serial(void *arg, const struct revocation *revocation)
{
	CHECK(bundle_set_revoke(arg, revocation->serial) == ERR_NONE); /* revocations_list() has checked its length */
}

struct addition {
	const struct trust_domain *domain;
	struct bundle_set *set;
};

static void add_jwt_key(void *arg, _unused_ const char *key, const struct store_value *value)
{
	const struct addition *addition = arg;
	uint8_t spki[WEB_KEY_P256_SPKI_LEN];
	struct why why = {0};
	if (!record_hex(value->bytes, "spki", spki, sizeof(spki)) ||
		bundle_set_add_jwt_key(addition->set, addition->domain, (struct span){0}, span_of(spki, sizeof(spki)),
			&why) != ERR_NONE)
		log_error("trust",
			"a signing key of JWT-SVIDs is left out: %s; expected: at most 64 P-256 keys; fix: "
			"remove the record from the store",
			why.err != ERR_NONE ? why.got : "its record is malformed");
}

/* A list of the operator's of the same authority goes before. */
static void add_own_list(void *arg, const struct own_list *list, _unused_ uint64_t version)
{
	const struct addition *addition = arg;
	struct why why = {0};
	enum err err = bundle_set_add_own_crl(addition->set, addition->domain, buf_span(&list->der), &why);
	if (err != ERR_NONE && err != ERR_EXISTS)
		log_why(LOG_LEVEL_ERROR, "trust", "a revocation list of the mesh's own is left out", &why);
}

static enum err add_partner_keys(struct bundle_set *set, const struct partner_record *record, struct why *why)
{
	for (size_t i = 0; i < record->live.num_jwt_keys; i++) {
		const struct jwks_jwt_key *key = &record->live.jwt_keys[i];
		RETURN_IF_ERR(bundle_set_add_jwt_key(
			set, &record->domain, span_of_str(key->kid), span_of(key->spki, sizeof(key->spki)), why));
	}
	return ERR_NONE;
}

/* Of the partner's trust domain alone, as a whole or not at all, and never in place of the own one, which is in the set
 * before. */
static enum err add_partner_bundle(struct bundle_set *set, const struct partner_record *record, struct why *why)
{
	_cleanup_(bundle_unrefp) struct bundle *bundle = NULL;
	RETURN_IF_ERR(partner_record_bundle(record, &bundle, why));
	RETURN_IF_ERR(bundle_set_add(set, bundle, why));
	enum err err = add_partner_keys(set, record, why);
	if (err != ERR_NONE)
		bundle_set_remove(set, span_of_str(record->domain.name));
	return err;
}

/* A bad one concerns that partner alone. */
static void add_partner(void *arg, const struct partner_record *record)
{
	struct why why = {0};
	if (bundle_set_num(arg) > PARTNER_RECORDS_MAX)
		log_error("trust", "the partner %s is left out; expected: at most %d partners; fix: remove others",
			record->domain.name, PARTNER_RECORDS_MAX);
	else if (add_partner_bundle(arg, record, &why) != ERR_NONE)
		log_why(LOG_LEVEL_ERROR, "trust", "the bundle of a partner is not in use", &why);
}

/* --- how much is withdrawn --- */

struct withdrawn {
	size_t num_bans, num_serials, bytes;
};

enum { FIELD_LEN = 4 }; /* of the message, before each */

static void count_ban(void *arg, struct span id, _unused_ int64_t since_s)
{
	struct withdrawn *withdrawn = arg;
	withdrawn->num_bans++;
	withdrawn->bytes += id.len + FIELD_LEN;
}

static void count_serial(void *arg, const struct revocation *revocation)
{
	struct withdrawn *withdrawn = arg;
	withdrawn->num_serials++;
	withdrawn->bytes += revocation->serial.len + FIELD_LEN;
}

enum err trust_may_withdraw(const struct trust *trust, size_t len, struct why *why)
{
	struct withdrawn withdrawn = {0};
	svid_holders_list_bans(trust_store(trust), count_ban, &withdrawn);
	revocations_list(trust_store(trust), count_serial, &withdrawn);
	if (withdrawn.num_bans < TRUST_WITHDRAWN_MAX && withdrawn.num_serials < TRUST_WITHDRAWN_MAX &&
		withdrawn.bytes + len + FIELD_LEN <= TRUST_WITHDRAWN_BYTES_MAX)
		return ERR_NONE;
	return why_set(why, ERR_LIMIT, "at most 65,536 bans, as many revoked serials, and 3 MiB of both",
		"lift bans that are no longer needed: `handfast ban list`, `handfast unban`",
		"there are %zu bans and %zu revoked serials, of %zu bytes", withdrawn.num_bans, withdrawn.num_serials,
		withdrawn.bytes);
}

enum err trust_make_bundles(const struct trust_options *options, struct bundle_set **out, struct why *why)
{
	const struct rotation_roots *roots = options->roots;
	_cleanup_(bundle_unrefp) struct bundle *bundle = NULL;
	_cleanup_(bundle_set_unrefp) struct bundle_set *set = bundle_set_new();
	RETURN_IF_ERR(
		bundle_new_with_retired(options->domain, roots->der, roots->num_all, roots->num_retired, &bundle, why));
	RETURN_IF_ERR(bundle_set_add(set, bundle, why));
	crl_files_add(options->lists, set);
	svid_holders_list_bans(options->store, add_ban, set);
	revocations_list(options->store, add_serial, set);
	struct addition addition = {options->domain, set};
	store_list(options->store, JWT_KEYS_PREFIX, add_jwt_key, &addition);
	own_lists_each(options->store, add_own_list, &addition);
	partner_records_list(options->store, add_partner, set);
	*out = TAKE_PTR(set);
	return ERR_NONE;
}
