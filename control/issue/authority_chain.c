/* A chain of the operator's: from a file to a path, and whether a sidecar would accept what is below it. */
#include "control/issue/authority_chain.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "certs/describe.h"
#include "certs/pem.h"
#include "certs/verify.h"
#include "control/issue/authority_private.h"

#define LEFT_LEAST_S 60

void chain_done(struct chain *chain)
{
	for (size_t i = 0; i < chain->num; i++)
		buf_done(&chain->der[i]);
}

static enum err add_certificate(struct chain *chain, struct span der, struct why *why)
{
	for (size_t i = 0; i < chain->num; i++)
		if (span_eq(buf_span(&chain->der[i]), der))
			return ERR_NONE;
	if (chain->num == CHAIN_MAX || der.len > CERTIFICATE_MAX)
		return why_set(why, ERR_LIMIT, "at most 8 certificates of 4096 bytes each",
			"leave out what is not above the intermediate",
			"there are %zu certificates, or one of %zu bytes", chain->num + 1, der.len);
	buf_init(&chain->der[chain->num], CERTIFICATE_MAX);
	return buf_append(&chain->der[chain->num++], der);
}

enum err chain_read_pem(struct span pem, struct chain *chain, struct why *why)
{
	_cleanup_(pem_block_done) struct pem_block block = {0};
	enum err err = pem_next(&pem, &block);
	for (; err == ERR_NONE; err = pem_next(&pem, &block))
		if (strcmp(block.label, "CERTIFICATE") == 0)
			RETURN_IF_ERR(add_certificate(chain, span_of(block.der, block.der_len), why));
	if (err == ERR_NOT_FOUND && chain->num > 0)
		return ERR_NONE;
	return why_set(why, ERR_MALFORMED, "the intermediate, the authorities above it and their root, in PEM",
		"write them one after the other into one file", "the file has %zu certificates that can be read",
		chain->num);
}

bool chain_is_self_signed(struct span der)
{
	return certificate_is_signed_by(der, der) == ERR_NONE;
}

/* The authority in the chain that has signed it; a root before others of the same key. SIZE_MAX: none. */
static size_t find_issuer(const struct chain *chain, struct span below)
{
	size_t found = SIZE_MAX;
	for (size_t i = 0; i < chain->num; i++) {
		struct span der = buf_span(&chain->der[i]);
		if (span_eq(der, below) || certificate_is_signed_by(below, der) != ERR_NONE)
			continue;
		if (found == SIZE_MAX || chain_is_self_signed(der))
			found = i;
	}
	return found;
}

/* The root may be left out where it is known. */
static bool known_root(const struct authority *authority, struct span topmost, struct span *out)
{
	const struct key_pair *const roots[] = {&authority->root, &authority->next_root};
	for (size_t i = 0; i < sizeof roots / sizeof roots[0]; i++) {
		*out = buf_span(&roots[i]->certificate);
		if (out->len > 0 && certificate_is_signed_by(topmost, *out) == ERR_NONE)
			return true;
	}
	return false;
}

static const char *subject_of(struct span der, struct cert_description *storage)
{
	return cert_describe(der, storage, NULL) == ERR_NONE ? storage->subject : "that cannot be read";
}

enum err chain_find_path(const struct authority *authority, const struct chain *chain, struct key_pair *pair,
	struct span *out_root, struct why *why)
{
	struct span at = buf_span(&pair->certificate);
	struct cert_description shown;
	if (chain_is_self_signed(at))
		return why_set(why, ERR_NOT_SVID, "an intermediate that a root has signed",
			"sign the request of `handfast ca csr` by the root's key",
			"the certificate of the signer's key is self-signed");
	for (size_t num_above = 0;; num_above++) {
		size_t i = find_issuer(chain, at);
		if (i == SIZE_MAX && known_root(authority, at, out_root))
			return ERR_NONE;
		if (i == SIZE_MAX)
			return why_set(why, ERR_UNTRUSTED, "a chain up to its self-signed root",
				"add the missing certificates to the file",
				"the file has the %s '%.100s', and not the authority that has signed it",
				num_above == 0 ? "intermediate" : "authority", subject_of(at, &shown));
		*out_root = buf_span(&chain->der[i]);
		if (chain_is_self_signed(*out_root))
			return ERR_NONE;
		if (num_above == KEY_PAIR_ABOVE_MAX)
			return why_set(why, ERR_LIMIT, "at most 2 authorities between intermediate and root",
				"sign the intermediate by an authority that is nearer to the root", "there are more");
		buf_init(&pair->above[num_above], CERTIFICATE_MAX);
		RETURN_IF_ERR(buf_append(&pair->above[num_above], *out_root));
		at = *out_root;
	}
}

