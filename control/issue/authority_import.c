/* An authority of the operator's: the signer has the key of an intermediate below it, and neither makes nor needs the
 * root's. What is imported is checked as a sidecar would check a leaf below it, before anything changes. */
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "certs/digest.h"
#include "certs/pem.h"
#include "control/issue/authority_chain.h"
#include "control/issue/authority_private.h"
#include "control/issue/certificate_request.h"

#define REQUEST_FILE "intermediate-request" /* the key, until a certificate for it is in use */

/* --- the request --- */

static enum err load_request(const struct authority *authority, struct key_pair *out, struct why *why)
{
	return key_folder_load(&authority->folder, REQUEST_FILE, out, why);
}

enum err authority_request_intermediate(
	struct authority *authority, uint64_t epoch, struct buf *out_der, struct why *why)
{
	static const struct ca_kind carrier = {CERTIFICATE_ROOT, REQUEST_FILE, "intermediate request"};
	_cleanup_(key_pair_done) struct key_pair pair = {0};
	RETURN_IF_ERR(authority_check_epoch(authority, epoch, why));
	enum err err = load_request(authority, &pair, why);
	if (err == ERR_NOT_FOUND) { /* in its file the key has a self-signed certificate, which is never used */
		RETURN_IF_ERR(authority_make_ca(authority, &carrier, NULL, &pair, why));
		err = key_folder_save(&authority->folder, REQUEST_FILE, &pair, why);
	}
	RETURN_IF_ERR(err);
	return certificate_request_make(pair.key, authority->options.trust_domain.name, out_der, why);
}

/* --- taking it --- */

static enum err remove_request(const struct authority *authority, const struct key_pair *used, struct why *why)
{
	_cleanup_(key_pair_done) struct key_pair pair = {0};
	enum err err = load_request(authority, &pair, why);
	if (err == ERR_NOT_FOUND ||
		(err == ERR_NONE && certificate_matches(buf_span(&used->certificate), pair.key) != ERR_NONE))
		return ERR_NONE;
	return err == ERR_NONE ? key_folder_remove(&authority->folder, REQUEST_FILE, why) : err;
}

/* The pair is moved. What stays of the request after a failure is removed with the next one. */
static enum err use(struct authority *authority, struct key_pair *pair, struct why *why)
{
	RETURN_IF_ERR(authority_save_intermediate(authority, pair, why));
	if (remove_request(authority, &authority->intermediate, why) != ERR_NONE)
		log_why(LOG_LEVEL_WARNING, "signer", "the key of a request that was used stays", why);
	return ERR_NONE;
}

enum err authority_use_imported(struct authority *authority, struct why *why)
{
	if (!authority_is_below(&authority->imported, &authority->root))
		return why_set(why, ERR_UNAVAILABLE, "an intermediate below the operator's root",
			"`handfast ca csr` and `handfast ca import` on this control plane, or identity.ca.source",
			"the signer has neither the root's key nor an intermediate below it");
	RETURN_IF_ERR(use(authority, &authority->imported, why));
	if (key_folder_remove(&authority->folder, AUTHORITY_IMPORTED_FILE, why) != ERR_NONE)
		log_why(LOG_LEVEL_WARNING, "signer", "a file of the last import stays", why);
	return ERR_NONE;
}

/* Below another root: both wait until that root is activated. */
static enum err keep(struct authority *authority, struct key_pair *pair, struct span root, struct why *why)
{
	_cleanup_(key_pair_done) struct key_pair next = {.certificate = BUF_INIT(CERTIFICATE_MAX)};
	if (authority->next_root.key != NULL)
		return why_set(why, ERR_EXISTS, "no other rotation under way", "see `handfast ca status`",
			"the signer has made a next root of its own");
	RETURN_IF_ERR(buf_append(&next.certificate, root));
	RETURN_IF_ERR(key_folder_save(&authority->folder, AUTHORITY_IMPORTED_FILE, pair, why));
	RETURN_IF_ERR(key_folder_save(&authority->folder, AUTHORITY_NEXT_FILE, &next, why));
	key_pair_done(&authority->imported);
	key_pair_done(&authority->next_root);
	authority->imported = *pair;
	authority->next_root = next;
	*pair = (struct key_pair){0};
	next = (struct key_pair){0};
	return ERR_NONE;
}

static bool is_same(const struct key_pair *a, const struct key_pair *b)
{
	bool same = span_eq(buf_span(&a->certificate), buf_span(&b->certificate));
	for (size_t i = 0; i < KEY_PAIR_ABOVE_MAX; i++)
		same = same && span_eq(buf_span(&a->above[i]), buf_span(&b->above[i]));
	return same;
}

static enum err take(struct authority *authority, const struct import_request *request, struct key_pair *pair,
	struct span root, struct why *why)
{
	uint8_t digest[DIGEST_LEN];
	if (span_eq(root, buf_span(&authority->root.certificate)))
		return is_same(pair, &authority->intermediate) ? ERR_NONE : use(authority, pair, why);
	digest_sha256(root, digest);
	if (request->root_sha256.len > 0 && !span_eq(span_of(digest, DIGEST_LEN), request->root_sha256))
		return why_set(why, ERR_EXISTS, "an intermediate below a root of the rotation that is under way",
			"let it end, or give it up with `handfast ca abort`; then repeat this",
			"the root of this chain is another one");
	if (is_same(pair, &authority->imported) && span_eq(root, buf_span(&authority->next_root.certificate)))
		return ERR_NONE;
	return keep(authority, pair, root, why);
}

