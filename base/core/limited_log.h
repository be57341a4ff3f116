/* log_limit.h on a loop and in front of the log: asks before each line that a stranger or a peer can cause, and says by
 * itself, when a window ends, how many more there were. */
#pragma once

#include "base/core/log_limit.h"
#include "base/core/loop.h"

struct limited_log;
struct limited_log *limited_log_new(struct loop *loop, const char *component); /* component: static, of its own lines */
void limited_log_free(struct limited_log *log); /* what was counted and not told is told */
DEFINE_CLEANUP(struct limited_log *, limited_log_free)

/* Whether the line is to be written. An IPv6 source counts by its /64. `reason`: a label. */
bool limited_log_may_source(struct limited_log *log, const struct ip_addr *source, const char *reason);
bool limited_log_may_identity(struct limited_log *log, const char *identity, const char *reason);
uint64_t limited_log_num_suppressed(const struct limited_log *log);
