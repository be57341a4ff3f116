#include "control/issue/key_folder.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "control/issue/certificate.h"
#include <errno.h>
#include <inttypes.h>
#include <openssl/bio.h>
#include <openssl/mem.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX 16384

DEFINE_CLEANUP(BIO *, BIO_free)

void key_pair_done(struct key_pair *pair)
{
	if (pair->key != NULL)
		private_key_unref(pair->key);
	buf_done(&pair->certificate);
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

/* The next PEM block, which must be a `type`. */
static enum err read_block(BIO *bio, const char *type, struct buf *out)
{
	char *name = NULL, *header = NULL;
	uint8_t *bytes = NULL;
	long len = 0;
	enum err err = ERR_MALFORMED;
	if (PEM_read_bio(bio, &name, &header, &bytes, &len) == 1 && strcmp(name, type) == 0)
		err = buf_append(out, span_of(bytes, (size_t)len));
	if (bytes != NULL)
		mem_wipe(bytes, (size_t)len);
	OPENSSL_free(bytes);
	OPENSSL_free(name);
	OPENSSL_free(header);
	return err;
}

static enum err parse_pair(struct span content, struct key_pair *out)
{
	_cleanup_(buf_wipe) struct buf pkcs8 = BUF_INIT(FILE_MAX);
	_cleanup_(key_pair_done) struct key_pair pair = {.certificate = BUF_INIT(CERTIFICATE_MAX)};
	_cleanup_(BIO_freep) BIO *bio = BIO_new_mem_buf(content.ptr, (ossl_ssize_t)content.len);
	RETURN_IF_ERR(read_block(bio, "PRIVATE KEY", &pkcs8));
	RETURN_IF_ERR(read_block(bio, "CERTIFICATE", &pair.certificate));
	RETURN_IF_ERR(private_key_parse(buf_span(&pkcs8), &pair.key, NULL));
	RETURN_IF_ERR(certificate_matches(buf_span(&pair.certificate), pair.key));
	*out = pair;
	pair = (struct key_pair){0};
	return ERR_NONE;
}

enum err key_folder_load(const struct key_folder *folder, const char *name, struct key_pair *out, struct why *why)
{
	_cleanup_(mem_freep) char *path = mem_printf("%s/%s.pem", folder->path, name);
	_cleanup_(buf_wipe) struct buf content = BUF_INIT(FILE_MAX);
	RETURN_IF_ERR(check_file(path, why));
	RETURN_IF_ERR(fd_read_file(path, FILE_MAX, &content, why));
	return parse_pair(buf_span(&content), out) == ERR_NONE ? ERR_NONE : damaged(why, path);
}

static enum err write_block(struct buf *out, const char *type, struct span bytes)
{
	_cleanup_(BIO_freep) BIO *bio = BIO_new(BIO_s_mem());
	const uint8_t *text;
	size_t len;
	if (!PEM_write_bio(bio, type, "", bytes.ptr, (long)bytes.len) || !BIO_mem_contents(bio, &text, &len))
		return ERR_CRYPTO;
	return buf_append(out, span_of(text, len));
}

enum err key_folder_save(
	const struct key_folder *folder, const char *name, const struct key_pair *pair, struct why *why)
{
	_cleanup_(mem_freep) char *path = mem_printf("%s/%s.pem", folder->path, name);
	_cleanup_(buf_wipe) struct buf pkcs8 = BUF_INIT(FILE_MAX);
	_cleanup_(buf_wipe) struct buf content = BUF_INIT(FILE_MAX);
	CHECK(pair->key != NULL);
	RETURN_IF_ERR(private_key_encode(pair->key, &pkcs8));
	RETURN_IF_ERR(write_block(&content, "PRIVATE KEY", buf_span(&pkcs8)));
	RETURN_IF_ERR(write_block(&content, "CERTIFICATE", buf_span(&pair->certificate)));
	return fd_write_file(path, buf_span(&content), 0600, why);
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
	return fd_write_file(path, span_of_str(text), 0600, why);
}
