/* The application behind the proxies: answers requests (request.h) until it is killed. */
#pragma once

#include "base/core/addr.h"
#include "base/core/loop.h"

enum err far_end_start(struct loop *loop, const struct addr *at, struct why *why) _must_use_;
