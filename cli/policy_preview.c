#include "cli/policy_preview.h"
#include "base/core/mem.h"
#include "cli/page.h"
#include "cli/policy_of.h"
#include "cli/show.h"
#include "policy/explain.h"
#include <jansson.h>
#include <stdio.h>
#include <string.h>

struct preview { /* zeroed is valid to preview_done() */
	json_t *certs, *sources;
	json_t *rows;        /* by port, outcome, identity and rule */
	struct spiffe_id id; /* the sidecar's */
	struct policy_of of; /* the file's */
	json_int_t num_open, num_unseen, num_closed;
};

static void preview_done(struct preview *preview)
{
	policy_of_done(&preview->of);
	spiffe_id_done(&preview->id);
	json_decref(preview->certs);
	json_decref(preview->sources);
	json_decref(preview->rows);
}

static const char *text_of(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static enum err open_file(struct preview *preview, const struct command_line *line, struct why *why)
{
	RETURN_IF_ERR(page_get(line, "/certs", &preview->certs, why));
	const char *id = text_of(json_object_get(preview->certs, "identity"), "id");
	if (id == NULL)
		return why_set(why, ERR_UNAVAILABLE, "a sidecar that has its identity",
			"see what it waits for: `handfast check`", "the sidecar has no identity yet");
	RETURN_IF_ERR(spiffe_id_parse(span_of_str(id), &preview->id, why));
	return policy_of_workload(line, &preview->id, &preview->of, why);
}

/* One row per identity, port, outcome and rule: of thousands of connections few. */
static void add_row(struct preview *preview, const json_t *source, const struct policy_decision *decision)
{
	const char *peer = text_of(source, "peer"), *rule = decision->ground == POLICY_BY_MODE ? "" : decision->rule;
	long long port = show_number(source, "port"), num = show_number(source, "connections");
	_cleanup_(mem_freep) char *key =
		mem_printf("%lld %d %s %s", port, (int)decision->outcome, peer == NULL ? "" : peer, rule);
	if (json_object_get(preview->rows, key) == NULL)
		json_object_set_new(preview->rows, key,
			json_pack("{s:s?, s:I, s:s, s:s}", "from", peer, "port", (json_int_t)port, "outcome",
				policy_outcome_text(decision->outcome), "rule", rule));
	json_t *row = json_object_get(preview->rows, key);
	json_object_set_new(row, "connections", json_integer(show_number(row, "connections") + num));
	preview->num_closed += num;
}

static enum err decide(struct preview *preview, const json_t *one, struct why *why)
{
	_cleanup_(spiffe_id_done) struct spiffe_id peer = {0};
	struct policy_source source = {0};
	const char *address = text_of(one, "source"), *id = text_of(one, "peer");
	if (address == NULL || ip_addr_parse(span_of_str(address), &source.ip) != ERR_NONE)
		return why_set(why, ERR_MALFORMED, "a sidecar of this release", "update the sidecar, or this program",
			"the page /connections has a row without an address");
	bool is_plain = strcmp(text_of(one, "direction") == NULL ? "" : text_of(one, "direction"), "inbound") != 0;
	if (!is_plain && id == NULL)
		return ERR_NONE; /* it is about to begin */
	if (!is_plain) {
		RETURN_IF_ERR(spiffe_id_parse(span_of_str(id), &peer, why));
		source.id = &peer;
	}
	struct policy_decision decision =
		policy_decide(preview->of.policy, &source, (uint16_t)show_number(one, "port"));
	if (decision.outcome == POLICY_ALLOWED)
		return ERR_NONE;
	add_row(preview, one, &decision);
	return ERR_NONE;
}

static enum err decide_all(struct preview *preview, const struct command_line *line, struct why *why)
{
	RETURN_IF_ERR(page_get(line, "/connections?by=source", &preview->sources, why));
	const json_t *list = json_object_get(preview->sources, "sources");
	if (!json_is_array(list))
		return why_set(why, ERR_UNSUPPORTED, "a sidecar of this release", "update the sidecar",
			"the sidecar does not count its connections by source");
	preview->rows = json_object();
	preview->num_open = show_number(preview->sources, "total");
	preview->num_unseen = preview->num_open - show_number(preview->sources, "shown");
	for (size_t i = 0; i < json_array_size(list); i++)
		RETURN_IF_ERR(decide(preview, json_array_get(list, i), why));
	return ERR_NONE;
}

static void print_row(const json_t *row)
{
	char from[2400], rule[300];
	const char *outcome = text_of(row, "outcome");
	show_text(row, "from", from, sizeof from);
	show_text(row, "rule", rule, sizeof rule);
	printf("%8lld of %s to port %lld: %s%s\n", show_number(row, "connections"),
		from[0] == '\0' ? "plaintext" : from, show_number(row, "port"),
		strcmp(outcome, "plaintext_refused") == 0 ? "plaintext is refused" : "denied by ",
		strcmp(outcome, "plaintext_refused") == 0 ? "" : rule);
}

static void print_json(const struct preview *preview)
{
	json_t *closed = json_array(), *row;
	const char *key;
	json_object_foreach(preview->rows, key, row)
	{
		json_array_append(closed, row);
	}
	show_json(json_pack("{s:s, s:I, s:I, s:I, s:o}", "id", preview->id.text, "open", preview->num_open,
		"would_close", preview->num_closed, "not_counted", preview->num_unseen, "closed", closed));
}

static void print_text(const struct preview *preview)
{
	const char *key;
	json_t *row;
	printf("%s: the file would close %lld of %lld open inbound connections\n", preview->id.text,
		(long long)preview->num_closed, (long long)preview->num_open);
	json_object_foreach(preview->rows, key, row)
	{
		print_row(row);
	}
	if (preview->num_unseen > 0)
		printf("too many sources: %lld more were not looked at\n", (long long)preview->num_unseen);
}

enum cli_exit policy_preview(struct command_line *line)
{
	_cleanup_(preview_done) struct preview preview = {0};
	struct why why = {0};
	enum err err = open_file(&preview, line, &why);
	if (err == ERR_NONE)
		err = decide_all(&preview, line, &why);
	if (err != ERR_NONE)
		return command_line_fail(line, err, &why);
	if (line->json)
		print_json(&preview);
	else
		print_text(&preview);
	return preview.num_closed == 0 ? CLI_DONE : CLI_REFUSED;
}
