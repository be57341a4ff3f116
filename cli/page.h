/* One page of a sidecar's admin endpoint, fetched and parsed: of this machine, or of the pod that the command's
 * argument names. */
#pragma once

#include "base/settings/command_line/command_line.h"
#include <jansson.h>

/* Fetches from --admin, or the pod. ERR_UNAVAILABLE: no sidecar listens there, or the answer is not from a sidecar. The
 * caller owns *out. */
enum err page_get(const struct command_line *line, const char *path, json_t **out, struct why *why) _must_use_;
/* Fetches it, and prints it: as it is with --output json, else by `print`. Returns the command's exit code. */
typedef void page_print_fn(const json_t *page);
enum cli_exit page_show(struct command_line *line, const char *path, page_print_fn *print);
/* Whether --admin names a sidecar, or one answers where it is not given. */
bool page_has_sidecar(const struct command_line *line);
/* What `check` and `certs` print of such a page. */
void page_print_check(const json_t *page);
void page_print_identity(const json_t *page);
