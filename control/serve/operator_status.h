/* Gathers what `handfast status` shows. */
#pragma once

#include "control/serve/operator_messages.h"
#include "control/serve/serve_private.h"

typedef enum err status_use_fn(void *arg, const struct status *status); /* borrowed */
enum err operator_status_gather(const struct serve *serve, status_use_fn *use, void *arg) _must_use_;
enum err operator_status(const struct serve *serve, struct buf *out) _must_use_; /* StatusResponse */
