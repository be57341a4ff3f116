/* The operator's pages: convert data to JSON. Each function returns a new reference. Pure. */
#pragma once

#include "certs/credentials.h"
#include "sidecar/report/failures.h"
#include "sidecar/report/port_use.h"
#include <jansson.h>

/* /certs: the identity with its expiry, the trust bundles and the epoch. credentials NULL: no identity yet. */
json_t *page_certs(const struct credentials *credentials, int64_t now_s);

/* /why: the recent failures, the most recent first, and how many others gave way to them since the start. */
json_t *page_why(struct failures *failures);

/* /config: one setting in force. Secrets are in files, so the page has only their paths. */
struct page_setting {
	const char *key, *value; /* value NULL: none */
	const char *from;        /* "default", "file", "environment", "flag", "control plane" */
	const char *origin;      /* "sidecar.yaml:12", "--log.level" */
	bool waits;              /* a restart changes it to `next` */
	const char *next;
};
json_t *page_setting(const struct page_setting *setting);

/* /check: whether the sidecar is ready, and its conditions. */
enum page_level { PAGE_OK, PAGE_DEGRADED, PAGE_FAILED }; /* degraded: still ready */
struct page_condition {
	const char *name; /* "control plane unreachable" */
	enum page_level level;
	const char *detail, *fix; /* NULL: none */
};
typedef bool page_is_strict_fn(const void *arg, uint16_t port);
/* Ports that were used are strict, or ready for strict, or have seen plaintext. */
json_t *page_check(const struct page_condition *conditions, size_t num_conditions, const struct port_use *ports,
	page_is_strict_fn *is_strict, const void *arg);
bool page_is_ready(const struct page_condition *conditions, size_t num_conditions); /* no condition has failed */

/* Values. A text that is not valid UTF-8 is escaped. */
json_t *page_text(const char *text);        /* NULL: null */
json_t *page_addr(const struct addr *addr); /* null when there is none */
json_t *page_time_s(int64_t seconds);
json_t *page_time_ms(int64_t milliseconds);
