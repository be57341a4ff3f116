/* Whom connections went to and came from, for the report to the control plane: a row per peer, port and outcome, with
 * counts and times. The rows are bounded: of a new one the least recently seen gives way, and sources without an
 * identity take at most half. Off until a control plane asks. Any thread. */
#pragma once

#include "sidecar/report/access_log.h"

#define PEERS_MAX 64

struct peer_seen {
	char id[256];        /* "": none; a longer one is left out */
	struct addr address; /* outbound: the destination; inbound: the source, with the own port */
	bool is_outbound, is_encrypted;
	const char *reason; /* static: the close reason of a failure; "": none */
	char detail[160], fix[192];
	uint64_t num;
	int64_t first_ms, last_ms;
};

struct peers;
struct peers *peers_new(void);
void peers_free(struct peers *peers);
void peers_set_on(struct peers *peers, bool is_on);                       /* what was seen stays */
void peers_note(struct peers *peers, const struct access_record *record); /* a connection has ended */
/* The most recent first; *out_left_out: how many rows gave way since the start. */
size_t peers_copy(struct peers *peers, struct peer_seen out[PEERS_MAX], uint32_t *out_left_out);
