/* The mesh's root is replaced: prepared, adopted by other signers, activated, forgotten. root.pem is the root in use at
 * every moment; root-next.pem and root-former.pem stand beside it. */
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "certs/digest.h"
#include "control/issue/authority_private.h"
#include "control/issue/seal.h"

#define NEXT_FILE   AUTHORITY_NEXT_FILE
#define FORMER_FILE "root-former"
#define PKCS8_MAX   4096

static bool is_same(const struct key_pair *pair, const struct key_pair *other)
{
	return buf_len(&pair->certificate) > 0 && span_eq(buf_span(&pair->certificate), buf_span(&other->certificate));
}

bool authority_pair_is(const struct key_pair *pair, struct span sha256)
{
	uint8_t digest[DIGEST_LEN];
	if (buf_len(&pair->certificate) == 0)
		return false;
	digest_sha256(buf_span(&pair->certificate), digest);
	return span_eq(span_of(digest, DIGEST_LEN), sha256);
}

static enum err load_optional(struct authority *authority, const char *file, struct key_pair *out, struct why *why)
{
	enum err err = key_folder_load_keyless(&authority->folder, file, out, why);
	return err == ERR_NOT_FOUND ? ERR_NONE : err;
}

static enum err drop(struct authority *authority, const char *file, struct key_pair *pair, struct why *why)
{
	key_pair_done(pair);
	return key_folder_remove(&authority->folder, file, why);
}

/* An activation writes the former root, then the one in use, then removes the next one. */
enum err authority_load_other_roots(struct authority *authority, struct why *why)
{
	RETURN_IF_ERR(load_optional(authority, NEXT_FILE, &authority->next_root, why));
	RETURN_IF_ERR(load_optional(authority, FORMER_FILE, &authority->former_root, why));
	RETURN_IF_ERR(load_optional(authority, AUTHORITY_IMPORTED_FILE, &authority->imported, why));
	if (is_same(&authority->next_root, &authority->root))
		RETURN_IF_ERR(drop(authority, NEXT_FILE, &authority->next_root, why));
	if (is_same(&authority->former_root, &authority->root))
		RETURN_IF_ERR(drop(authority, FORMER_FILE, &authority->former_root, why));
	return ERR_NONE;
}

enum err authority_prepare_root(
	struct authority *authority, const struct root_request *request, struct buf *out_sealed, struct why *why)
{
	_cleanup_(key_pair_done) struct key_pair made = {0};
	RETURN_IF_ERR(authority_check_epoch(authority, request->epoch, why));
	if (authority->next_root.key == NULL) { /* also in place of one of the operator's that was not begun with */
		RETURN_IF_ERR(authority_make_ca(authority, &authority_root_kind, NULL, &made, why));
		RETURN_IF_ERR(key_folder_save(&authority->folder, NEXT_FILE, &made, why));
		key_pair_done(&authority->next_root);
		authority->next_root = made;
		made = (struct key_pair){0};
	}
	return authority_seal(authority, &authority->next_root, out_sealed);
}

enum err authority_seal(const struct authority *authority, const struct key_pair *pair, struct buf *out_sealed)
{
	_cleanup_(buf_wipe) struct buf secret = BUF_INIT(PKCS8_MAX);
	RETURN_IF_ERR(private_key_encode(pair->key, &secret));
	return seal_make(authority->bootstrap.key, buf_span(&pair->certificate), buf_span(&secret), out_sealed);
}

enum err authority_open_sealed(const struct authority *authority, struct span certificate, struct span sealed,
	struct key_pair *out, struct why *why)
{
	_cleanup_(buf_wipe) struct buf secret = BUF_INIT(PKCS8_MAX);
	_cleanup_(key_pair_done) struct key_pair pair = {.certificate = BUF_INIT(CERTIFICATE_MAX)};
	RETURN_IF_ERR(seal_open(authority->bootstrap.key, certificate, sealed, &secret, why));
	RETURN_IF_ERR(private_key_parse(buf_span(&secret), &pair.key, why));
	RETURN_IF_ERR(buf_append(&pair.certificate, certificate));
	if (certificate_matches(certificate, pair.key) != ERR_NONE)
		return why_set(why, ERR_STATE_DAMAGED, "the key of the new root's certificate",
			"restore the store from a backup; nothing was overwritten",
			"the sealed key belongs to another certificate");
	*out = pair;
	pair = (struct key_pair){0};
	return ERR_NONE;
}

