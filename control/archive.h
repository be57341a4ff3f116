/* Files of a backup in one piece of bytes. An archive is only ever read after its seal was checked; it is checked
 * nevertheless. Pure. */
#pragma once

#include "base/core/buf.h"

#define ARCHIVE_FILES_MAX 64
#define ARCHIVE_NAME_MAX  64

/* name: "FOLDER/FILE" or "FILE" of lower-case letters, digits, "-" and ".". ERR_LIMIT of out. */
enum err archive_add(struct buf *out, const char *name, struct span content) _must_use_;

struct archive_file { /* borrowed from the archive */
	char name[ARCHIVE_NAME_MAX + 1];
	struct span content;
};
struct archive {
	struct archive_file files[ARCHIVE_FILES_MAX];
	size_t num;
};
/* ERR_MALFORMED. */
enum err archive_parse(struct span bytes, struct archive *out, struct why *why) _must_use_;
/* NULL: it has no such file. */
const struct archive_file *archive_find(const struct archive *archive, const char *name);
