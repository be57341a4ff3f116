#include "base/h2/h2_closed.h"

bool h2_closed_request(struct h2_closed *closed, int32_t stream_id)
{
	if (stream_id <= closed->last_request)
		return stream_id < closed->passed_over_from || stream_id > closed->passed_over;
	int32_t expected = closed->last_request == 0 ? 1 : closed->last_request + 2;
	if (stream_id > expected) {
		closed->passed_over_from = expected;
		closed->passed_over = stream_id - 2;
	}
	closed->last_request = stream_id;
	return true;
}

void h2_closed_add(struct h2_closed *closed, int32_t stream_id, bool was_reset)
{
	closed->ids[closed->next] = stream_id;
	closed->was_reset[closed->next] = was_reset;
	closed->next = (closed->next + 1) % H2_CLOSED_KEPT;
}

enum h2_closed_by h2_closed_take(struct h2_closed *closed, int32_t stream_id)
{
	for (uint32_t i = 0; i < H2_CLOSED_KEPT; i++) {
		if (closed->ids[i] != stream_id)
			continue;
		closed->ids[i] = 0;
		return closed->was_reset[i] ? H2_CLOSED_BY_RESET : H2_CLOSED_BY_END;
	}
	return H2_CLOSED_UNKNOWN;
}
