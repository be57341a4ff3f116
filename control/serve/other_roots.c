#include "control/serve/other_roots.h"

#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "certs/digest.h"
#include "certs/pem.h"

enum { FILE_MAX = 256 * 1024 };

struct other_roots {
	const char *path;
	struct trust_domain domain;
	uint8_t seen[DIGEST_LEN]; /* of the content that was judged last; zero: it could not be read */
	struct bundle_set *bundles;
};

static enum err refuse(const struct other_roots *roots, const char *got, struct why *why)
{
	return why_set(why, ERR_CONFIG, "1 to 32 root certificates in PEM",
		"write them again, such as with: spire-server bundle show", "%s %s", roots->path, got);
}

/* All blocks must be certificates: a key in this file must not go unnoticed. */
static enum err parse(const struct other_roots *roots, struct span rest, struct bundle **out, struct why *why)
{
	struct pem_block blocks[BUNDLE_ROOTS_MAX + 1] = {0};
	struct span der[BUNDLE_ROOTS_MAX];
	size_t num = 0;
	enum err err = ERR_NONE, next = ERR_NONE;
	while (err == ERR_NONE && (next = pem_next(&rest, &blocks[num])) == ERR_NONE) {
		if (num == BUNDLE_ROOTS_MAX || strcmp(blocks[num].label, "CERTIFICATE") != 0) {
			err = refuse(roots, "has something else, or more", why);
			break;
		}
		der[num] = span_of(blocks[num].der, blocks[num].der_len);
		num++;
	}
	if (err == ERR_NONE && (next != ERR_NOT_FOUND || num == 0))
		err = refuse(roots, "has no certificate, or does not parse", why);
	if (err == ERR_NONE)
		err = bundle_new(&roots->domain, der, num, out, why);
	for (size_t i = 0; i <= BUNDLE_ROOTS_MAX; i++)
		pem_block_done(&blocks[i]);
	return err;
}

/* *out_is_new: the content is another one than the last that was judged. */
static enum err read_file(struct other_roots *roots, struct buf *out, bool *out_is_new, struct why *why)
{
	uint8_t hash[DIGEST_LEN] = {0};
	enum err err = fd_read_file(roots->path, FILE_MAX, out, why);
	if (err == ERR_NONE)
		digest_sha256(buf_span(out), hash);
	*out_is_new = memcmp(hash, roots->seen, DIGEST_LEN) != 0;
	memcpy(roots->seen, hash, DIGEST_LEN);
	return err;
}

static enum err take(struct other_roots *roots, struct span content, struct why *why)
{
	_cleanup_(bundle_unrefp) struct bundle *bundle = NULL;
	struct bundle_set *fresh = bundle_set_new();
	enum err err = parse(roots, content, &bundle, why);
	if (err == ERR_NONE)
		err = bundle_set_add(fresh, bundle, why);
	if (err != ERR_NONE) {
		bundle_set_unref(fresh);
		return err;
	}
	bundle_set_unref(roots->bundles);
	roots->bundles = fresh;
	return ERR_NONE;
}

DEFINE_CLEANUP(struct other_roots *, other_roots_free)

enum err other_roots_new(const char *path, const struct trust_domain *domain, struct other_roots **out, struct why *why)
{
	_cleanup_(other_roots_freep) struct other_roots *roots = mem_new(struct other_roots);
	_cleanup_(buf_done) struct buf content = BUF_INIT(FILE_MAX);
	bool is_new;
	roots->path = path;
	roots->domain = *domain;
	RETURN_IF_ERR(read_file(roots, &content, &is_new, why));
	RETURN_IF_ERR(take(roots, buf_span(&content), why));
	*out = TAKE_PTR(roots);
	return ERR_NONE;
}

void other_roots_free(struct other_roots *roots)
{
	if (roots == NULL)
		return;
	bundle_set_unref(roots->bundles);
	mem_free(roots);
}

bool other_roots_poll(struct other_roots *roots)
{
	_cleanup_(buf_done) struct buf content = BUF_INIT(FILE_MAX);
	struct why why = {0};
	bool is_new;
	enum err err = read_file(roots, &content, &is_new, &why);
	if (!is_new)
		return false;
	if (err == ERR_NONE)
		err = take(roots, buf_span(&content), &why);
	if (err != ERR_NONE) {
		log_why(LOG_LEVEL_ERROR, "trust", "the roots of the other authority cannot be used; the last ones stay",
			&why);
		return false;
	}
	log_notice("trust", "took over the roots of the other authority from %s", roots->path);
	return true;
}

const struct bundle_set *other_roots_bundles(const struct other_roots *roots)
{
	CHECK(roots->bundles != NULL);
	return roots->bundles;
}
