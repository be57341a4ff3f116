/* policy lint: what is wrong with a policy that is valid. */
#include "base/core/escape.h"
#include "base/pb/unpack.h"
#include "cli/call.h"
#include "cli/commands.h"
#include "cli/policy_file.h"
#include "cli/show.h"
#include "proto/handfast/v1/operator.pb-c.h"
#include <stdio.h>

static void on_warning(void *arg, const struct policy_warning *warning)
{
	json_t *list = arg;
	json_array_append_new(list,
		json_pack("{s:s, s:s, s:s, s:s, s:s}", "selector", warning->selector, "kind", warning->kind, "detail",
			warning->detail.got, "expected", warning->detail.expected, "fix", warning->detail.fix));
}

static enum err of_control(struct command_line *line, json_t *list, struct why *why)
{
	_cleanup_(answer_done) struct answer answer = {0};
	enum err err = call(line, "PolicyList", NULL, &handfast__v1__policy_list_response__descriptor, &answer);
	if (err != ERR_NONE) {
		*why = answer.detail;
		return err;
	}
	const Handfast__V1__PolicyListResponse *message = (const Handfast__V1__PolicyListResponse *)answer.message;
	for (size_t i = 0; i < message->n_warnings; i++) {
		const Handfast__V1__PolicyWarning *warning = message->warnings[i];
		char selector[2304], kind[32], detail[300], expected[300], fix[300];
		escape_ascii(pb_span(warning->selector), selector, sizeof selector);
		escape_ascii(pb_span(warning->kind), kind, sizeof kind);
		escape_ascii(pb_span(warning->detail), detail, sizeof detail);
		escape_ascii(pb_span(warning->expected), expected, sizeof expected);
		escape_ascii(pb_span(warning->fix), fix, sizeof fix);
		json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s, s:s}", "selector", selector, "kind", kind,
						    "detail", detail, "expected", expected, "fix", fix));
	}
	return ERR_NONE;
}

/* Objects of a cluster do not name their trust domain. */
static enum err of_file(const struct command_line *line, const char *path, json_t *list, struct why *why)
{
	_cleanup_(policy_file_closep) struct policy_file *file = NULL;
	const char *given = command_line_value(line, "trust-domain");
	struct trust_domain domain;
	RETURN_IF_ERR(trust_domain_parse(span_of_str(given == NULL ? "cluster.local" : given), &domain, why));
	RETURN_IF_ERR(policy_file_open(line, path, &domain, &file, why));
	policy_file_review(file, on_warning, list);
	return ERR_NONE;
}

static void print_warning(const json_t *warning)
{
	char selector[2304], detail[300], expected[300], fix[300];
	printf("%s: %s; expected: %s; fix: %s\n", show_text(warning, "selector", selector, sizeof selector),
		show_text(warning, "detail", detail, sizeof detail),
		show_text(warning, "expected", expected, sizeof expected), show_text(warning, "fix", fix, sizeof fix));
}

enum cli_exit command_policy_lint(struct command_line *line)
{
	_cleanup_(json_decrefp) json_t *list = json_array();
	const char *file = command_line_value(line, "file");
	struct why why = {0};
	enum err err = file != NULL ? of_file(line, file, list, &why) : of_control(line, list, &why);
	if (err != ERR_NONE)
		return command_line_fail(line, err, &why);
	size_t num = json_array_size(list);
	if (line->json)
		show_json(json_pack("{s:O}", "warnings", list));
	for (size_t i = 0; i < num && !line->json; i++)
		print_warning(json_array_get(list, i));
	if (num == 0 && !line->json)
		puts("no warnings");
	return num == 0 ? CLI_DONE : CLI_REFUSED;
}
