#include "base/http/http_date.h"
#include "base/core/check.h"
#include "base/core/number.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Not by strftime(3), which asks the locale. */
static const char DAYS[] = "SunMonTueWedThuFriSat", MONTHS[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

void http_date_format(int64_t s, char out[HTTP_DATE_TEXT])
{
	time_t time = (time_t)s;
	struct tm tm;
	CHECK(gmtime_r(&time, &tm) != NULL);
	CHECK(snprintf(out, HTTP_DATE_TEXT, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", &DAYS[3 * tm.tm_wday],
		      tm.tm_mday, &MONTHS[3 * tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
		      tm.tm_sec) == HTTP_DATE_TEXT - 1);
}

static bool read_number(const char *at, size_t num, int *out)
{
	struct span digits = span_of(at, num);
	*out = (int)number_take(&digits, 9999);
	return digits.len == 0;
}

bool http_date_parse(struct span text, int64_t *out)
{
	char at[HTTP_DATE_TEXT] = "", again[HTTP_DATE_TEXT];
	struct tm tm = {0};
	if (text.len != HTTP_DATE_TEXT - 1)
		return false;
	memcpy(at, text.ptr, text.len);
	for (tm.tm_mon = 0; tm.tm_mon < 12 && strncmp(&MONTHS[3 * tm.tm_mon], at + 8, 3) != 0;)
		tm.tm_mon++;
	if (tm.tm_mon == 12 || !read_number(at + 5, 2, &tm.tm_mday) || !read_number(at + 12, 4, &tm.tm_year) ||
		!read_number(at + 17, 2, &tm.tm_hour) || !read_number(at + 20, 2, &tm.tm_min) ||
		!read_number(at + 23, 2, &tm.tm_sec) || tm.tm_year < 1970)
		return false;
	tm.tm_year -= 1900;
	int64_t s = timegm(&tm);
	if (s < 0 || s > INT64_C(253402300799)) /* the end of the year 9999 */
		return false;
	http_date_format(s, again); /* each of its parts is in its range, and in its place */
	if (memcmp(again, at, HTTP_DATE_TEXT) != 0)
		return false;
	*out = s;
	return true;
}
