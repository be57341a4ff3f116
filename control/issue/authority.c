#include "control/issue/authority.h"
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "control/issue/certificate.h"

#define DAY_S            86400
#define BOOTSTRAP_LIFE_S (3650LL * DAY_S)
#define CA_BACKDATE_S                                                                                                  \
	3600 /* a CA certificate must begin before any leaf below it, and bounds the backdating of leaves */
/* A root cannot be replaced like an intermediate: a root made while the clock was days ahead must be valid once the
 * clock is right again. */
#define ROOT_BACKDATE_S      (30LL * DAY_S)
#define INTERMEDIATE_RETRY_S 60
#define LEAF_BACKDATE_S      60 /* for clocks that are slightly behind */

static int64_t now_s(const struct authority *authority)
{
	return authority->options.clock->wall_ms(authority->options.clock) / 1000;
}

struct ca_kind {
	enum certificate_kind kind;
	const char *file, *title;
};
static const struct ca_kind bootstrap_kind = {CERTIFICATE_BOOTSTRAP, "bootstrap", "bootstrap root"};
static const struct ca_kind root_kind = {CERTIFICATE_ROOT, "root", "root"};
static const struct ca_kind intermediate_kind = {CERTIFICATE_INTERMEDIATE, "intermediate", "intermediate"};

static int64_t life_of(const struct authority *authority, const struct ca_kind *kind)
{
	if (kind == &bootstrap_kind)
		return BOOTSTRAP_LIFE_S;
	return kind == &root_kind ? authority->options.root_life_s : authority->options.intermediate_life_s;
}

/* above NULL: self-signed. Never outlives the certificate above it. */
static enum err make_ca(struct authority *authority, const struct ca_kind *kind, const struct key_pair *above,
	struct key_pair *out, struct why *why)
{
	CHECK(above != NULL || kind != &intermediate_kind); /* only roots sign themselves */
	_cleanup_(key_pair_done) struct key_pair pair = {
		.key = private_key_generate(), .certificate = BUF_INIT(CERTIFICATE_MAX)};
	_cleanup_(buf_done) struct buf spki = BUF_INIT(CERTIFICATE_MAX);
	_cleanup_(mem_freep) char *uri = mem_printf("spiffe://%s", authority->options.trust_domain.name);
	_cleanup_(mem_freep) char *name = mem_printf("handfast %s", kind->title);
	struct certificate_spec spec = {.kind = kind->kind,
		.name = name,
		.uri = span_of_str(uri),
		.not_before_s = now_s(authority) - (above == NULL ? ROOT_BACKDATE_S : CA_BACKDATE_S),
		.not_after_s = now_s(authority) + life_of(authority, kind),
		.issuer_key = above == NULL ? pair.key : above->key};
	if (above != NULL) {
		int64_t from, to;
		spec.issuer = buf_span(&above->certificate);
		RETURN_IF_ERR(certificate_validity(spec.issuer, &from, &to));
		spec.not_before_s = spec.not_before_s < from ? from : spec.not_before_s;
		spec.not_after_s = spec.not_after_s > to ? to : spec.not_after_s;
	}
	RETURN_IF_ERR(private_key_public(pair.key, &spki));
	spec.spki = buf_span(&spki);
	RETURN_IF_ERR(certificate_make(&spec, &pair.certificate, why));
	RETURN_IF_ERR(key_folder_save(&authority->folder, kind->file, &pair, why));
	*out = pair;
	pair = (struct key_pair){0};
	return ERR_NONE;
}

static enum err load_or_make(
	struct authority *authority, const struct ca_kind *kind, struct key_pair *out, struct why *why)
{
	enum err err = key_folder_load(&authority->folder, kind->file, out, why);
	/* A key that is missing although a store has recorded it, or issuers were served, is lost; it is not made anew.
	 */
	if (err == ERR_NOT_FOUND && (authority->mark.epoch != 0 || authority->options.policy != KEYS_MAY_BE_MADE))
		return why_set(why, ERR_STATE_DAMAGED, "the key of every authority",
			"restore a backup of the key folder; nothing was overwritten", "the %s key is missing",
			kind->title);
	return err == ERR_NOT_FOUND ? make_ca(authority, kind, NULL, out, why) : err;
}

