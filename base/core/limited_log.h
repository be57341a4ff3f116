/* Rate limits for log lines that a peer can trigger: log_limit.h with a loop and a log. When a window ends, one line
 * reports how many lines were suppressed in it. */
#pragma once

#include "base/core/log_limit.h"
#include "base/core/loop.h"

struct limited_log;
struct limited_log *limited_log_new(
	struct loop *loop, const char *component); /* component: static; of the reports' lines */
void limited_log_free(struct limited_log *log);    /* logs the counts of open windows */
DEFINE_CLEANUP(struct limited_log *, limited_log_free)

/* Whether the caller may log the line. An IPv6 source counts by its /64. `reason`: a label. */
bool limited_log_allows_source(struct limited_log *log, const struct ip_addr *source, const char *reason);
bool limited_log_allows_identity(struct limited_log *log, const char *identity, const char *reason);
uint64_t limited_log_num_suppressed(const struct limited_log *log);
