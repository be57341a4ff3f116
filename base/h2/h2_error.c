#include "base/core/check.h"
#include "base/h2/h2_session.h"
#include <nghttp2/nghttp2.h>

const char *h2_library_version(void)
{
	return nghttp2_version(0)->version_str;
}

const char *h2_error_name(uint32_t error)
{
	static const char *const names[] = {/* RFC 9113 7 */
		"NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT",
		"STREAM_CLOSED", "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR",
		"ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED"};
	_Static_assert(sizeof(names) / sizeof(names[0]) == NGHTTP2_HTTP_1_1_REQUIRED + 1, "a name per code");
	return error < sizeof(names) / sizeof(names[0]) ? names[error] : "UNKNOWN";
}
