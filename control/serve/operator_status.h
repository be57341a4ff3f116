/* Gathers what `handfast status` shows. */
#pragma once

#include "control/serve/serve_private.h"

enum err operator_status(const struct serve *serve, struct buf *out) _must_use_; /* StatusResponse */
