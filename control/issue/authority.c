#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "certs/expiry.h"
#include "control/issue/authority_private.h"

int64_t authority_now_s(const struct authority *authority)
{
	return authority->options.clock->wall_ms(authority->options.clock) / 1000;
}

const struct ca_kind authority_bootstrap_kind = {CERTIFICATE_BOOTSTRAP, "bootstrap", "bootstrap root"};
const struct ca_kind authority_root_kind = {CERTIFICATE_ROOT, "root", "root"};
const struct ca_kind authority_intermediate_kind = {CERTIFICATE_INTERMEDIATE, "intermediate", "intermediate"};

static int64_t life_of(const struct authority *authority, const struct ca_kind *kind)
{
	if (kind == &authority_bootstrap_kind)
		return BOOTSTRAP_LIFE_S;
	return kind == &authority_root_kind ? authority->options.root_life_s : authority->options.intermediate_life_s;
}

enum err authority_make_ca(const struct authority *authority, const struct ca_kind *kind, const struct key_pair *above,
	struct key_pair *out, struct why *why)
{
	CHECK(above != NULL || kind != &authority_intermediate_kind); /* only roots sign themselves */
	_cleanup_(key_pair_done) struct key_pair pair = {
		.key = private_key_generate(), .certificate = BUF_INIT(CERTIFICATE_MAX)};
	_cleanup_(buf_done) struct buf spki = BUF_INIT(CERTIFICATE_MAX);
	_cleanup_(mem_freep) char *uri = mem_printf("spiffe://%s", authority->options.trust_domain.name);
	_cleanup_(mem_freep) char *name = mem_printf("handfast %s", kind->title);
	struct certificate_spec spec = {.kind = kind->kind,
		.name = name,
		.uri = span_of_str(uri),
		.not_before_s =
			authority_now_s(authority) - (above == NULL ? ROOT_BACKDATE_S : INTERMEDIATE_BACKDATE_S),
		.not_after_s = authority_now_s(authority) + life_of(authority, kind),
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
	*out = pair;
	pair = (struct key_pair){0};
	return ERR_NONE;
}

static enum err make_and_save(struct authority *authority, const struct ca_kind *kind, const struct key_pair *above,
	struct key_pair *out, struct why *why)
{
	_cleanup_(key_pair_done) struct key_pair pair = {0};
	RETURN_IF_ERR(authority_make_ca(authority, kind, above, &pair, why));
	RETURN_IF_ERR(key_folder_save(&authority->folder, kind->file, &pair, why));
	*out = pair;
	pair = (struct key_pair){0};
	return ERR_NONE;
}

static enum err load_or_make(
	struct authority *authority, const struct ca_kind *kind, struct key_pair *out, struct why *why)
{
	enum err err = kind == &authority_root_kind ? key_folder_load_keyless(&authority->folder, kind->file, out, why)
						    : key_folder_load(&authority->folder, kind->file, out, why);
	/* A key that is missing although a store has recorded it, or issuers were served, is lost; it is not made anew.
	 */
	if (err == ERR_NOT_FOUND && (authority->mark.epoch != 0 || authority->options.policy != KEYS_MAY_BE_MADE))
		return why_set(why, ERR_STATE_DAMAGED, "the key of every authority",
			"restore a backup of the key folder, or run `handfast-control keys import`; nothing was "
			"overwritten",
			"the %s key is missing", kind->title);
	return err == ERR_NOT_FOUND ? make_and_save(authority, kind, NULL, out, why) : err;
}

/* The pair is moved. */
enum err authority_save_intermediate(struct authority *authority, struct key_pair *fresh, struct why *why)
{
	RETURN_IF_ERR(authority_keep_former(authority, why));
	RETURN_IF_ERR(key_folder_save(&authority->folder, authority_intermediate_kind.file, fresh, why));
	key_pair_done(&authority->intermediate);
	authority->intermediate = *fresh;
	*fresh = (struct key_pair){0};
	authority->must_replace_intermediate = false;
	return ERR_NONE;
}

enum err authority_replace_intermediate(struct authority *authority, struct why *why)
{
	_cleanup_(key_pair_done) struct key_pair fresh = {0};
	if (authority->root.key == NULL)
		return authority_use_imported(authority, why);
	RETURN_IF_ERR(authority_make_ca(authority, &authority_intermediate_kind, &authority->root, &fresh, why));
	return authority_save_intermediate(authority, &fresh, why);
}

/* The certificate at the upper end of a pair's chain. */
static struct span topmost_of(const struct key_pair *pair)
{
	const struct buf *top = &pair->certificate;
	for (size_t i = 0; i < KEY_PAIR_ABOVE_MAX && buf_len(&pair->above[i]) > 0; i++)
		top = &pair->above[i];
	return buf_span(top);
}

bool authority_is_below(const struct key_pair *below, const struct key_pair *root)
{
	return buf_len(&below->certificate) > 0 && buf_len(&root->certificate) > 0 &&
	       certificate_is_signed_by(topmost_of(below), buf_span(&root->certificate)) == ERR_NONE;
}

static enum err load_intermediate(struct authority *authority, struct why *why)
{
	enum err err =
		key_folder_load(&authority->folder, authority_intermediate_kind.file, &authority->intermediate, why);
	if (err == ERR_NOT_FOUND) {
		err = authority_replace_intermediate(authority, why);
		return err == ERR_UNAVAILABLE ? ERR_NONE : err; /* one is imported later */
	}
	RETURN_IF_ERR(err);
	if (authority_is_below(&authority->intermediate, &authority->former_root)) /* a crash during an activation */
		return authority_replace_intermediate(authority, why);
	if (!authority_is_below(&authority->intermediate, &authority->root))
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
	int64_t from, to, root_from, root_to, now = authority_now_s(authority);
	if (authority->must_replace_intermediate)
		return authority_replace_intermediate(authority, why);
	if (authority->root.key == NULL)
		return buf_len(&authority->intermediate.certificate) > 0 ? ERR_NONE
									 : authority_use_imported(authority, why);
	RETURN_IF_ERR(certificate_validity(buf_span(&authority->intermediate.certificate), &from, &to));
	RETURN_IF_ERR(certificate_validity(buf_span(&authority->root.certificate), &root_from, &root_to));
	if (from > now && root_from <= now) {
		log_warning("signer",
			"the intermediate would be valid in %lld s only: the clock was ahead when it was made; making "
			"another",
			(long long)(from - now));
		return authority_replace_intermediate(authority, why);
	}
	if (to - now >= authority->options.intermediate_life_s / 2 || to >= root_to || now < authority->retry_s)
		return ERR_NONE;
	enum err err = authority_replace_intermediate(authority, why);
	if (err == ERR_NONE || to <= now)
		return err;
	/* Half of its lifetime is left to repair this: a full disk must not stop the signer. */
	log_why(LOG_LEVEL_ERROR, "signer", "the next intermediate cannot be stored; the present one stays in use", why);
	authority->retry_s = now + AUTHORITY_RETRY_S;
	return ERR_NONE;
}

static enum err open_all(struct authority *authority, struct why *why)
{
	RETURN_IF_ERR(key_folder_open(&authority->folder, authority->options.folder, why));
	RETURN_IF_ERR(key_folder_load_mark(&authority->folder, &authority->mark, why));
	RETURN_IF_ERR(load_or_make(authority, &authority_bootstrap_kind, &authority->bootstrap, why));
	RETURN_IF_ERR(load_or_make(authority, &authority_root_kind, &authority->root, why));
	RETURN_IF_ERR(authority_load_other_roots(authority, why));
	RETURN_IF_ERR(authority_load_former(authority, why));
	return load_intermediate(authority, why);
}

enum err authority_open(struct authority *authority, const struct authority_options *options, struct why *why)
{
	*authority = (struct authority){.options = *options, .token = {.fd = options->token_fd}};
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
	key_pair_done(&authority->former_intermediate);
	key_pair_done(&authority->next_root);
	key_pair_done(&authority->former_root);
	key_pair_done(&authority->imported);
	authority_bootstrap_done(authority);
	authority_jwt_done(authority);
}

#define RESTORE_FIX                                                                                                    \
	"restore the newest store; if it is lost, restore a backup and start over from it: `handfast-control restore`"

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

enum err authority_check_epoch(const struct authority *authority, uint64_t epoch, struct why *why)
{
	if (epoch == authority->mark.epoch)
		return ERR_NONE;
	return why_set(why, ERR_CONFLICT, "the present issuer", "stop the older control plane",
		"a newer control plane has introduced itself");
}

static enum err check_request(const struct authority *authority, const struct leaf_request *request, struct why *why)
{
	RETURN_IF_ERR(authority_check_epoch(authority, request->epoch, why));
	return public_key_check(request->spki, why);
}

enum err authority_check_id(const struct authority *authority, struct span text, struct why *why)
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

/* Lowers *to to the end of what is above the issuer: certificates of an operator need not end before it. */
static enum err bound_by_chain(const struct authority *authority, const struct key_pair *issuer, int64_t *to)
{
	const struct span above[] = {buf_span(&issuer->above[0]), buf_span(&issuer->above[1]),
		issuer == &authority->intermediate ? buf_span(&authority->root.certificate) : (struct span){0}};
	_Static_assert(KEY_PAIR_ABOVE_MAX == 2, "all of them");
	for (size_t i = 0; i < sizeof above / sizeof above[0]; i++) {
		int64_t from_s, to_s;
		if (above[i].len == 0)
			continue;
		RETURN_IF_ERR(certificate_validity(above[i], &from_s, &to_s));
		*to = to_s < *to ? to_s : *to;
	}
	return ERR_NONE;
}

static enum err sign(const struct authority *authority, const struct key_pair *issuer, struct span uri,
	const struct leaf_request *request, struct buf *out_leaf, struct why *why)
{
	CHECK(issuer->key != NULL);
	int64_t from, to, now = authority_now_s(authority), ttl = request->ttl_s;
	RETURN_IF_ERR(certificate_validity(buf_span(&issuer->certificate), &from, &to));
	RETURN_IF_ERR(bound_by_chain(authority, issuer, &to));
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
			authority->root.key == NULL
				? "sign another intermediate: `handfast ca csr`, `handfast ca import`"
				: "replace the root: `handfast ca rotate --force`",
			"the authority expired %lld s ago", (long long)(now - to));
	return certificate_make(&leaf, out_leaf, why);
}

