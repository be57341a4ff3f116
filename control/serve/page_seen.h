/* What sidecars report of their connections, for the operators' page. None of it is checked but the identity that
 * reports it: a sidecar can be wrong about its peers. */
#pragma once

#include "control/serve/serve_private.h"
#include <jansson.h>

/* "seen", a row per report's row; "ports", a row per inbound port of a sidecar; "num_reports". */
void page_seen_add(const struct serve *serve, json_t *page);
