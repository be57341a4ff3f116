#include "sidecar/identity/kept_file.h"

#include "base/net/fd.h"
#include "certs/digest.h"

#define FIRST_LINE "handfast-kept 1\n"
enum { LINE_LEN = sizeof FIRST_LINE - 1, HEAD_LEN = LINE_LEN + DIGEST_LEN };

static enum err digest(struct span binding, struct span content, uint8_t out[DIGEST_LEN])
{
	_cleanup_(buf_wipe) struct buf all = BUF_INIT(binding.len + content.len);
	uint8_t *whole; /* reserved at once: memory that a buffer leaves when it grows is not wiped */
	RETURN_IF_ERR(buf_reserve(&all, binding.len + content.len, &whole));
	RETURN_IF_ERR(buf_append(&all, binding));
	RETURN_IF_ERR(buf_append(&all, content));
	digest_sha256(buf_span(&all), out);
	return ERR_NONE;
}

enum err kept_file_write(const char *path, struct span binding, struct span content, struct why *why)
{
	uint8_t sum[DIGEST_LEN];
	_cleanup_(buf_wipe) struct buf file = BUF_INIT(HEAD_LEN + KEPT_FILE_MAX);
	uint8_t *whole;
	if (content.len > KEPT_FILE_MAX)
		return why_set(why, ERR_TOO_LARGE, "at most 8 MiB", "none: it is not kept", "%s would have %zu bytes",
			path, content.len);
	RETURN_IF_ERR(digest(binding, content, sum));
	RETURN_IF_ERR(buf_reserve(&file, HEAD_LEN + content.len, &whole));
	RETURN_IF_ERR(buf_append_str(&file, FIRST_LINE));
	RETURN_IF_ERR(buf_append(&file, span_of(sum, sizeof sum)));
	RETURN_IF_ERR(buf_append(&file, content));
	return fd_write_file(path, buf_span(&file), 0600, why);
}

static enum err damaged(const char *path, const char *fault, struct why *why)
{
	return why_set(why, ERR_STATE_DAMAGED, "the file as this sidecar wrote it",
		"none: it is written again as soon as there is a control plane", "%s %s", path, fault);
}

enum err kept_file_read(const char *path, struct span binding, struct buf *out, struct why *why)
{
	uint8_t sum[DIGEST_LEN];
	_cleanup_(buf_wipe) struct buf file = BUF_INIT(HEAD_LEN + KEPT_FILE_MAX);
	RETURN_IF_ERR(fd_read_private_file(path, HEAD_LEN + KEPT_FILE_MAX, &file, why));
	struct span all = buf_span(&file);
	if (all.len < HEAD_LEN || memcmp(all.ptr, FIRST_LINE, LINE_LEN) != 0)
		return damaged(path, "does not begin as such a file of this release", why);
	RETURN_IF_ERR(digest(binding, span_from(all, HEAD_LEN), sum));
	if (memcmp(all.ptr + LINE_LEN, sum, DIGEST_LEN) != 0)
		return damaged(path, "has changed, or is of another state folder: its checksum does not match", why);
	return buf_append(out, span_from(all, HEAD_LEN));
}
