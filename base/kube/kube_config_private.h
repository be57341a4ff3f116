/* What both sources of a configuration share. Private to base/kube. */
#pragma once

#include "base/kube/kube_config.h"

enum err kube_config_read(const char *path, struct buf *out, struct why *why) _must_use_; /* at most 1 MiB */
