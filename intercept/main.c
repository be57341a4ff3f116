/* handfast-init: parses the options, runs the command, prints the report. */
#include "base/core/check.h"
#include "base/net/fd.h"
#include "base/sandbox/sandbox.h"
#include "intercept/apply.h"
#include "intercept/check.h"
#include "intercept/loopback_addr.h"
#include "intercept/options.h"
#include "intercept/preflight.h"
#include "intercept/report.h"
#include "intercept/rollback.h"
#include "intercept/source_route.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The rules before `up`, for the guard. */
struct before {
	struct buf table; /* empty: there was no table */
};

static void print(struct buf *text, FILE *to)
{
	fwrite(buf_span(text).ptr, 1, buf_len(text), to);
}

static enum err write_routes(const struct rules *rules, struct why *why)
{
	typedef enum err change_fn(int family, struct why *why);
	change_fn *change = rules->keeps_source ? source_route_add : source_route_remove;
	RETURN_IF_ERR(change(AF_INET, why));
	return loopback_addr_has_v6() ? change(AF_INET6, why) : ERR_NONE;
}

static enum err remove_all(struct report *report)
{
	_cleanup_(buf_done) struct buf commands = BUF_INIT(RULES_TEXT_MAX);
	struct why why = {0};
	enum err err = rules_render_remove(&commands);
	CHECK(err == ERR_NONE);
	_cleanup_(buf_done) struct buf table = BUF_INIT(RULES_TEXT_MAX);
	bool existed = apply_list_table(RULES_TABLE, &table, NULL) != ERR_NOT_FOUND;
	err = apply_commands(buf_cstr(&commands), &why);
	if (err == ERR_NONE)
		err = write_routes(&(struct rules){.keeps_source = false}, &why);
	if (err == ERR_NONE)
		err = loopback_addr_remove(AF_INET, &why);
	if (err == ERR_NONE && loopback_addr_has_v6())
		err = loopback_addr_remove(AF_INET6, &why);
	if (err != ERR_NONE)
		report_add_why(report, "remove", &why);
	else
		report_add(report, existed ? FINDING_OK : FINDING_NOTE, "removed",
			"%s, and 169.254.15.6, 100::6 and 100::8/125 from lo",
			existed ? "table inet " RULES_TABLE : "no table inet " RULES_TABLE " existed");
	return err;
}

/* Rewrites the existing chains, so that there is no gap without rules; replaces them where an older release left chains
 * of another type. */
static enum err write_table(struct span table, struct why *why)
{
	_cleanup_(buf_done) struct buf rewrite = BUF_INIT(2 * RULES_TEXT_MAX), replace = BUF_INIT(2 * RULES_TEXT_MAX);
	RETURN_IF_ERR(rules_render_rewrite(table, &rewrite));
	RETURN_IF_ERR(rules_render_replace(table, &replace));
	return apply_commands(buf_cstr(&rewrite), NULL) == ERR_NONE ? ERR_NONE
								    : apply_commands(buf_cstr(&replace), why);
}

/* Restores exactly the former chains. */
static enum err restore_table(struct span table, struct why *why)
{
	_cleanup_(buf_done) struct buf commands = BUF_INIT(2 * RULES_TEXT_MAX);
	RETURN_IF_ERR(rules_render_replace(table, &commands));
	return apply_commands(buf_cstr(&commands), why);
}

/* In the guard process: errors cannot be reported any more. */
static void take_back(void *arg)
{
	struct before *before = arg;
	struct report unread = {0};
	struct why why;
	if (buf_len(&before->table) == 0 || restore_table(buf_span(&before->table), &why) != ERR_NONE)
		_exit(remove_all(&unread) == ERR_NONE ? CLI_DONE : CLI_FAULT);
}

static enum err write_all(const struct rules *rules, struct report *report)
{
	_cleanup_(buf_done) struct buf table = BUF_INIT(RULES_TEXT_MAX);
	struct why why = {0};
	enum err err = rules_render_table(rules, &table);
	CHECK(err == ERR_NONE);
	err = write_table(buf_span(&table), &why);
	if (err == ERR_NONE)
		err = write_routes(rules, &why);
	if (err == ERR_NONE)
		err = loopback_addr_add(AF_INET, &why);
	if (err == ERR_NONE && loopback_addr_has_v6())
		err = loopback_addr_add(AF_INET6, &why);
	if (err != ERR_NONE)
		report_add_why(report, "write", &why);
	else
		report_add(
			report, FINDING_OK, "written", "table inet " RULES_TABLE ", and the sidecar's addresses on lo");
	return err;
}

