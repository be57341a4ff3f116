#include "control/issue/key_folder.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/net/exchanged_file.h"
#include "base/net/fd.h"
#include "certs/pem.h"
#include "control/issue/certificate.h"
#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX 24576 /* a key and as many certificates of CERTIFICATE_MAX as a pair has */

void key_pair_done(struct key_pair *pair)
{
	if (pair->key != NULL)
		private_key_unref(pair->key);
	buf_done(&pair->certificate);
	for (size_t i = 0; i < KEY_PAIR_ABOVE_MAX; i++)
		buf_done(&pair->above[i]);
	pair->key = NULL;
}

enum err key_folder_open(struct key_folder *folder, const char *path, struct why *why)
{
	struct stat found;
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return why_set(why, err_from_errno(errno), "a folder for the signer's keys", "check its parent folder",
			"cannot open the folder %s: %m", path);
	if (lstat(path, &found) != 0 || !S_ISDIR(found.st_mode))
		return why_set(why, ERR_CONFIG, "a folder for the signer's keys", "remove the file that is there",
			"%s is not a folder", path);
	if ((found.st_mode & 077) != 0 || found.st_uid != geteuid())
		return why_set(why, ERR_CONFIG, "a key folder that only the signer can enter",
			"chown it and chmod 0700", "%s has mode %04o and uid %u", path, found.st_mode & 07777u,
			found.st_uid);
	folder->path = path;
	return ERR_NONE;
}

/* The folder is closed to others now; the file may have been readable before, as in a restored backup. */
static enum err check_file(const char *path, struct why *why)
{
	struct stat found;
	if (lstat(path, &found) != 0)
		return errno == ENOENT ? ERR_NOT_FOUND
				       : why_set(why, err_from_errno(errno), "a key file that can be read",
						 "check its permissions", "cannot read the key file %s: %m", path);
	if (S_ISREG(found.st_mode) && (found.st_mode & 077) == 0 && found.st_uid == geteuid())
		return ERR_NONE;
	return why_set(why, ERR_DENIED, "a key file that only the signer can read",
		"chown it and chmod 0600; if others may have read it, make new keys", "%s has mode %04o and uid %u",
		path, found.st_mode & 07777u, found.st_uid);
}

static enum err damaged(struct why *why, const char *path)
{
	return why_set(why, ERR_STATE_DAMAGED, "one key and its certificate",
		"restore a backup of the key folder; nothing was overwritten", "%s is damaged", path);
}

static enum err add_block(const struct pem_block *block, size_t at, struct key_pair *pair)
{
	const struct span der = span_of(block->der, block->der_len);
	if (block->is_encrypted)
		return ERR_MALFORMED;
	if (strcmp(block->label, "PRIVATE KEY") == 0 && at == 0)
		return private_key_parse(der, &pair->key, NULL);
	if (strcmp(block->label, "CERTIFICATE") != 0)
		return ERR_MALFORMED;
	struct buf *to = &pair->certificate;
	for (size_t i = 0; to != NULL && buf_len(to) > 0; i++)
		to = i < KEY_PAIR_ABOVE_MAX ? &pair->above[i] : NULL;
	if (to == NULL)
		return ERR_MALFORMED;
	buf_init(to, CERTIFICATE_MAX);
	return buf_append(to, der);
}

/* Text before a block is skipped by the format: a key whose block no longer begins as one would pass for none. */
static enum err parse_pair(struct span content, struct key_pair *out)
{
	_cleanup_(pem_block_done) struct pem_block block = {0};
	_cleanup_(key_pair_done) struct key_pair pair = {0};
	if (!span_starts_with(content, SPAN_LITERAL("-----BEGIN ")))
		return ERR_MALFORMED;
	enum err err = pem_next(&content, &block);
	for (size_t at = 0; err == ERR_NONE; at++) {
		RETURN_IF_ERR(add_block(&block, at, &pair));
		err = pem_next(&content, &block);
	}
	if (err != ERR_NOT_FOUND || buf_len(&pair.certificate) == 0)
		return ERR_MALFORMED;
	if (pair.key != NULL)
		RETURN_IF_ERR(certificate_matches(buf_span(&pair.certificate), pair.key));
	*out = pair;
	pair = (struct key_pair){0};
	return ERR_NONE;
}

