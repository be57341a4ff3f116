/* What the operator's pages say: facts in, JSON out. Each returns a new reference. Pure. */
#pragma once

#include "certs/credentials.h"
#include "sidecar/report/failures.h"
#include "sidecar/report/port_use.h"
#include <jansson.h>

/* /certs: who we are, until when, and whom we trust. credentials NULL: no identity yet. */
json_t *page_certs(const struct credentials *credentials, int64_t now_s);

/* /why: the last failures, the last seen first. */
json_t *page_why(struct failures *failures);

/* /config: one of the settings in force. Secrets are files, so only their names can stand here. */
struct page_setting {
	const char *key, *value; /* value NULL: none */
	const char *from;        /* "default", "file", "environment", "flag", "control plane" */
	const char *origin;      /* "sidecar.yaml:12", "--log.level" */
	bool waits;              /* a restart changes it to `next` */
	const char *next;
};
json_t *page_setting(const struct page_setting *setting);

/* /check: is it ready, and what is not as it should be? */
enum page_level { PAGE_FINE, PAGE_DEGRADED, PAGE_FAILED }; /* degraded: ready nevertheless */
struct page_condition {
	const char *name; /* "control plane unreachable" */
	enum page_level level;
	const char *detail, *fix; /* NULL: nothing to add */
};
json_t *page_check(const struct page_condition *conditions, size_t num_conditions, const struct port_use *ports);
bool page_is_ready(const struct page_condition *conditions, size_t num_conditions); /* nothing has failed */

/* Building blocks. A text that is no UTF-8 is shown escaped. */
json_t *page_text(const char *text);        /* NULL: null */
json_t *page_addr(const struct addr *addr); /* null when there is none */
json_t *page_time_s(int64_t seconds);
json_t *page_time_ms(int64_t milliseconds);
