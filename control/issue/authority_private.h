/* Shared by authority*.c of this folder. */
#pragma once

#include "control/issue/authority.h"
#include "control/issue/certificate.h"

struct ca_kind {
	enum certificate_kind kind;
	const char *file, *title;
};
#define AUTHORITY_RETRY_S 60 /* after a key could not be stored */
extern const struct ca_kind authority_root_kind, authority_bootstrap_kind, authority_intermediate_kind;
int64_t authority_now_s(const struct authority *authority);

/* Makes a CA certificate and its key; nothing is stored. above NULL: self-signed. Never outlives the one above it. */
enum err authority_make_ca(const struct authority *authority, const struct ca_kind *kind, const struct key_pair *above,
	struct key_pair *out, struct why *why) _must_use_;
/* The key that another signer has sealed; the caller owns *out. ERR_STATE_DAMAGED. */
enum err authority_open_sealed(const struct authority *authority, struct span certificate, struct span sealed,
	struct key_pair *out, struct why *why) _must_use_;
/* Appends the key of the pair, sealed for the signers that have the same first bootstrap root. */
enum err authority_seal(
	const struct authority *authority, const struct key_pair *pair, struct buf *out_sealed) _must_use_;
enum err authority_replace_intermediate(struct authority *authority, struct why *why) _must_use_;
/* ERR_CONFLICT: the request is not from the present issuer. */
enum err authority_check_epoch(const struct authority *authority, uint64_t epoch, struct why *why) _must_use_;

/* ERR_DENIED: of another trust domain, or reserved. */
enum err authority_check_id(const struct authority *authority, struct span text, struct why *why) _must_use_;
/* authority_lists.c: the intermediate before; kept before the present one is replaced. */
enum err authority_load_former(struct authority *authority, struct why *why) _must_use_;
enum err authority_keep_former(struct authority *authority, struct why *why) _must_use_;
/* authority_bootstrap.c */
void authority_bootstrap_done(struct authority *authority);
/* authority_jwt.c */
void authority_jwt_done(struct authority *authority);

/* authority_roots.c: after the root in use was loaded. Finishes what a crash has interrupted. */
enum err authority_load_other_roots(struct authority *authority, struct why *why) _must_use_;

#define AUTHORITY_NEXT_FILE     "root-next"
#define AUTHORITY_IMPORTED_FILE "intermediate-next"
/* Whether the certificate, if there is one, has that SHA-256. */
bool authority_pair_is(const struct key_pair *pair, struct span sha256);
bool authority_is_below(const struct key_pair *below, const struct key_pair *root);
/* authority_import.c: checks a pair and uses or keeps it, as authority_import(); the pair is moved. */
enum err authority_take_import(struct authority *authority, const struct import_request *request, struct key_pair *pair,
	struct span root, struct imported *out, struct why *why) _must_use_;
/* authority_token.c: as authority_import(), signed by the token. */
enum err authority_import_token(struct authority *authority, const struct import_request *request, struct imported *out,
	struct why *why) _must_use_;
/* authority_import.c: what was imported below the root in use becomes the intermediate. */
enum err authority_use_imported(struct authority *authority, struct why *why) _must_use_;
enum err authority_save_intermediate(struct authority *authority, struct key_pair *fresh, struct why *why) _must_use_;
