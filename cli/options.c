#include "cli/options.h"
#include <string.h>

static enum err set_output(struct cli_options *options, const char *value, struct why *why)
{
	options->json = strcmp(value, "json") == 0;
	if (!options->json && strcmp(value, "text") != 0)
		return why_set(why, ERR_CONFIG, "--output text or json", "choose one", "%s", value);
	return ERR_NONE;
}

static enum err add_network(struct cli_options *options, const char *value, struct why *why)
{
	if (options->num_networks == sizeof options->networks / sizeof options->networks[0])
		return why_set(why, ERR_CONFIG, "at most 16 networks", "make two tokens", "more");
	options->networks[options->num_networks++] = value;
	return ERR_NONE;
}

static enum err set(struct cli_options *options, const char *name, size_t len, const char *value, struct why *why)
{
	const struct {
		const char *name;
		const char **out;
	} texts[] = {
		{"socket", &options->socket}, {"admin", &options->admin}, {"id", &options->id}, {"ttl", &options->ttl}};
	struct span flag = span_of(name, len);
	if (span_eq(flag, SPAN_LITERAL("output")))
		return set_output(options, value, why);
	if (span_eq(flag, SPAN_LITERAL("network")))
		return add_network(options, value, why);
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		if (span_eq(flag, span_of_str(texts[i].name))) {
			*texts[i].out = value;
			return ERR_NONE;
		}
	return why_set(why, ERR_CONFIG, "a flag of handfast", "see handfast --help", "--%.*s", (int)len, name);
}

/* *i moves to the last argument that was used. */
static enum err take_flag(int argc, char *const *argv, int *i, struct command_line *line, struct why *why)
{
	const char *name = argv[*i] + 2;
	const char *equals = strchr(name, '=');
	if (strcmp(name, "help") == 0 || strcmp(name, "version") == 0) {
		line->wants_help |= name[0] == 'h';
		line->wants_version |= name[0] == 'v';
		return ERR_NONE;
	}
	if (equals != NULL)
		return set(&line->options, name, (size_t)(equals - name), equals + 1, why);
	if (*i + 1 == argc)
		return why_set(why, ERR_CONFIG, "a value behind the flag", "add it", "nothing behind --%s", name);
	++*i;
	return set(&line->options, name, strlen(name), argv[*i], why);
}

enum err command_line_parse(int argc, char *const *argv, struct command_line *out, struct why *why)
{
	*out = (struct command_line){.options = {.socket = "/run/handfast/control.sock", .admin = "127.0.0.1:15000"}};
	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], "--", 2) == 0)
			RETURN_IF_ERR(take_flag(argc, argv, &i, out, why));
		else if (out->num_words < OPTIONS_WORDS_MAX)
			out->words[out->num_words++] = argv[i];
		else
			return why_set(why, ERR_CONFIG, "a command of handfast", "see handfast --help", "%s", argv[i]);
	}
	return ERR_NONE;
}
