/* connections, tunnels, config: what the sidecar has open, and its settings in force. */
#include "cli/commands.h"
#include "cli/page.h"
#include "cli/show.h"
#include <stdio.h>
#include <string.h>

#define TEXT_MAX 1024

typedef void print_fn(const json_t *row);

static void print_rows(const json_t *page, const char *key, print_fn *print, const char *none)
{
	const json_t *list = json_object_get(page, key);
	long long num = (long long)json_array_size(list), total = show_number(page, "total");
	for (size_t i = 0; i < json_array_size(list); i++)
		print(json_array_get(list, i));
	if (num == 0)
		puts(none);
	if (total > num)
		printf("and %lld further %s\n", total - num, key);
}

static const char *peer_of(const json_t *row, char out[TEXT_MAX])
{
	show_text(row, "peer", out, TEXT_MAX);
	return out[0] == '\0' ? "no identity" : out;
}

static void print_connection(const json_t *row)
{
	char direction[32], step[64], source[TEXT_MAX], destination[TEXT_MAX], peer[TEXT_MAX];
	printf("%-13s  %s -> %s  %s, %s, %s, %lld s, %lld bytes sent, %lld received\n",
		show_text(row, "direction", direction, sizeof direction),
		show_text(row, "source", source, sizeof source),
		show_text(row, "destination", destination, sizeof destination), peer_of(row, peer),
		json_is_true(json_object_get(row, "encrypted")) ? "encrypted" : "PLAINTEXT",
		show_text(row, "step", step, sizeof step), show_number(row, "age_ms") / 1000,
		show_number(row, "bytes_sent"), show_number(row, "bytes_received"));
}

static void print_tunnel(const json_t *row)
{
	char direction[32], local[TEXT_MAX], remote[TEXT_MAX], peer[TEXT_MAX], group[64], until[64];
	printf("%-8s  %s - %s  %s, %s, %lld streams, peer's certificate until %s%s\n",
		show_text(row, "direction", direction, sizeof direction), show_text(row, "local", local, sizeof local),
		show_text(row, "remote", remote, sizeof remote), peer_of(row, peer),
		show_text(row, "key_exchange", group, sizeof group), show_number(row, "streams"),
		show_text(row, "peer_not_after", until, sizeof until),
		json_is_true(json_object_get(row, "draining")) ? ", DRAINING" : "");
}

static void print_set_aside(const json_t *page)
{
	const json_t *list = json_object_get(page, "endpoints_set_aside");
	char endpoint[TEXT_MAX];
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *row = json_array_get(list, i);
		printf("%s is SET ASIDE for %lld s more: its tunnels failed\n",
			show_text(row, "endpoint", endpoint, sizeof endpoint), show_number(row, "for_ms") / 1000);
	}
}

static void print_setting(const json_t *row)
{
	char key[300], value[TEXT_MAX], origin[600], next[TEXT_MAX];
	show_text(row, "value", value, sizeof value);
	printf("%s: %s (%s)", show_text(row, "key", key, sizeof key), value[0] == '\0' ? "none" : value,
		show_text(row, "origin", origin, sizeof origin));
	if (json_object_get(row, "after_restart") != NULL)
		printf("; after a restart: %s", show_text(row, "after_restart", next, sizeof next));
	putchar('\n');
}

static void print_connections(const json_t *page)
{
	print_rows(page, "connections", print_connection, "no connections");
}

static void print_tunnels(const json_t *page)
{
	print_rows(page, "tunnels", print_tunnel, "no tunnels");
	print_set_aside(page);
}

static void print_config(const json_t *page)
{
	char release[TEXT_MAX];
	if (json_is_array(json_object_get(page, "settings")))
		print_rows(page, "settings", print_setting, "no settings");
	else
		printf("the sidecar's release %s does not list its settings: upgrade it; what its page has: --output "
		       "json\n",
			show_text(page, "release", release, sizeof release));
}

enum cli_exit command_connections(struct command_line *line)
{
	return page_show(line, "/connections", print_connections);
}

enum cli_exit command_tunnels(struct command_line *line)
{
	return page_show(line, "/tunnels", print_tunnels);
}

enum cli_exit command_config(struct command_line *line)
{
	return page_show(line, "/config", print_config);
}
