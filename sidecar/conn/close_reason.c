#include "sidecar/conn/close_reason.h"
#include "base/core/check.h"
#include <string.h>

static const struct {
	const char *label;
	unsigned status;
	bool failed;
} rows[] = {
#define CLOSE_REASON(symbol, label, status, failed) {label, status, failed},
#include "sidecar/conn/close_reason.def"
#undef CLOSE_REASON
};

const char *close_reason_label(enum close_reason reason)
{
	CHECK(reason < NUM_CLOSE_REASONS);
	return rows[reason].label;
}

unsigned close_reason_status(enum close_reason reason)
{
	CHECK(reason < NUM_CLOSE_REASONS);
	return rows[reason].status;
}

bool close_reason_is_failure(enum close_reason reason)
{
	CHECK(reason < NUM_CLOSE_REASONS);
	return rows[reason].failed;
}

bool close_reason_parse(const char *label, enum close_reason *out)
{
	for (unsigned i = 0; i < NUM_CLOSE_REASONS; i++)
		if (strcmp(rows[i].label, label) == 0) {
			*out = (enum close_reason)i;
			return true;
		}
	return false;
}