enum err authority_adopt_root(struct authority *authority, const struct root_request *request, struct why *why)
{
	_cleanup_(key_pair_done) struct key_pair pair = {0};
	RETURN_IF_ERR(authority_check_epoch(authority, request->epoch, why));
	RETURN_IF_ERR(authority_open_sealed(authority, request->certificate, request->sealed, &pair, why));
	if (is_same(&pair, &authority->root) || is_same(&pair, &authority->next_root))
		return ERR_NONE;
	RETURN_IF_ERR(key_folder_save(&authority->folder, NEXT_FILE, &pair, why));
	key_pair_done(&authority->next_root);
	authority->next_root = pair;
	pair = (struct key_pair){0};
	return ERR_NONE;
}

static enum err make_next_the_root(struct authority *authority, struct why *why)
{
	RETURN_IF_ERR(key_folder_save(&authority->folder, FORMER_FILE, &authority->root, why));
	RETURN_IF_ERR(key_folder_save(&authority->folder, authority_root_kind.file, &authority->next_root, why));
	key_pair_done(&authority->former_root);
	authority->former_root = authority->root;
	authority->root = authority->next_root;
	authority->next_root = (struct key_pair){0};
	authority->must_replace_intermediate = true;
	if (key_folder_remove(&authority->folder, NEXT_FILE, why) != ERR_NONE) /* the next start removes it */
		log_why(LOG_LEVEL_WARNING, "signer", "a file of the last rotation stays", why);
	return ERR_NONE;
}

enum err authority_activate_root(struct authority *authority, const struct root_request *request, struct why *why)
{
	RETURN_IF_ERR(authority_check_epoch(authority, request->epoch, why));
	if (!authority_pair_is(&authority->root, request->sha256)) {
		if (!authority_pair_is(&authority->next_root, request->sha256))
			return why_set(why, ERR_NOT_FOUND,
				"an intermediate of this control plane below the mesh's root",
				"`handfast ca csr` and `handfast ca import` here, or identity.ca.source",
				"this control plane has no intermediate under the root that it should use");
		RETURN_IF_ERR(make_next_the_root(authority, why));
	}
	return authority->must_replace_intermediate ? authority_replace_intermediate(authority, why) : ERR_NONE;
}

enum err authority_forget_root(struct authority *authority, const struct root_request *request, struct why *why)
{
	RETURN_IF_ERR(authority_check_epoch(authority, request->epoch, why));
	if (authority_pair_is(&authority->root, request->sha256))
		return why_set(why, ERR_DENIED, "a root that is not in use", "report this as a defect",
			"the root to be forgotten signs certificates");
	if (authority_pair_is(&authority->next_root, request->sha256)) {
		if (authority_is_below(&authority->imported, &authority->next_root))
			RETURN_IF_ERR(drop(authority, AUTHORITY_IMPORTED_FILE, &authority->imported, why));
		return drop(authority, NEXT_FILE, &authority->next_root, why);
	}
	if (authority_pair_is(&authority->former_root, request->sha256))
		return drop(authority, FORMER_FILE, &authority->former_root, why);
	return ERR_NONE;
}

enum err authority_renew_intermediate(struct authority *authority, uint64_t epoch, struct why *why)
{
	RETURN_IF_ERR(authority_check_epoch(authority, epoch, why));
	if (authority->root.key == NULL)
		return why_set(why, ERR_DENIED, "a root whose key the signer has",
			"have another intermediate signed first: `handfast ca csr`, `handfast ca import`",
			"the root is the operator's, and another intermediate below it is not there");
	return authority_replace_intermediate(authority, why);
}
