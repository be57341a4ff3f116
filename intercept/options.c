#include "intercept/options.h"
#include "base/core/check.h"
#include <stdio.h>

#define ENVIRONMENT_PREFIX "HANDFAST_INIT_"
#define CONFIRM_WITHIN_S   60
#define CONFIRM_MAX_S      3600
#define ITEM_MAX           64 /* the longest port or network, and then some */

struct parser {
	struct options *options;
	struct buf *mistakes;
	bool failed;
};

/* Takes a value, or tells what is wrong with it. `name` is the flag or variable as the operator wrote it. */
typedef void take_fn(struct parser *parser, const char *name, const char *value);

struct option {
	const char *flag;        /* with its dashes */
	const char *environment; /* NULL: only as a flag */
	const char *value;       /* what --help calls it; NULL: a switch */
	take_fn *take;
	const char *help;
};

static void mistake(struct parser *parser, const char *name, const char *expected, const char *got)
{
	struct why why = {0};
	parser->failed = why_set(&why, ERR_CONFIG, expected, "", "%s", got) != ERR_NONE; /* escapes what came */
	/* A list that is full stays as it is: it is for a person, who has enough to do. */
	_unused_
	enum err full = buf_printf(parser->mistakes, "%s: expected %s, got \"%s\"\n", name, why.expected, why.got);
}

/* Cuts the next item off a comma-separated list into item[ITEM_MAX]; false at its end. Too long an item is cut short
 * and so cannot parse. */
static bool next_item(const char **rest, char item[ITEM_MAX])
{
	if (*rest == NULL)
		return false;
	const char *comma = strchr(*rest, ',');
	int len = comma == NULL ? (int)strlen(*rest) : (int)(comma - *rest);
	snprintf(item, ITEM_MAX, "%.*s", len, *rest);
	*rest = comma == NULL ? NULL : comma + 1;
	return true;
}

/* Decimal digits, no sign, no leading zero, min..max. */
static bool parse_number(const char *text, unsigned min, unsigned max, unsigned *out)
{
	unsigned value = 0;
	if (text[0] == '\0' || text[0] == '0' || strlen(text) > 5)
		return false;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return false;
		value = value * 10 + (unsigned)(*text - '0');
	}
	if (value < min || value > max)
		return false;
	*out = value;
	return true;
}

/* Every item of a list is looked at, so that all mistakes are told at once. */
static void take_ports(struct parser *parser, const char *name, const char *value, bool inbound, struct port_list *list)
{
	char item[ITEM_MAX];
	unsigned port = 0;
	while (next_item(&value, item)) {
		if (!parse_number(item, 1, 65535, &port))
			mistake(parser, name, "ports 1 to 65535 with commas between", item);
		else if (inbound && (port == RULES_OUTBOUND_PORT || port == RULES_INBOUND_PORT))
			mistake(parser, name, "no port of the sidecar's own", item);
		else if (list->num == RULES_MAX_GIVEN || port_list_add(list, (uint16_t)port) != ERR_NONE)
			mistake(parser, name, "at most 60 different ports", item);
	}
}

static void take_inbound_ports(struct parser *parser, const char *name, const char *value)
{
	take_ports(parser, name, value, true, &parser->options->rules.exclude_inbound);
}

static void take_outbound_ports(struct parser *parser, const char *name, const char *value)
{
	take_ports(parser, name, value, false, &parser->options->rules.exclude_outbound);
}

static void take_networks(struct parser *parser, const char *name, const char *value)
{
	char item[ITEM_MAX];
	struct network network;
	while (next_item(&value, item)) {
		if (network_parse(span_of_str(item), &network) != ERR_NONE)
			mistake(parser, name, "networks such as 192.0.2.0/24 or 2001:db8::/32, no host bits set", item);
		else if (rules_add_network(&parser->options->rules, &network) != ERR_NONE)
			mistake(parser, name, "at most 64 networks", item);
	}
}

static void take_profile(struct parser *parser, const char *name, const char *value)
{
	if (strcmp(value, "pod") == 0)
		parser->options->profile = PROFILE_POD;
	else if (strcmp(value, "host") == 0)
		parser->options->profile = PROFILE_HOST;
	else
		mistake(parser, name, "pod or host", value);
}

