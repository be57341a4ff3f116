#include "cli/cluster/document_file.h"
#include "base/net/fd.h"
#include "cli/cluster/documents.h"
#include <stdio.h>
#include <string.h>

static enum err read_standard_input(struct buf *out, struct why *why)
{
	uint8_t chunk[16384];
	size_t len;
	while ((len = fread(chunk, 1, sizeof(chunk), stdin)) > 0)
		if (buf_append(out, span_of(chunk, len)) != ERR_NONE)
			return why_set(why, ERR_TOO_LARGE, "at most 16 MiB", "give fewer objects at once",
				"the standard input is larger");
	return ERR_NONE;
}

enum err document_file_read(const char *file, struct buf *out, struct why *why)
{
	return strcmp(file, "-") == 0 ? read_standard_input(out, why) : fd_read_file(file, DOCUMENTS_MAX, out, why);
}
