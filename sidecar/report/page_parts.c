/* The values of pages.h. */
#include "base/core/check.h"
#include "base/core/date.h"
#include "base/core/escape.h"
#include "sidecar/report/pages.h"
#include <stdio.h>

json_t *page_text(const char *text)
{
	char shown[1024];
	if (text == NULL)
		return json_null();
	json_t *node = json_string(text);
	if (node != NULL)
		return node;
	escape_ascii(span_of_str(text), shown, sizeof(shown));
	return json_string(shown);
}

json_t *page_addr(const struct addr *addr)
{
	char text[ADDR_TEXT_MAX];
	return addr->ip.family == 0 ? json_null() : json_string(addr_format(addr, text));
}

json_t *page_setting(const struct page_setting *setting)
{
	json_t *entry = json_object();
	json_object_set_new(entry, "key", page_text(setting->key));
	json_object_set_new(entry, "value", page_text(setting->value));
	json_object_set_new(entry, "from", page_text(setting->from));
	json_object_set_new(entry, "origin", page_text(setting->origin));
	if (setting->waits)
		json_object_set_new(entry, "after_restart", page_text(setting->next));
	return entry;
}

json_t *page_time_s(int64_t seconds)
{
	char text[DATE_TEXT_MAX];
	return json_string(date_format(seconds, text));
}

json_t *page_time_ms(int64_t milliseconds)
{
	return page_time_s(milliseconds / 1000);
}
