/* What sidecars report of their connections, for the operators' page. None of it is checked but the identity that
 * reports it: a sidecar can be wrong about its peers. */
#pragma once

#include "control/serve/serve_private.h"
#include <jansson.h>

/* "seen", a row per report's row; "ports", a row per inbound port of a sidecar; of each identity equally many where
 * there is no room for all. "num_seen_left_out", "num_ports_left_out": rows without room. "num_reports", those that are
 * kept; "num_reports_left_out", streams whose last one was not. */
void page_seen_add(const struct serve *serve, json_t *page);