static void take_confirm_within(struct parser *parser, const char *name, const char *value)
{
	if (!parse_number(value, 1, CONFIRM_MAX_S, &parser->options->confirm_within_s))
		mistake(parser, name, "seconds, 1 to 3600", value);
}

static void take_json(struct parser *parser, const char *name, const char *value)
{
	if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
		mistake(parser, name, "true or false", value);
	parser->options->json = strcmp(value, "true") == 0;
}

static void take_dry_run(struct parser *parser, _unused_ const char *name, _unused_ const char *value)
{
	parser->options->dry_run = true;
}

static void take_help(struct parser *parser, _unused_ const char *name, _unused_ const char *value)
{
	parser->options->command = COMMAND_HELP;
}

static void take_version(struct parser *parser, _unused_ const char *name, _unused_ const char *value)
{
	parser->options->command = COMMAND_VERSION;
}

static const struct option OPTIONS[] = {
	{"--exclude-inbound-ports", ENVIRONMENT_PREFIX "EXCLUDE_INBOUND_PORTS", "LIST", take_inbound_ports,
		"ports that callers reach directly, e.g. 8081,9100"},
	{"--exclude-outbound-ports", ENVIRONMENT_PREFIX "EXCLUDE_OUTBOUND_PORTS", "LIST", take_outbound_ports,
		"ports that the workload reaches directly"},
	{"--exclude-outbound-networks", ENVIRONMENT_PREFIX "EXCLUDE_OUTBOUND_NETWORKS", "LIST", take_networks,
		"networks that the workload reaches directly, IPv4 or IPv6"},
	{"--profile", ENVIRONMENT_PREFIX "PROFILE", "pod|host", take_profile,
		"host: leave SSH alone, and take the rules back unless confirmed (pod)"},
	{"--confirm-within", ENVIRONMENT_PREFIX "CONFIRM_WITHIN", "SECONDS", take_confirm_within,
		"profile host: time for `handfast-init confirm` (60)"},
	{"--json", ENVIRONMENT_PREFIX "JSON", NULL, take_json, "say the outcome as one JSON object"},
	{"--dry-run", NULL, NULL, take_dry_run, "up, down: print what would be done and change nothing"},
	{"--version", NULL, NULL, take_version, "print the version"},
	{"--help", NULL, NULL, take_help, "print this"},
};
#define NUM_OPTIONS (sizeof(OPTIONS) / sizeof(OPTIONS[0]))

static const struct {
	const char *name;
	enum command command;
	const char *help;
} COMMANDS[] = {
	{"up", COMMAND_UP, "write the rules; a second time changes nothing"},
	{"down", COMMAND_DOWN, "remove the rules, and nothing that is not ours"},
	{"check", COMMAND_CHECK, "prove by real connections that the rules work"},
	{"confirm", COMMAND_CONFIRM, "profile host: keep the rules that `up` wrote"},
};
#define NUM_COMMANDS (sizeof(COMMANDS) / sizeof(COMMANDS[0]))

const char *options_command_name(enum command command)
{
	for (size_t i = 0; i < NUM_COMMANDS; i++) {
		if (COMMANDS[i].command == command)
			return COMMANDS[i].name;
	}
	CHECK_UNREACHABLE();
}

static void take_command(struct parser *parser, const char *word)
{
	for (size_t i = 0; i < NUM_COMMANDS; i++) {
		if (strcmp(COMMANDS[i].name, word) != 0)
			continue;
		if (parser->options->command != COMMAND_NONE && parser->options->command <= COMMAND_CONFIRM)
			mistake(parser, "command", "one command", word);
		else if (parser->options->command == COMMAND_NONE)
			parser->options->command = COMMANDS[i].command;
		return;
	}
	mistake(parser, "command", "up, down, check or confirm", word);
}

/* NUM_OPTIONS if there is none. `len` bytes of `word` are the flag. */
static size_t find_flag(const char *word, size_t len)
{
	size_t i = 0;
	while (i < NUM_OPTIONS && !span_eq(span_of_str(OPTIONS[i].flag), span_of(word, len)))
		i++;
	return i;
}

