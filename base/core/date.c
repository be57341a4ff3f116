#include "base/core/date.h"
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static bool put_seconds(int64_t seconds, char out[DATE_TEXT_MAX])
{
	time_t when = (time_t)seconds;
	struct tm utc;
	if (gmtime_r(&when, &utc) != NULL && strftime(out, DATE_TEXT_MAX - 6, "%Y-%m-%dT%H:%M:%S", &utc) > 0)
		return true;
	snprintf(out, DATE_TEXT_MAX, "%" PRId64, seconds);
	return false;
}

const char *date_format(int64_t seconds, char out[DATE_TEXT_MAX])
{
	if (put_seconds(seconds, out))
		snprintf(out + strlen(out), 6, "Z");
	return out;
}

const char *date_format_ms(int64_t milliseconds, char out[DATE_TEXT_MAX])
{
	int64_t seconds = milliseconds / 1000 - (milliseconds % 1000 < 0);
	if (put_seconds(seconds, out))
		snprintf(out + strlen(out), 6, ".%03dZ", (int)(milliseconds - seconds * 1000));
	return out;
}

bool date_parse(const char *text, int64_t *out_seconds)
{
	struct tm utc = {0};
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &utc);
	if (end == NULL || *end != '\0')
		return false;
	*out_seconds = timegm(&utc);
	return true;
}