static enum err replace_intermediate(struct authority *authority, struct why *why)
{
	struct key_pair fresh = {0};
	RETURN_IF_ERR(make_ca(authority, &intermediate_kind, &authority->root, &fresh, why));
	key_pair_done(&authority->intermediate);
	authority->intermediate = fresh;
	return ERR_NONE;
}

static enum err load_intermediate(struct authority *authority, struct why *why)
{
	enum err err = key_folder_load(&authority->folder, intermediate_kind.file, &authority->intermediate, why);
	if (err == ERR_NOT_FOUND)
		return replace_intermediate(authority, why);
	RETURN_IF_ERR(err);
	if (certificate_is_signed_by(
		    buf_span(&authority->intermediate.certificate), buf_span(&authority->root.certificate)) != ERR_NONE)
		return why_set(why, ERR_STATE_DAMAGED, "an intermediate signed by the root",
			"restore a backup of the key folder; nothing was overwritten",
			"another root signed the intermediate");
	return ERR_NONE;
}

/* Due at half of its lifetime, so that the leaves signed until then can live for the other half. An intermediate that
 * already lives as long as the root allows is kept. One that is not valid yet was made while the clock was ahead: no
 * leaf below it would be accepted. */
static enum err keep_intermediate_fresh(struct authority *authority, struct why *why)
{
	int64_t from, to, root_from, root_to, now = now_s(authority);
	RETURN_IF_ERR(certificate_validity(buf_span(&authority->intermediate.certificate), &from, &to));
	RETURN_IF_ERR(certificate_validity(buf_span(&authority->root.certificate), &root_from, &root_to));
	if (from > now && root_from <= now) {
		log_warning("signer",
			"the intermediate would be valid in %lld s only: the clock was ahead when it was made; making "
			"another",
			(long long)(from - now));
		return replace_intermediate(authority, why);
	}
	if (to - now >= authority->options.intermediate_life_s / 2 || to >= root_to || now < authority->retry_s)
		return ERR_NONE;
	enum err err = replace_intermediate(authority, why);
	if (err == ERR_NONE || to <= now)
		return err;
	/* Half of its lifetime is left to repair this: a full disk must not stop the signer. */
	log_why(LOG_LEVEL_ERROR, "signer", "the next intermediate cannot be stored; the present one stays in use", why);
	authority->retry_s = now + INTERMEDIATE_RETRY_S;
	return ERR_NONE;
}

static enum err open_all(struct authority *authority, struct why *why)
{
	RETURN_IF_ERR(key_folder_open(&authority->folder, authority->options.folder, why));
	RETURN_IF_ERR(key_folder_load_mark(&authority->folder, &authority->mark, why));
	RETURN_IF_ERR(load_or_make(authority, &bootstrap_kind, &authority->bootstrap, why));
	RETURN_IF_ERR(load_or_make(authority, &root_kind, &authority->root, why));
	return load_intermediate(authority, why);
}

enum err authority_open(struct authority *authority, const struct authority_options *options, struct why *why)
{
	*authority = (struct authority){.options = *options};
	enum err err = open_all(authority, why);
	if (err != ERR_NONE)
		authority_done(authority);
	return err;
}

void authority_done(struct authority *authority)
{
	key_pair_done(&authority->bootstrap);
	key_pair_done(&authority->root);
	key_pair_done(&authority->intermediate);
}

#define RESTORE_FIX                                                                                                    \
	"restore the newest store; if it is lost, restore a backup and start over from it: handfast-control restore"

enum err authority_judge(const struct authority *authority, const struct store_mark *mark, struct why *why)
{
	const struct store_mark *known = &authority->mark;
	if (authority->options.policy == KEYS_TAKE_ANY_STORE)
		return ERR_NONE;
	if (known->incarnation != 0 && mark->incarnation != known->incarnation)
		return why_set(why, ERR_STATE_DAMAGED, "the store that these keys have served", RESTORE_FIX,
			"this is another store: the former one was lost or replaced");
	if (mark->epoch <= known->epoch || mark->revision < known->revision)
		return why_set(why, ERR_STATE_DAMAGED, "a store that is at least as new as the last one used",
			RESTORE_FIX, "the store has gone back in time: start %llu after %llu, change %llu after %llu",
			(unsigned long long)mark->epoch, (unsigned long long)known->epoch,
			(unsigned long long)mark->revision, (unsigned long long)known->revision);
	return ERR_NONE;
}

