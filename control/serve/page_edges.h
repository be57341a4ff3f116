/* The edges of the mesh for the operators' page: who has asked about which destination, and what it was answered. A
 * sidecar asks when its workload connects. */
#pragma once

#include "control/serve/serve_private.h"
#include <jansson.h>

/* "edges", an edge per identity and destination; "num_edges_left_out", those for which there was no room, of each
 * identity equally many shown; "num_interests", how many there are before they are joined. */
void page_edges_add(const struct serve *serve, json_t *page);
