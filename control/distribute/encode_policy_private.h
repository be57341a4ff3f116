/* Shared by encode.c and encode_policy.c. */
#pragma once

#include "control/distribute/encode_policy.h"
#include "proto/handfast/v1/discovery.pb-c.h"
#include <stddef.h>

/* Pieces of a message under construction, freed together after packing. */
struct piece {
	struct piece *next;
	max_align_t bytes[];
};
void scrap_done(struct piece **scrap);

size_t networks_encode(struct piece **scrap, const struct network *networks, size_t num, Handfast__V1__Network ***out);
void policy_encode(struct piece **scrap, const struct mesh_state *state, Handfast__V1__Policy *out);
