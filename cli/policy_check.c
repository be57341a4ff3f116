/* policy check, policy show: a decision explained, and the rules behind it. */
#include "base/core/addr.h"
#include "base/core/mem.h"
#include "base/core/number.h"
#include "base/settings/settings.h"
#include "cli/commands.h"
#include "cli/identity_text.h"
#include "cli/page.h"
#include "cli/policy_of.h"
#include "cli/show.h"
#include "policy/policy_json.h"
#include <stdio.h>
#include <string.h>

#define TEXT_MAX 2400

/* --- the question --- */

struct question {                  /* zeroed is valid to question_done() */
	struct spiffe_id from, to; /* to: unset: a sidecar is asked */
	struct policy_source source;
	uint16_t port;
};

static void question_done(struct question *question)
{
	spiffe_id_done(&question->from);
	spiffe_id_done(&question->to);
}

static void port_read(struct command_line *line, uint16_t *out)
{
	const char *text = command_line_value(line, "port");
	if (text == NULL)
		command_line_error_text(line, "--port", "the port that the workload listens on", "no port is given");
	else if (port_parse(span_of_str(text), out) != ERR_NONE)
		command_line_error(line, "--port", "a port from 1 to 65535", text);
}

static bool question_read(struct command_line *line, struct question *out)
{
	const char *from = command_line_value(line, "from"), *to = command_line_value(line, "to");
	const char *address = command_line_value(line, "address");
	if (from == NULL)
		command_line_error_text(line, "--from", "a SPIFFE ID, or plaintext", "no source is given");
	else if (strcmp(from, "plaintext") != 0)
		identity_read(line, "--from", from, &out->from);
	if (to != NULL)
		identity_read(line, "--to", to, &out->to);
	if (to != NULL && line->num_arguments > 0)
		command_line_error(line, "--to", "a pod or --to, not both", to);
	if (to == NULL && command_line_value(line, "file") != NULL)
		command_line_error_text(
			line, "--file", "--to, the workload that the file is to decide for", "no workload is given");
	if (address != NULL && ip_addr_parse(span_of_str(address), &out->source.ip) != ERR_NONE)
		command_line_error(line, "--address", "an IP address", address);
	port_read(line, &out->port);
	if (spiffe_id_is_set(&out->from))
		out->source.id = &out->from;
	return buf_len(&line->errors) == 0;
}

/* --- answers --- */

static void print_answer(const json_t *answer)
{
	char outcome[32], from[TEXT_MAX], reason[TEXT_MAX], mode[32], mode_of[16], rule[300], change[TEXT_MAX], by[16];
	const json_t *dry_run = json_object_get(answer, "dry_run");
	show_text(answer, "outcome", outcome, sizeof outcome);
	show_text(answer, "from", from, sizeof from);
	for (char *at = outcome; *at != '\0'; at++)
		*at = (char)(*at == '_' ? ' ' : *at);
	printf("%s: %s to port %lld: %s\n", outcome, from[0] == '\0' ? "plaintext" : from,
		(long long)json_integer_value(json_object_get(answer, "port")),
		show_text(answer, "reason", reason, sizeof reason));
	show_text(answer, "mode_of", mode_of, sizeof mode_of);
	printf("  mode:   %s (%s)\n", show_text(answer, "mode", mode, sizeof mode),
		strcmp(mode_of, "port") == 0 ? "of the port" : "of the workload");
	show_text(answer, "decided_by", by, sizeof by);
	printf("  rule:   %s\n", strcmp(by, "default") == 0 ? "none: the default decided"
				 : strcmp(by, "mode") == 0  ? "none: the mode decided"
							    : show_text(answer, "rule", rule, sizeof rule));
	printf("  change: %s\n", show_text(answer, "change", change, sizeof change));
	if (dry_run != NULL)
		printf("  dry run: by %s it would be %s\n", show_text(dry_run, "rule", rule, sizeof rule),
			show_text(dry_run, "outcome", outcome, sizeof outcome));
}

static enum cli_exit answer_show(const struct command_line *line, json_t *answer)
{
	bool is_allowed = strcmp(json_string_value(json_object_get(answer, "outcome")), "allowed") == 0;
	if (line->json)
		show_json(json_incref(answer));
	else
		print_answer(answer);
	return is_allowed ? CLI_DONE : CLI_REFUSED;
}

static enum err needs_address(const char *rule, struct why *why)
{
	return why_set(why, ERR_CONFIG, "--address with the source's address", "give it",
		"the rule %s depends on where the source connects from", rule);
}

