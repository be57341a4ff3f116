/* A small file that must also be replaced while its disk is full: beside it lies a second one, its spare, whose block
 * is there already. The new content goes into the spare, and both change places. */
#pragma once

#include "base/core/buf.h"
#include "base/core/err.h"

#define EXCHANGED_FILE_MAX 512 /* bytes: within the smallest block of a file system */

/* Replaces the file atomically and durably, as fd_write_file() does; `path`.spare is the spare, which has the former
 * content afterwards: nothing secret. The first write makes both files. Without a spare, and on a file system that
 * cannot exchange two files, it is fd_write_file(), with its errors. */
enum err exchanged_file_write(const char *path, struct span content, unsigned mode, struct why *why) _must_use_;
