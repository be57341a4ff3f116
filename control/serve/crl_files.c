#include "control/serve/crl_files.h"

#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "certs/digest.h"
#include "certs/pem.h"

struct crl_file {
	const char *path;
	uint8_t seen[DIGEST_LEN]; /* of the content that was judged last; zero: it could not be read */
	bool was_read;
	struct buf der;        /* the last usable list; empty: none */
	struct why unreadable; /* of the content that was judged last */
	struct why left_out;   /* by the last bundle set; err ERR_NONE: it is used */
	int64_t next_update_s; /* of `der` */
};

struct crl_files {
	struct trust_domain domain;
	size_t num;
	struct crl_file files[CRL_FILES_MAX];
};

struct crl_files *crl_files_new(char *const *paths, size_t num, const struct trust_domain *domain)
{
	struct crl_files *files = mem_new(struct crl_files);
	files->domain = *domain;
	files->num = num;
	CHECK(num <= CRL_FILES_MAX);
	for (size_t i = 0; i < num; i++)
		files->files[i] = (struct crl_file){.path = paths[i], .der = BUF_INIT(CRL_FILE_BYTES_MAX)};
	(void)crl_files_poll(files);
	return files;
}

void crl_files_free(struct crl_files *files)
{
	if (files == NULL)
		return;
	for (size_t i = 0; i < files->num; i++)
		buf_done(&files->files[i].der);
	mem_free(files);
}

/* The list in a PEM block, or the content as it is. */
static enum err to_der(struct span content, struct buf *out)
{
	struct pem_block block = {0};
	if (content.len > 0 && content.ptr[0] == 0x30) /* a SEQUENCE */
		return buf_append(out, content);
	enum err err = pem_next(&content, &block);
	if (err == ERR_NONE)
		err = strcmp(block.label, "X509 CRL") == 0 ? buf_append(out, span_of(block.der, block.der_len))
							   : ERR_MALFORMED;
	pem_block_done(&block);
	return err;
}

/* Without a root in the bundle only the form is checked. */
static enum err check_form(const struct crl_files *files, struct span der, int64_t *out_next_s, struct why *why)
{
	_cleanup_(bundle_unrefp) struct bundle *empty = NULL;
	_cleanup_(bundle_set_unrefp) struct bundle_set *set = bundle_set_new();
	struct revocation_lists lists;
	RETURN_IF_ERR(bundle_new(&files->domain, NULL, 0, &empty, why));
	RETURN_IF_ERR(bundle_set_add(set, empty, why));
	RETURN_IF_ERR(bundle_set_add_crl(set, &files->domain, der, why));
	bundle_set_lists(set, 0, &lists);
	*out_next_s = lists.ends_s;
	return ERR_NONE;
}

static enum err take(const struct crl_files *files, struct crl_file *file, struct span content, struct why *why)
{
	_cleanup_(buf_done) struct buf der = BUF_INIT(CRL_FILE_BYTES_MAX);
	if (to_der(content, &der) != ERR_NONE)
		return why_set(why, ERR_MALFORMED, "one revocation list in DER or PEM",
			"let the certificate authority publish it again", "%s has something else", file->path);
	RETURN_IF_ERR(check_form(files, buf_span(&der), &file->next_update_s, why));
	buf_clear(&file->der);
	return buf_append(&file->der, buf_span(&der));
}

static void name_file(const struct crl_file *file, const struct why *from, struct why *out)
{
	(void)why_set(out, from->err, from->expected, from->fix, "%s: %s", file->path, from->got);
}

static bool poll_file(const struct crl_files *files, struct crl_file *file)
{
	_cleanup_(buf_done) struct buf content = BUF_INIT(CRL_FILE_BYTES_MAX);
	uint8_t hash[DIGEST_LEN] = {0};
	struct why why = {0};
	enum err err = fd_read_file(file->path, CRL_FILE_BYTES_MAX, &content, &why);
	if (err == ERR_NONE)
		digest_sha256(buf_span(&content), hash);
	if (file->was_read && memcmp(hash, file->seen, DIGEST_LEN) == 0)
		return false;
	memcpy(file->seen, hash, DIGEST_LEN);
	file->was_read = true;
	file->unreadable = (struct why){0};
	if (err == ERR_NONE)
		err = take(files, file, buf_span(&content), &why);
	if (err == ERR_NONE)
		return true;
	name_file(file, &why, &file->unreadable);
	log_why(LOG_LEVEL_ERROR, "trust", "a revocation list cannot be used; the last one of that file stays",
		&file->unreadable);
	return false;
}

bool crl_files_poll(struct crl_files *files)
{
	bool has_changed = false;
	for (size_t i = 0; files != NULL && i < files->num; i++)
		has_changed = poll_file(files, &files->files[i]) || has_changed;
	return has_changed;
}

void crl_files_add(struct crl_files *files, struct bundle_set *set)
{
	for (size_t i = 0; files != NULL && i < files->num; i++) {
		struct crl_file *file = &files->files[i];
		struct why why = {0};
		file->left_out = (struct why){0};
		if (buf_len(&file->der) == 0 ||
			bundle_set_add_crl(set, &files->domain, buf_span(&file->der), &why) == ERR_NONE)
			continue;
		name_file(file, &why, &file->left_out);
		log_why(LOG_LEVEL_ERROR, "trust", "a revocation list is left out", &file->left_out);
	}
}

bool crl_files_trouble(const struct crl_files *files, int64_t now_s, struct why *why)
{
	for (size_t i = 0; files != NULL && i < files->num; i++) {
		const struct crl_file *file = &files->files[i];
		const struct why *trouble = file->unreadable.err != ERR_NONE ? &file->unreadable : &file->left_out;
		if (trouble->err != ERR_NONE) {
			*why = *trouble;
			return true;
		}
		if (buf_len(&file->der) == 0 || file->next_update_s > now_s)
			continue;
		(void)why_set(why, ERR_EXPIRED, "a revocation list before its nextUpdate",
			"let the certificate authority publish a new list",
			"%s is past its nextUpdate: what it names stays refused, nothing newer is known", file->path);
		return true;
	}
	return false;
}