/* A policy answers for any identity, also for a misspelled one. */
static json_t *absent_note(const char *flag, const struct spiffe_id *id)
{
	_cleanup_(mem_freep) char *text =
		mem_printf("no connected sidecar has the identity of %s, %s: see `handfast status`, and the spelling",
			flag, id->text);
	return json_string(text);
}

/* Of a source in another trust domain the control plane knows no sidecars. */
static enum err add_notes(const struct command_line *line, const struct question *question, const struct policy_of *of,
	json_t *answer, struct why *why)
{
	_cleanup_(policy_of_done) struct policy_of source = {0};
	json_t *notes = json_array();
	json_object_set_new(answer, "notes", notes);
	if (of->num_sidecars == 0)
		json_array_append_new(notes, absent_note("--to", &question->to));
	if (question->source.id == NULL ||
		!span_eq(spiffe_id_trust_domain(&question->from), spiffe_id_trust_domain(&question->to)))
		return ERR_NONE;
	RETURN_IF_ERR(policy_of_workload(line, &question->from, &source, why));
	json_object_set_new(answer, "from_sidecars", json_integer(source.num_sidecars));
	if (source.num_sidecars == 0)
		json_array_append_new(notes, absent_note("--from", &question->from));
	return ERR_NONE;
}

static void print_notes(const json_t *answer)
{
	const json_t *notes = json_object_get(answer, "notes");
	for (size_t i = 0; i < json_array_size(notes); i++)
		printf("  note:   %s\n", json_string_value(json_array_get(notes, i)));
}

static enum cli_exit check_workload(struct command_line *line, const struct question *question)
{
	_cleanup_(policy_of_done) struct policy_of of = {0};
	_cleanup_(json_decrefp) json_t *answer = NULL;
	struct policy_explanation explanation;
	struct why why = {0};
	enum err err = policy_of_workload(line, &question->to, &of, &why);
	const char *rule = err == ERR_NONE ? policy_needs_address(of.policy, &question->source, question->port) : NULL;
	if (rule != NULL)
		err = needs_address(rule, &why);
	if (err != ERR_NONE)
		return command_line_fail(line, err, &why);
	policy_explain(of.policy, &question->source, question->port, &explanation);
	answer = policy_explanation_json(&explanation, &question->source, question->port);
	json_object_set_new(answer, "to", json_string(question->to.text));
	if (of.is_in_force) {
		json_object_set_new(answer, "sidecars", json_integer(of.num_sidecars));
		json_object_set_new(answer, "sidecars_in_force", json_integer(of.num_in_force));
		err = add_notes(line, question, &of, answer, &why);
	}
	if (err != ERR_NONE)
		return command_line_fail(line, err, &why);
	enum cli_exit result = answer_show(line, answer);
	if (of.is_in_force && !line->json)
		printf("  in force: at %u of %u connected sidecars of the workload\n", of.num_in_force,
			of.num_sidecars);
	if (!line->json)
		print_notes(answer);
	return result;
}

/* The sidecar decides by what it has in force: the control plane's policy, tightened by its own settings. */
static enum cli_exit check_sidecar(struct command_line *line, const struct question *question)
{
	_cleanup_(json_decrefp) json_t *page = NULL;
	char ip[ADDR_TEXT_MAX] = "";
	struct why why = {0};
	if (question->source.ip.family != 0)
		(void)ip_addr_format(&question->source.ip, ip);
	_cleanup_(mem_freep) char *path = mem_printf("/policy?port=%u&address=%s&from=%s", question->port, ip,
		question->source.id == NULL ? "plaintext" : question->source.id->text);
	enum err err = page_get(line, path, &page, &why);
	const json_t *answer = json_object_get(page, "decision");
	char rule[300];
	if (err == ERR_NONE && show_text(page, "needs_address", rule, sizeof rule)[0] != '\0')
		err = needs_address(rule, &why);
	else if (err == ERR_NONE && !json_is_string(json_object_get(answer, "outcome")))
		err = why_set(&why, ERR_UNAVAILABLE, "a sidecar of this release that has a policy",
			"see what it waits for: `handfast check`", "the sidecar has no policy yet");
	if (err != ERR_NONE)
		return command_line_fail(line, err, &why);
	return answer_show(line, json_object_get(page, "decision"));
}