static enum err make_probe(
	const struct authority *authority, const struct key_pair *pair, struct buf *out_leaf, struct why *why)
{
	_cleanup_(mem_freep) char *uri = mem_printf("spiffe://%s/probe", authority->options.trust_domain.name);
	_cleanup_(buf_done) struct buf spki = BUF_INIT(CERTIFICATE_MAX);
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	RETURN_IF_ERR(private_key_public(key, &spki));
	const struct certificate_spec leaf = {.kind = CERTIFICATE_LEAF,
		.uri = span_of_str(uri),
		.spki = buf_span(&spki),
		.not_before_s = authority_now_s(authority) - 1,
		.not_after_s = authority_now_s(authority) + LEFT_LEAST_S,
		.issuer = buf_span(&pair->certificate),
		.issuer_key = pair->key};
	return certificate_make(&leaf, out_leaf, why);
}

/* The verifier counts from the leaf, which no operator has seen, in the order of the path, which need not be that of
 * the file: a certificate is named by what it is and its subject. */
static enum err explain(const struct span *chain, size_t num, const struct why *seen, struct why *why)
{
	static const char *const parts[] = {
		"the leaf that was tried", "the intermediate", "the authority above it", "the authority above both"};
	struct cert_description shown;
	for (size_t i = 0; i < num; i++) {
		const char *place = svid_place(i), *at = strstr(seen->got, place);
		if (at == NULL)
			continue;
		return why_set(why, seen->err, seen->expected,
			"let the authority above it sign one that meets this, and import it", "%.*s%s '%.100s'%s",
			(int)(at - seen->got), seen->got, parts[i], subject_of(chain[i], &shown), at + strlen(place));
	}
	return why_set(
		why, seen->err, seen->expected, "have the chain signed so that sidecars take it", "%s", seen->got);
}

/* A leaf is made, verified as every sidecar verifies it, and thrown away: path lengths, name constraints, key usages,
 * kinds of keys, validity and the trust domain's URI are judged by the same code. */
static enum err check_as_a_sidecar(
	const struct authority *authority, const struct key_pair *pair, struct span root, struct why *why)
{
	_cleanup_(buf_done) struct buf leaf = BUF_INIT(CERTIFICATE_MAX);
	_cleanup_(bundle_set_unrefp) struct bundle_set *bundles = bundle_set_new();
	_cleanup_(bundle_unrefp) struct bundle *bundle = NULL;
	_cleanup_(svid_unrefp) struct svid *svid = NULL;
	struct span chain[2 + KEY_PAIR_ABOVE_MAX];
	size_t num = 2;
	RETURN_IF_ERR(make_probe(authority, pair, &leaf, why));
	RETURN_IF_ERR(bundle_new(&authority->options.trust_domain, &root, 1, &bundle, why));
	RETURN_IF_ERR(bundle_set_add(bundles, bundle, why));
	chain[0] = buf_span(&leaf);
	chain[1] = buf_span(&pair->certificate);
	for (size_t i = 0; i < KEY_PAIR_ABOVE_MAX && buf_len(&pair->above[i]) > 0; i++)
		chain[num++] = buf_span(&pair->above[i]);
	const struct verify_input input = {.chain = chain,
		.num_chain = num,
		.bundles = bundles,
		.role = VERIFY_CLIENT,
		.now_s = authority_now_s(authority)};
	struct why seen = {0};
	enum err err = verify_chain(&input, &svid, &seen);
	return err == ERR_NONE ? ERR_NONE : explain(chain, num, &seen, why);
}

static enum err check_life(
	const struct authority *authority, const struct key_pair *pair, struct span root, struct why *why)
{
	const struct span path[] = {
		buf_span(&pair->certificate), buf_span(&pair->above[0]), buf_span(&pair->above[1]), root};
	for (size_t i = 0; i < sizeof path / sizeof path[0]; i++) {
		int64_t from, to;
		if (path[i].len == 0)
			continue;
		RETURN_IF_ERR(certificate_validity(path[i], &from, &to));
		if (to - authority_now_s(authority) < LEFT_LEAST_S)
			return why_set(why, ERR_EXPIRED, "authorities that are valid for a minute more, at least",
				"have them signed again, for weeks or more", "the %s ends in %lld s",
				i == 0 ? "intermediate" : "authority above the intermediate",
				(long long)(to - authority_now_s(authority)));
	}
	return ERR_NONE;
}

enum err chain_read_file(const char *path, struct chain *chain, struct why *why)
{
	_cleanup_(buf_done) struct buf content = BUF_INIT(IMPORT_MAX);
	struct why own = {0};
	RETURN_IF_ERR(fd_read_file(path, IMPORT_MAX, &content, why));
	enum err err = chain_read_pem(buf_span(&content), chain, &own);
	if (err == ERR_NONE)
		return ERR_NONE;
	return why_set(why, err, own.expected, own.fix, "%.120s: %.120s", path, own.got);
}

enum err chain_check(const struct authority *authority, const struct key_pair *pair, struct span root, struct why *why)
{
	RETURN_IF_ERR(check_life(authority, pair, root, why));
	return check_as_a_sidecar(authority, pair, root, why);
}