static enum err load(
	const struct key_folder *folder, const char *name, bool must_have_key, struct key_pair *out, struct why *why)
{
	_cleanup_(mem_freep) char *path = mem_printf("%s/%s.pem", folder->path, name);
	_cleanup_(buf_wipe) struct buf content = BUF_INIT(FILE_MAX);
	_cleanup_(key_pair_done) struct key_pair pair = {0};
	RETURN_IF_ERR(check_file(path, why));
	RETURN_IF_ERR(fd_read_file(path, FILE_MAX, &content, why));
	if (parse_pair(buf_span(&content), &pair) != ERR_NONE || (must_have_key && pair.key == NULL))
		return damaged(why, path);
	*out = pair;
	pair = (struct key_pair){0};
	return ERR_NONE;
}

enum err key_folder_load(const struct key_folder *folder, const char *name, struct key_pair *out, struct why *why)
{
	return load(folder, name, true, out, why);
}

enum err key_folder_load_keyless(
	const struct key_folder *folder, const char *name, struct key_pair *out, struct why *why)
{
	return load(folder, name, false, out, why);
}

enum err key_folder_save(
	const struct key_folder *folder, const char *name, const struct key_pair *pair, struct why *why)
{
	_cleanup_(mem_freep) char *path = mem_printf("%s/%s.pem", folder->path, name);
	_cleanup_(buf_wipe) struct buf pkcs8 = BUF_INIT(FILE_MAX);
	_cleanup_(buf_wipe) struct buf content = BUF_INIT(FILE_MAX);
	CHECK(buf_len(&pair->certificate) > 0);
	if (pair->key != NULL) {
		RETURN_IF_ERR(private_key_encode(pair->key, &pkcs8));
		RETURN_IF_ERR(pem_encode("PRIVATE KEY", buf_span(&pkcs8), &content));
	}
	RETURN_IF_ERR(pem_encode("CERTIFICATE", buf_span(&pair->certificate), &content));
	for (size_t i = 0; i < KEY_PAIR_ABOVE_MAX && buf_len(&pair->above[i]) > 0; i++)
		RETURN_IF_ERR(pem_encode("CERTIFICATE", buf_span(&pair->above[i]), &content));
	return fd_write_file(path, buf_span(&content), 0600, why);
}

enum err key_folder_remove(const struct key_folder *folder, const char *name, struct why *why)
{
	_cleanup_(mem_freep) char *path = mem_printf("%s/%s.pem", folder->path, name);
	if (unlink(path) == 0 || errno == ENOENT)
		return ERR_NONE;
	return why_set(why, err_from_errno(errno), "a key folder that the signer can write",
		"check its permissions and its disk", "cannot remove %s: %m", path);
}

/* Reads the next number of "1 2 3\n" from *text. */
static bool take_number(struct span *text, uint64_t *out)
{
	uint64_t value = 0;
	size_t len = 0;
	for (; len < text->len && text->ptr[len] >= '0' && text->ptr[len] <= '9'; len++)
		if (__builtin_mul_overflow(value, 10, &value) ||
			__builtin_add_overflow(value, (uint64_t)(text->ptr[len] - '0'), &value))
			return false;
	if (len == 0 || len == text->len || (text->ptr[len] != ' ' && text->ptr[len] != '\n'))
		return false;
	*text = span_from(*text, len + 1);
	*out = value;
	return true;
}

/* Release 0.1.0 wrote one number, the epoch. */
enum err key_folder_load_mark(const struct key_folder *folder, struct store_mark *out, struct why *why)
{
	_cleanup_(mem_freep) char *path = mem_printf("%s/epoch", folder->path);
	_cleanup_(buf_done) struct buf content = BUF_INIT(128);
	struct store_mark mark = {0};
	*out = mark;
	if (access(path, F_OK) != 0 && errno == ENOENT)
		return ERR_NONE;
	RETURN_IF_ERR(fd_read_file(path, 80, &content, why));
	struct span text = buf_span(&content);
	bool is_good = take_number(&text, &mark.epoch) &&
		       (text.len == 0 || (take_number(&text, &mark.incarnation) && take_number(&text, &mark.revision)));
	if (!is_good || text.len != 0)
		return damaged(why, path);
	*out = mark;
	return ERR_NONE;
}

enum err key_folder_save_mark(const struct key_folder *folder, const struct store_mark *mark, struct why *why)
{
	_cleanup_(mem_freep) char *path = mem_printf("%s/epoch", folder->path);
	_cleanup_(mem_freep) char *text =
		mem_printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", mark->epoch, mark->incarnation, mark->revision);
	return exchanged_file_write(path, span_of_str(text), 0600, why);
}
