#include "control/archive.h"
#include "base/core/check.h"
#include <string.h>

enum { HEAD_LEN = 9 }; /* length of the name, length of the content in big-endian order */

/* Neither a path upward nor a hidden file. */
static bool is_good_name(struct span name)
{
	unsigned num_slashes = 0;
	uint8_t before = '/';
	if (name.len == 0 || name.len > ARCHIVE_NAME_MAX)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		uint8_t c = name.ptr[i];
		bool is_plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
		if (!is_plain && (before == '/' || (c != '/' && c != '.')))
			return false;
		num_slashes += c == '/';
		before = c;
	}
	return num_slashes <= 1 && before != '/' && before != '.';
}

enum err archive_add(struct buf *out, const char *name, struct span content)
{
	uint8_t head[HEAD_LEN] = {(uint8_t)strlen(name)};
	CHECK(is_good_name(span_of_str(name)));
	for (size_t i = 0; i < 8; i++)
		head[1 + i] = (uint8_t)((uint64_t)content.len >> (56 - 8 * i));
	RETURN_IF_ERR(buf_append(out, span_of(head, sizeof head)));
	RETURN_IF_ERR(buf_append_str(out, name));
	return buf_append(out, content);
}

static bool take_file(struct span *rest, struct archive_file *out)
{
	uint64_t len = 0;
	if (rest->len < HEAD_LEN)
		return false;
	size_t name_len = rest->ptr[0];
	for (size_t i = 0; i < 8; i++)
		len = len << 8 | rest->ptr[1 + i];
	*rest = span_from(*rest, HEAD_LEN);
	if (rest->len < name_len || !is_good_name(span_of(rest->ptr, name_len)) || rest->len - name_len < len)
		return false;
	memcpy(out->name, rest->ptr, name_len);
	out->name[name_len] = '\0';
	out->content = span_of(rest->ptr + name_len, (size_t)len);
	*rest = span_from(*rest, name_len + (size_t)len);
	return true;
}

enum err archive_parse(struct span bytes, struct archive *out, struct why *why)
{
	*out = (struct archive){.num = 0};
	while (bytes.len > 0) {
		if (out->num == ARCHIVE_FILES_MAX || !take_file(&bytes, &out->files[out->num]) ||
			archive_find(out, out->files[out->num].name) != NULL)
			return why_set(why, ERR_MALFORMED, "a backup of this release", "use the release that made it",
				"file %zu of the backup is malformed, or there twice", out->num + 1);
		out->num++;
	}
	return ERR_NONE;
}

const struct archive_file *archive_find(const struct archive *archive, const char *name)
{
	for (size_t i = 0; i < archive->num; i++)
		if (strcmp(archive->files[i].name, name) == 0)
			return &archive->files[i];
	return NULL;
}
