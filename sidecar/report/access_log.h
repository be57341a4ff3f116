/* The access log: one JSON line per connection, when it ends. The line is built in a bounded buffer and written with
 * one call, from any thread. If the reader is too slow, lines are lost and counted; a worker never waits for it. */
#pragma once

#include "base/core/addr.h"
#include "certs/spiffe_id.h"

enum access_log_mode { ACCESS_LOG_OFF, ACCESS_LOG_FAILURES, ACCESS_LOG_ALL, ACCESS_LOG_SAMPLED };

struct access_record {                                      /* borrowed during the call */
	const char *direction;                              /* "outbound", "inbound", "inbound_plain" */
	struct addr source, destination;                    /* family 0: unknown */
	struct addr endpoint;                               /* outbound: the endpoint that was chosen */
	const struct spiffe_id *source_id, *destination_id; /* NULL: none */
	uint64_t bytes_sent, bytes_received;                /* to the destination, to the source */
	uint64_t opened_ms, duration_ms;
	int64_t ended_wall_ms;
	const char *reason; /* close reason's label */
	bool failed;
	bool relayed;             /* both legs were open */
	bool encrypted;           /* the leg outside of the pod */
	const char *key_exchange; /* of its tunnel; NULL: none */
	const char *rule;         /* the policy rule that decided; NULL: none did */
	const char *dry_run_rule;
	const struct why *detail; /* NULL: no failure */
};

/* In FAILURES and SAMPLED, a source or identity gets a few lines per reason and 10 seconds; one line reports how many
 * were suppressed. ALL suppresses none. */
struct access_log;
struct access_log *access_log_new(enum access_log_mode mode, unsigned one_in,
	int fd); /* fd borrowed; one_in for SAMPLED (failures are always written) */
void access_log_free(struct access_log *log);
void access_log_write(struct access_log *log, const struct access_record *record);
void access_log_sweep(
	struct access_log *log, uint64_t now_ms); /* monotonic; about once per second: reports suppressed lines */
uint64_t access_log_num_suppressed(struct access_log *log);
uint64_t access_log_num_lost(const struct access_log *log); /* lines that the reader was too slow for */
