/* Finds one attestation key at work in two places: a state folder that was copied to another host. Pure.
 *
 * A sidecar that comes back may have its old connection beside the new one until that is noticed to be dead (40 s at
 * most): only connections that have stood together for longer count. A second connection of the other address family
 * is the same sidecar's. */
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
/* Sorts the rows; calls on_found for each neighbor pair that is one key at work twice. Returns how many pairs. */
size_t copies_find(struct copies_row *rows, size_t num, uint64_t now_ms, copies_found_fn *on_found, void *arg);
