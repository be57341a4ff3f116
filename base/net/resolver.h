/* Asynchronous name resolution; the only file that calls c-ares. One query at a time. Uses /etc/hosts and the DNS
 * according to the system's settings. */
#pragma once

#include "base/core/addr.h"
#include "base/core/loop.h"

struct resolver;

#define RESOLVED_MAX 16

/* err ERR_NONE with num > 0; ERR_NOT_FOUND: there is no such name; ERR_TIMEOUT; ERR_UNAVAILABLE: no server answers.
 * Never called within resolver_query(). The callee may start another query and must not free the resolver. */
typedef void resolver_done_fn(void *arg, enum err err, const struct ip_addr *ips, size_t num);

/* The DNS servers of /etc/resolv.conf as they are now, for resolvers that may not open the file later: a rule of
 * Landlock is about a file, and who replaces it makes another. */
struct name_servers;
struct name_servers *name_servers_new(void);
void name_servers_free(struct name_servers *servers); /* NULL is allowed */

/* kept: used where the file may not be opened; NULL: none; needed during the call alone. */
enum err resolver_new(
	struct loop *loop, const struct name_servers *kept, struct resolver **out, struct why *why) _must_use_;
void resolver_free(struct resolver *resolver); /* cancels a query without its callback */
void resolver_query(
	struct resolver *resolver, const char *name, uint32_t timeout_ms, resolver_done_fn *on_done, void *arg);
void resolver_cancel(struct resolver *resolver); /* without its callback; allowed without a query */

const char *resolver_library_version(void);