enum cli_exit command_policy_check(struct command_line *line)
{
	_cleanup_(question_done) struct question question = {0};
	if (!question_read(line, &question))
		return command_line_refuse(line);
	return spiffe_id_is_set(&question.to) ? check_workload(line, &question) : check_sidecar(line, &question);
}

/* --- show --- */

static void print_list(const json_t *list, const char *before)
{
	char text[TEXT_MAX];
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);
		printf("%s", i == 0 ? before : ", ");
		if (json_is_integer(one))
			printf("%lld", (long long)json_integer_value(one));
		else if (json_is_string(one))
			printf("%s", json_string_value(one));
		else {
			const char *key = json_object_iter_key(json_object_iter((json_t *)(uintptr_t)one));
			printf("%s %s", key == NULL ? "" : key,
				show_text(one, key == NULL ? "" : key, text, sizeof text));
		}
	}
}

static void print_rule(const json_t *rule)
{
	char name[300], action[16];
	printf("  %-5s %s%s%s", show_text(rule, "action", action, sizeof action),
		show_text(rule, "name", name, sizeof name),
		json_is_true(json_object_get(rule, "dry_run")) ? " (dry run)" : "",
		json_is_true(json_object_get(rule, "unauthenticated")) ? " (unauthenticated)" : "");
	print_list(json_object_get(rule, "sources"), ": from ");
	print_list(json_object_get(rule, "networks"), "; in ");
	print_list(json_object_get(rule, "ports"), "; to port ");
	putchar('\n');
}

static bool has_allow_rule(const json_t *rules)
{
	char action[16];
	for (size_t i = 0; i < json_array_size(rules); i++)
		if (strcmp(show_text(json_array_get(rules, i), "action", action, sizeof action), "allow") == 0)
			return true;
	return false;
}

static void print_policy(const json_t *policy)
{
	char mode[32];
	const json_t *ports = json_object_get(policy, "ports"), *rules = json_object_get(policy, "rules");
	printf("mode %s\n", show_text(policy, "default_mode", mode, sizeof mode));
	for (size_t i = 0; i < json_array_size(ports); i++)
		printf("  port %lld: %s\n",
			(long long)json_integer_value(json_object_get(json_array_get(ports, i), "port")),
			show_text(json_array_get(ports, i), "mode", mode, sizeof mode));
	printf("%zu rules%s\n", json_array_size(rules),
		has_allow_rule(rules) ? "" : "; without an allow rule the whole trust domain is allowed");
	for (size_t i = 0; i < json_array_size(rules); i++)
		print_rule(json_array_get(rules, i));
}

static enum cli_exit show_workload(struct command_line *line)
{
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
	_cleanup_(policy_of_done) struct policy_of of = {0};
	_cleanup_(json_decrefp) json_t *policy = NULL;
	struct why why = {0};
	identity_read(line, "policy show", line->arguments[0], &id);
	if (buf_len(&line->errors) > 0)
		return command_line_refuse(line);
	enum err err = policy_of_workload(line, &id, &of, &why);
	if (err != ERR_NONE)
		return command_line_fail(line, err, &why);
	policy = policy_json(of.policy);
	if (of.is_in_force) {
		json_object_set_new(policy, "sidecars", json_integer(of.num_sidecars));
		json_object_set_new(policy, "sidecars_in_force", json_integer(of.num_in_force));
	}
	if (line->json) {
		show_json(json_incref(policy));
		return CLI_DONE;
	}
	print_policy(policy);
	if (of.is_in_force)
		printf("in force at %u of %u connected sidecars of the workload%s\n", of.num_in_force, of.num_sidecars,
			of.num_sidecars > 0 ? "" : ": see `handfast status`, and the spelling");
	return CLI_DONE;
}

enum cli_exit command_policy_show(struct command_line *line)
{
	_cleanup_(json_decrefp) json_t *page = NULL;
	struct why why = {0};
	if (line->num_arguments > 0 && strncmp(line->arguments[0], "spiffe:", 7) == 0)
		return show_workload(line);
	enum err err = page_get(line, "/policy", &page, &why);
	if (err == ERR_NONE && !json_is_object(json_object_get(page, "policy")))
		err = why_set(&why, ERR_UNAVAILABLE, "a sidecar that has a policy",
			"see what it waits for: `handfast check`", "the sidecar has no policy yet");
	if (err != ERR_NONE)
		return command_line_fail(line, err, &why);
	if (line->json)
		show_json(json_incref(page));
	else
		print_policy(json_object_get(page, "policy"));
	return CLI_DONE;
}