/* Takes the flag at argv[at]; returns how many words that was. */
static int take_flag(struct parser *parser, const char *const *argv, int at, bool given[NUM_OPTIONS])
{
	const char *equals = strchr(argv[at], '=');
	size_t i = find_flag(argv[at], equals == NULL ? strlen(argv[at]) : (size_t)(equals - argv[at]));
	if (i == NUM_OPTIONS) {
		mistake(parser, "flag", "one that --help lists", argv[at]);
		return 1;
	}
	const struct option *option = &OPTIONS[i];
	if (given[i])
		mistake(parser, option->flag, "to be given once", "it twice");
	given[i] = true;
	if (option->value == NULL) {
		if (equals != NULL)
			mistake(parser, option->flag, "no value", equals + 1);
		option->take(parser, option->flag, "true");
		return 1;
	}
	const char *value = equals != NULL ? equals + 1 : argv[at + 1];
	if (value == NULL)
		mistake(parser, option->flag, option->value, "nothing");
	else
		option->take(parser, option->flag, value);
	return equals != NULL || value == NULL ? 1 : 2;
}

static void take_variable(struct parser *parser, const char *variable, const bool given[NUM_OPTIONS])
{
	const char *equals = strchr(variable, '=');
	size_t len = equals == NULL ? strlen(variable) : (size_t)(equals - variable);
	for (size_t i = 0; i < NUM_OPTIONS && equals != NULL; i++) {
		const struct option *option = &OPTIONS[i];
		if (option->environment == NULL || !span_eq(span_of_str(option->environment), span_of(variable, len)))
			continue;
		if (!given[i] && equals[1] != '\0')
			option->take(parser, option->environment, equals + 1);
		return;
	}
	char name[ITEM_MAX];
	snprintf(name, sizeof(name), "%.*s", (int)len, variable);
	mistake(parser, "environment", "a variable that --help lists", name);
}

enum err options_parse(
	int argc, const char *const *argv, const char *const *environment, struct options *out, struct buf *mistakes)
{
	struct options options = {.confirm_within_s = CONFIRM_WITHIN_S};
	struct parser parser = {.options = &options, .mistakes = mistakes};
	bool given[NUM_OPTIONS] = {false};
	for (int at = 1; at < argc;) {
		if (argv[at][0] == '-')
			at += take_flag(&parser, argv, at, given);
		else
			take_command(&parser, argv[at++]);
	}
	for (; *environment != NULL; environment++) {
		if (span_starts_with(span_of_str(*environment), SPAN_LITERAL(ENVIRONMENT_PREFIX)))
			take_variable(&parser, *environment, given);
	}
	if (options.command == COMMAND_NONE && !parser.failed)
		mistake(&parser, "command", "up, down, check or confirm", "none");
	if (parser.failed)
		return ERR_CONFIG;
	options.rules.spare_ssh = options.profile == PROFILE_HOST;
	*out = options;
	return ERR_NONE;
}

enum err options_help(struct buf *out)
{
	RETURN_IF_ERR(buf_append_str(out, "handfast-init COMMAND [FLAG ...]\n\n"
					  "Writes, checks and removes the rules of one network namespace that send a\n"
					  "workload's TCP traffic through its sidecar.\n\nCommands:\n"));
	for (size_t i = 0; i < NUM_COMMANDS; i++)
		RETURN_IF_ERR(buf_printf(out, "  %-10s %s\n", COMMANDS[i].name, COMMANDS[i].help));
	RETURN_IF_ERR(buf_append_str(out, "\nFlags (each but the last three also as the variable below it; flag beats "
					  "environment):\n"));
	for (size_t i = 0; i < NUM_OPTIONS; i++) {
		const struct option *option = &OPTIONS[i];
		RETURN_IF_ERR(buf_printf(out, "  %s %s\n      %s\n", option->flag,
			option->value == NULL ? "" : option->value, option->help));
		if (option->environment != NULL)
			RETURN_IF_ERR(buf_printf(out, "      %s\n", option->environment));
	}
	return buf_append_str(out, "\nExit codes: 0 done or proven; 1 failed; 2 check could not prove it either way;\n"
				   "64 wrong flags; 69 the kernel lacks something; 77 a capability is missing.\n");
}
