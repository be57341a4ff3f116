/* Why a connection ended: one table for the log, the metrics, the other sidecar and the documentation. */
#pragma once

#include <stdbool.h>

enum close_reason {
#define CLOSE_REASON(symbol, label, status, failed) symbol,
#include "sidecar/conn/close_reason.def"
#undef CLOSE_REASON
	NUM_CLOSE_REASONS
};

const char *close_reason_label(enum close_reason reason);
unsigned close_reason_status(enum close_reason reason);
bool close_reason_is_failure(enum close_reason reason);
/* The reason with that label, as the handfast-reason header carries it; false: no reason has it. */
bool close_reason_parse(const char *label, enum close_reason *out);
