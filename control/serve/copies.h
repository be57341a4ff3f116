/* Finds an attestation key that is used in two places: a state folder that was copied to another host. Pure.
 *
 * A sidecar that reconnects may have its old connection beside the new one until the old one is found dead (40 s at
 * most): only connections that coexist for longer count. A second connection of the other address family belongs to the
 * same sidecar. */
#pragma once

#include "certs/digest.h"

#define COPIES_STAND_MS 45000

struct copies_row { /* one identity stream whose attestation key is known */
	uint8_t key_hash[DIGEST_LEN];
	uint16_t family; /* of its source */
	uint64_t since_ms;
	void *stream;
};
typedef void copies_found_fn(void *arg, void *stream, void *other);
/* Sorts the rows; calls on_found for each pair of neighbors with one key. Returns how many pairs. */
size_t copies_find(struct copies_row *rows, size_t num, uint64_t now_ms, copies_found_fn *on_found, void *arg);
