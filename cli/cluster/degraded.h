/* Sidecars that are ready and report that something is wrong nevertheless, by their pages /check: counted per namespace
 * and condition. Pure. */
#pragma once

#include "cli/cluster/findings.h"

struct degraded;
struct degraded *degraded_new(void);
void degraded_free(struct degraded *degraded);
void degraded_add(struct degraded *degraded, const char *namespace_, const char *pod, const json_t *page);
void degraded_report(const struct degraded *degraded, struct findings *findings);
