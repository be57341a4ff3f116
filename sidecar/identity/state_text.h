/* The text format of the enrolled state: a first line with the version, lines of `key value`, and a last line with the
 * SHA-256 of all lines before it. The key `used-token`, which 0.1.0 wrote too, is the consumed token. Pure. */
#pragma once

#include "sidecar/identity/state_folder.h"

#define STATE_TEXT_MAX 4096

enum err state_text_encode(const struct enrolled_state *state, struct buf *out) _must_use_;
/* ERR_STATE_DAMAGED: a byte has changed since it was written, or the version is not supported. */
enum err state_text_parse(struct span text, struct enrolled_state *out, struct why *why) _must_use_;
