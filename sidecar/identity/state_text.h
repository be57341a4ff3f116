/* The text of the enrolled state: lines of `key value` between a first line with the version and a last one with the
 * SHA-256 of what stands above it. Pure. */
#pragma once

#include "sidecar/identity/state_folder.h"

#define STATE_TEXT_MAX 4096

enum err state_text_encode(const struct enrolled_state *state, struct buf *out) _must_use_;
/* ERR_STATE_DAMAGED: any byte is not as it was written, or the version is none of ours. */
enum err state_text_parse(struct span text, struct enrolled_state *out, struct why *why) _must_use_;