enum err authority_begin_epoch(struct authority *authority, const struct store_mark *mark, struct why *why)
{
	RETURN_IF_ERR(authority_judge(authority, mark, why));
	RETURN_IF_ERR(key_folder_save_mark(&authority->folder, mark, why));
	authority->mark = *mark;
	return ERR_NONE;
}

enum err authority_note(struct authority *authority, const struct store_mark *mark, struct why *why)
{
	struct store_mark *known = &authority->mark;
	if (mark->epoch != known->epoch || mark->incarnation != known->incarnation)
		return why_set(why, ERR_CONFLICT, "the present issuer", "stop the older control plane",
			"a newer control plane has introduced itself");
	if (mark->revision <= known->revision)
		return ERR_NONE;
	RETURN_IF_ERR(key_folder_save_mark(&authority->folder, mark, why));
	*known = *mark;
	return ERR_NONE;
}

static enum err check_request(const struct authority *authority, const struct leaf_request *request, struct why *why)
{
	if (request->epoch != authority->mark.epoch)
		return why_set(why, ERR_CONFLICT, "the present issuer", "stop the older control plane",
			"a newer control plane has introduced itself");
	return public_key_check(request->spki, why);
}

static enum err check_id(const struct authority *authority, struct span text, struct why *why)
{
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
	RETURN_IF_ERR(spiffe_id_parse(text, &id, why));
	if (!spiffe_id_in_trust_domain(&id, &authority->options.trust_domain))
		return why_set(why, ERR_DENIED, "an identity of this trust domain",
			"use the control plane of its own trust domain", "%.*s is of another trust domain",
			(int)text.len, (const char *)text.ptr);
	if (spiffe_id_is_reserved(&id) || spiffe_id_path(&id).len == 0)
		return why_set(why, ERR_DENIED, "an identity that a workload may have",
			"choose a path that is not below /handfast", "%.*s is reserved", (int)text.len,
			(const char *)text.ptr);
	return ERR_NONE;
}

static enum err sign(const struct authority *authority, const struct key_pair *issuer, struct span uri,
	const struct leaf_request *request, struct buf *out_leaf, struct why *why)
{
	CHECK(issuer->key != NULL);
	int64_t from, to, now = now_s(authority), ttl = request->ttl_s;
	RETURN_IF_ERR(certificate_validity(buf_span(&issuer->certificate), &from, &to));
	if (ttl > authority->options.max_leaf_ttl_s)
		ttl = authority->options.max_leaf_ttl_s;
	if (ttl < 1)
		ttl = 1;
	struct certificate_spec leaf = {.kind = CERTIFICATE_LEAF,
		.uri = uri,
		.spki = request->spki,
		.not_before_s = now - LEAF_BACKDATE_S < from ? from : now - LEAF_BACKDATE_S,
		.not_after_s = now + ttl > to ? to : now + ttl,
		.issuer = buf_span(&issuer->certificate),
		.issuer_key = issuer->key};
	if (from > now)
		return why_set(why, ERR_NOT_YET_VALID, "an authority that is already valid",
			"correct the clock of this host, which is behind now or was ahead when the authority was made",
			"the authority becomes valid in %lld s", (long long)(from - now));
	if (leaf.not_after_s <= now)
		return why_set(why, ERR_EXPIRED, "an authority that is still valid",
			"start over with an empty state_dir and new join tokens (handfast token create) for all "
			"sidecars: this release cannot replace the mesh's root",
			"the authority expired %lld s ago", (long long)(now - to));
	return certificate_make(&leaf, out_leaf, why);
}

enum err authority_sign_leaf(
	struct authority *authority, const struct leaf_request *request, struct buf *out_leaf, struct why *why)
{
	RETURN_IF_ERR(check_request(authority, request, why));
	RETURN_IF_ERR(check_id(authority, request->id, why));
	RETURN_IF_ERR(keep_intermediate_fresh(authority, why));
	return sign(authority, &authority->intermediate, request->id, request, out_leaf, why);
}

enum err authority_sign_control(
	struct authority *authority, const struct leaf_request *request, struct buf *out_leaf, struct why *why)
{
	_cleanup_(mem_freep) char *uri =
		mem_printf("spiffe://%s/handfast/control", authority->options.trust_domain.name);
	RETURN_IF_ERR(check_request(authority, request, why));
	return sign(authority, &authority->bootstrap, span_of_str(uri), request, out_leaf, why);
}