/* The guard starts before any change, with a copy of the former rules. */
static enum err run_up_on_host(const struct options *options, struct report *report)
{
	struct before before = {.table = BUF_INIT(RULES_TEXT_MAX)};
	struct why why = {0};
	pid_t guard = -1;
	enum err err = apply_list_table(RULES_TABLE, &before.table, &why);
	if (err == ERR_NONE || err == ERR_NOT_FOUND)
		err = rollback_arm(options->confirm_within_s, take_back, &before, &guard, &why);
	buf_done(&before.table);
	if (err != ERR_NONE) {
		report_add_why(report, "guard", &why);
		return err;
	}
	err = write_all(&options->rules, report);
	if (err != ERR_NONE)
		kill(guard, SIGKILL);
	else
		report_add(report, FINDING_NOTE, "confirm",
			"run `handfast-init confirm` within %u s, or the former rules are restored",
			options->confirm_within_s);
	return err;
}

static enum err print_plan(const struct options *options, const char *command)
{
	_cleanup_(buf_done) struct buf table = BUF_INIT(RULES_TEXT_MAX), commands = BUF_INIT(2 * RULES_TEXT_MAX),
				       text = BUF_INIT(4 * RULES_TEXT_MAX);
	bool up = options->command == COMMAND_UP;
	RETURN_IF_ERR(rules_render_table(&options->rules, &table));
	RETURN_IF_ERR(up ? rules_render_rewrite(buf_span(&table), &commands) : rules_render_remove(&commands));
	RETURN_IF_ERR(report_render_plan(command, buf_span(&commands),
		up ? "add 169.254.15.6/32, 100::6/128 and the eight of 100::8/125"
		   : "remove 169.254.15.6/32, 100::6/128 and the eight of 100::8/125",
		options->json, &text));
	print(&text, stdout);
	return ERR_NONE;
}

static enum cli_exit exit_code_of(const struct report *report, enum err err)
{
	if (err != ERR_NONE)
		return cli_exit_of(err);
	return report_has(report, FINDING_FAILED) || report_has(report, FINDING_UNPROVEN) ? CLI_REFUSED : CLI_DONE;
}

static enum err run_change(const struct options *options, struct report *report)
{
	RETURN_IF_ERR(preflight_run(options->rules.kernel_has_socket, report));
	if (options->command == COMMAND_UP)
		check_control_plane(&options->rules, report);
	if (options->command == COMMAND_UP && options->profile == PROFILE_HOST)
		return run_up_on_host(options, report);
	_unused_
	enum err no_guard = rollback_confirm(NULL); /* an earlier guard must not undo this */
	return options->command == COMMAND_UP ? write_all(&options->rules, report) : remove_all(report);
}

static enum err run_confirm(struct report *report)
{
	struct why why = {0};
	enum err err = rollback_confirm(&why);
	if (err != ERR_NONE)
		report_add_why(report, "confirm", &why);
	else
		report_add(report, FINDING_OK, "confirmed", "the rules stay");
	return err;
}

static enum cli_exit run(const struct options *options, const char *command)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT(65536);
	struct report report = {0};
	enum err err = ERR_NONE;
	if (options->dry_run && (options->command == COMMAND_UP || options->command == COMMAND_DOWN))
		return cli_exit_of(print_plan(options, command));
	if (options->num_unknown_variables > 0)
		report_add(&report, FINDING_NOTE, "environment",
			"%s is not a setting and is ignored; %u such variables", options->unknown_variable,
			options->num_unknown_variables);
	if (options->command == COMMAND_CHECK)
		check_run(&options->rules, &report);
	else if (options->command == COMMAND_CONFIRM)
		err = run_confirm(&report);
	else
		err = run_change(options, &report);
	enum cli_exit code = exit_code_of(&report, err);
	if (report_render(&report, command, options->json, &text) == ERR_NONE)
		print(&text, options->json || code == CLI_DONE ? stdout : stderr);
	return code;
}

static void confine(void)
{
	struct why why = {0};
	char text[sizeof why];
	if (sandbox_enter(SANDBOX_RULES, &why) != ERR_NONE)
		fprintf(stderr, "handfast-init: running without a system call filter: %s\n",
			why_format(&why, text, sizeof text));
}

int main(int argc, char **argv)
{
	_cleanup_(command_line_done) struct command_line line;
	struct options options;
	(void)fd_limit_raise();
	if (!command_line_begin(&options_program, argc, argv, &line))
		return CLI_DONE;
	if (options_read(&line, environ, &options) != ERR_NONE)
		return (int)command_line_refuse(&line);
	if (line.checks_only)
		return CLI_DONE;
	confine();
	options.rules.kernel_has_socket = preflight_kernel_has_socket();
	return (int)run(&options, line.command->words);
}
