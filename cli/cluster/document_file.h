/* The file that --file names. */
#pragma once

#include "base/core/buf.h"

/* Its text, of at most DOCUMENTS_MAX bytes; "-": the standard input. */
enum err document_file_read(const char *file, struct buf *out, struct why *why) _must_use_;