/* pair: complete; it is moved. */
enum err authority_take_import(struct authority *authority, const struct import_request *request, struct key_pair *pair,
	struct span root, struct imported *out, struct why *why)
{
	RETURN_IF_ERR(chain_check(authority, pair, root, why));
	bool is_in_use = span_eq(root, buf_span(&authority->root.certificate));
	RETURN_IF_ERR(take(authority, request, pair, root, why));
	out->root = buf_span(is_in_use ? &authority->root.certificate : &authority->next_root.certificate);
	out->intermediate =
		buf_span(is_in_use ? &authority->intermediate.certificate : &authority->imported.certificate);
	return ERR_NONE;
}

/* pair: its key; the rest is found. */
static enum err import_chain(struct authority *authority, const struct import_request *request,
	const struct chain *chain, struct key_pair *pair, struct imported *out, struct why *why)
{
	struct span root;
	buf_init(&pair->certificate, CERTIFICATE_MAX);
	for (size_t i = 0; i < chain->num && buf_len(&pair->certificate) == 0; i++)
		if (certificate_matches(buf_span(&chain->der[i]), pair->key) == ERR_NONE)
			RETURN_IF_ERR(buf_append(&pair->certificate, buf_span(&chain->der[i])));
	if (buf_len(&pair->certificate) == 0)
		return why_set(why, ERR_NOT_FOUND, "a certificate for the key of `handfast ca csr`, or of the key file",
			"sign the request of this control plane: each has its own",
			"none of the %zu certificates has that key", chain->num);
	RETURN_IF_ERR(chain_find_path(authority, chain, pair, &root, why));
	return authority_take_import(authority, request, pair, root, out, why);
}
static bool has_certificate_of(const struct chain *chain, const struct private_key *key)
{
	for (size_t i = 0; key != NULL && i < chain->num; i++)
		if (certificate_matches(buf_span(&chain->der[i]), key) == ERR_NONE)
			return true;
	return false;
}

/* The key of the last request; or one that is in use, whose certificate was made anew. */
enum err authority_import(
	struct authority *authority, const struct import_request *request, struct imported *out, struct why *why)
{
	_cleanup_(chain_done) struct chain chain = {0};
	_cleanup_(key_pair_done) struct key_pair asked = {0}, pair = {0};
	RETURN_IF_ERR(authority_check_epoch(authority, request->epoch, why));
	RETURN_IF_ERR(chain_read_pem(request->pem, &chain, why));
	enum err err = load_request(authority, &asked, why);
	if (err != ERR_NONE && err != ERR_NOT_FOUND)
		return err;
	struct private_key *const keys[] = {asked.key, authority->imported.key, authority->intermediate.key};
	for (size_t i = 0; i < sizeof keys / sizeof keys[0] && pair.key == NULL; i++)
		if (has_certificate_of(&chain, keys[i]))
			pair.key = private_key_ref(keys[i]);
	if (pair.key == NULL)
		return why_set(why, ERR_NOT_FOUND, "a certificate for the key of `handfast ca csr`",
			"sign the request of this control plane: each has its own",
			"none of the %zu certificates is for a key of this signer", chain.num);
	return import_chain(authority, request, &chain, &pair, out, why);
}

/* --- from files --- */

static enum err read_key(const char *path, struct private_key **out, struct why *why)
{
	_cleanup_(buf_wipe) struct buf content = BUF_INIT(IMPORT_MAX);
	_cleanup_(pem_block_done) struct pem_block block = {0};
	RETURN_IF_ERR(fd_read_file(path, IMPORT_MAX, &content, why));
	struct span rest = buf_span(&content);
	enum err err = pem_next(&rest, &block);
	while (err == ERR_NONE && strcmp(block.label, "EC PARAMETERS") == 0)
		err = pem_next(&rest, &block);
	if (err != ERR_NONE || block.is_encrypted || strcmp(block.label, "PRIVATE KEY") != 0)
		return why_set(why, ERR_MALFORMED, "a P-256 private key, PKCS#8 in PEM, without a passphrase",
			"convert it: `openssl pkcs8 -topk8 -nodes -in KEY -out NEW`", "%s has %s", path,
			err == ERR_NONE ? block.label : "no block that can be read");
	return private_key_parse(span_of(block.der, block.der_len), out, why);
}

enum err authority_import_files(
	struct authority *authority, const struct import_request *request, struct imported *out, struct why *why)
{
	const struct authority_options *options = &authority->options;
	_cleanup_(chain_done) struct chain chain = {0};
	_cleanup_(key_pair_done) struct key_pair pair = {0};
	RETURN_IF_ERR(authority_check_epoch(authority, request->epoch, why));
	if (authority->token.fd > 0)
		return authority_import_token(authority, request, out, why);
	if (options->own_certificate == NULL || options->own_key == NULL || options->own_root == NULL)
		return why_set(why, ERR_CONFIG, "identity.ca.certificate, key and root", "set them",
			"the signer was started without these files");
	RETURN_IF_ERR(read_key(options->own_key, &pair.key, why));
	RETURN_IF_ERR(chain_read_file(options->own_certificate, &chain, why));
	RETURN_IF_ERR(chain_read_file(options->own_root, &chain, why));
	return import_chain(authority, request, &chain, &pair, out, why);
}
