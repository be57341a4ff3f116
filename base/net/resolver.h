/* Names to addresses, without blocking: the only door to c-ares. One question at a time; the file of hosts counts, as
 * the system's settings say. */
#pragma once

#include "base/core/addr.h"
#include "base/core/loop.h"

struct resolver;

#define RESOLVED_MAX 16

/* err ERR_NONE with num > 0; ERR_NOT_FOUND: there is no such name; ERR_TIMEOUT; ERR_UNAVAILABLE: no server answers.
 * Never from within resolver_ask(). The callee may ask again and may not free. */
typedef void resolver_done_fn(void *arg, enum err err, const struct ip_addr *ips, size_t num);

enum err resolver_new(struct loop *loop, struct resolver **out, struct why *why) _must_use_;
void resolver_free(struct resolver *resolver); /* a question under way is dropped, its callback not called */
void resolver_ask(
	struct resolver *resolver, const char *name, uint32_t timeout_ms, resolver_done_fn *on_done, void *arg);
void resolver_cancel(struct resolver *resolver); /* its callback is not called; allowed when there is none */

const char *resolver_library_version(void);
