/* endpoints: what the sidecar knows of its destinations, with the zones. */
#include "base/core/escape.h"
#include "cli/commands.h"
#include "cli/page.h"
#include "cli/show.h"
#include <stdio.h>

#define TEXT_MAX 1024

static void print_zone(const json_t *zone)
{
	char name[TEXT_MAX], from[64];
	show_text(zone, "name", name, sizeof name);
	show_text(zone, "from", from, sizeof from);
	if (name[0] == '\0')
		puts("this host is in no zone");
	else
		printf("this host is in zone %s (%s), %s\n", name, from,
			json_is_true(json_object_get(zone, "preferred")) ? "whose endpoints are preferred"
									 : "which is not preferred");
}

static void print_zones(const json_t *zones)
{
	char zone[TEXT_MAX];
	for (size_t i = 0; i < json_array_size(zones); i++) {
		const char *text = json_string_value(json_array_get(zones, i));
		(void)escape_ascii(span_of_str(text == NULL ? "" : text), zone, sizeof zone);
		printf("%s%s", i == 0 ? ", zone " : ", ", zone);
	}
	if (json_array_size(zones) == 0)
		printf(", no zone");
}

static void print_if(const json_t *object, const char *key, const char *text)
{
	if (json_is_true(json_object_get(object, key)))
		printf(", %s", text);
}

static void print_endpoint(const json_t *endpoint)
{
	char address[TEXT_MAX], identity[TEXT_MAX];
	printf("  %s  %s", show_text(endpoint, "address", address, sizeof address),
		show_text(endpoint, "identity", identity, sizeof identity));
	print_zones(json_object_get(endpoint, "zones"));
	print_if(endpoint, "preferred", "preferred");
	print_if(endpoint, "set_aside", "SET ASIDE");
	print_if(endpoint, "draining", "draining");
	putchar('\n');
}

static void print_destination(const json_t *destination)
{
	char address[TEXT_MAX], kind[64], service[TEXT_MAX];
	const json_t *endpoints = json_object_get(destination, "endpoints");
	show_text(destination, "service", service, sizeof service);
	printf("%s %s%s%s\n", show_text(destination, "destination", address, sizeof address),
		show_text(destination, "kind", kind, sizeof kind), service[0] == '\0' ? "" : ", service ", service);
	for (size_t i = 0; i < json_array_size(endpoints); i++)
		print_endpoint(json_array_get(endpoints, i));
	long long num = json_integer_value(json_object_get(destination, "num_endpoints"));
	if (num > (long long)json_array_size(endpoints))
		printf("  and %lld further endpoints\n", num - (long long)json_array_size(endpoints));
}

static void print_page(const json_t *page)
{
	const json_t *destinations = json_object_get(page, "destinations");
	print_zone(json_object_get(page, "zone"));
	for (size_t i = 0; i < json_array_size(destinations); i++)
		print_destination(json_array_get(destinations, i));
	long long total = json_integer_value(json_object_get(page, "total"));
	if (total > (long long)json_array_size(destinations))
		printf("%lld further destinations, of which no more is shown, or which have no answer yet\n",
			total - (long long)json_array_size(destinations));
	if (total == 0)
		puts("no destination is known yet");
}

enum cli_exit command_endpoints(struct command_line *line)
{
	return page_show(line, "/endpoints", print_page);
}