enum err authority_sign_leaf(
	struct authority *authority, const struct leaf_request *request, struct buf *out_leaf, struct why *why)
{
	RETURN_IF_ERR(check_request(authority, request, why));
	RETURN_IF_ERR(authority_check_id(authority, request->id, why));
	RETURN_IF_ERR(keep_intermediate_fresh(authority, why));
	return sign(authority, &authority->intermediate, request->id, request, out_leaf, why);
}

void authority_keep_fresh(struct authority *authority, uint64_t epoch)
{
	struct why why = {0};
	if (epoch != 0 && epoch == authority->mark.epoch && authority->root.key != NULL)
		(void)!keep_intermediate_fresh(authority, &why); /* the next signature reports it */
}

enum err authority_sign_control(
	struct authority *authority, const struct leaf_request *request, struct buf *out_leaf, struct why *why)
{
	_cleanup_(mem_freep) char *uri =
		mem_printf("spiffe://%s/handfast/control", authority->options.trust_domain.name);
	RETURN_IF_ERR(check_request(authority, request, why));
	return sign(authority, authority_bootstrap_of(authority), span_of_str(uri), request, out_leaf, why);
}

enum err authority_sign_federation(
	struct authority *authority, const struct leaf_request *request, struct buf *out_leaf, struct why *why)
{
	_cleanup_(mem_freep) char *uri =
		mem_printf("spiffe://%s/handfast/federation", authority->options.trust_domain.name);
	RETURN_IF_ERR(check_request(authority, request, why));
	RETURN_IF_ERR(keep_intermediate_fresh(authority, why));
	return sign(authority, &authority->intermediate, span_of_str(uri), request, out_leaf, why);
}
