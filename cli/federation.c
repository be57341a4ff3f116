/* federation list, show, refresh, import, bundle: other trust domains, and what they get of this one. */
#include "base/core/escape.h"
#include "base/net/fd.h"
#include "base/pb/unpack.h"
#include "cli/call.h"
#include "cli/commands.h"
#include "cli/reach.h"
#include "cli/show.h"
#include "proto/handfast/v1/operator.pb-c.h"
#include <stdio.h>

typedef Handfast__V1__FederationPartner partner_t;
typedef Handfast__V1__FederationListResponse list_t;

enum { BUNDLE_MAX = 24576, TEXT_MAX = 2304 };

struct texts { /* of one partner, printable */
	char domain[300], url[TEXT_MAX], profile[32], id[TEXT_MAX], changed[32], success[32], trouble[300],
		expected[200], fix[230];
};

static void read_texts(const partner_t *partner, struct texts *out)
{
	escape_ascii(pb_span(partner->trust_domain), out->domain, sizeof out->domain);
	escape_ascii(pb_span(partner->url), out->url, sizeof out->url);
	escape_ascii(pb_span(partner->profile), out->profile, sizeof out->profile);
	escape_ascii(pb_span(partner->endpoint_id), out->id, sizeof out->id);
	escape_ascii(pb_span(partner->trouble), out->trouble, sizeof out->trouble);
	escape_ascii(pb_span(partner->expected), out->expected, sizeof out->expected);
	escape_ascii(pb_span(partner->fix), out->fix, sizeof out->fix);
	show_time(partner->changed_ms, out->changed);
	show_time(partner->success_ms, out->success);
}

static json_t *root_json(const Handfast__V1__FederationRoot *root)
{
	char sha256[80], to[32];
	show_hex(pb_span(root->sha256), sha256, sizeof sha256);
	show_time(root->not_after_ms, to);
	return json_pack("{s:s, s:s, s:b}", "sha256", sha256, "not_after", to, "retired", root->retired);
}

static json_t *partner_json(const partner_t *partner)
{
	struct texts texts;
	json_t *roots = json_array();
	read_texts(partner, &texts);
	for (size_t i = 0; i < partner->n_roots; i++)
		json_array_append_new(roots, root_json(partner->roots[i]));
	json_t *row = json_pack("{s:s, s:s, s:s, s:s, s:b, s:I, s:s, s:s, s:I, s:I, s:I, s:o}", "trust_domain",
		texts.domain, "url", texts.url, "profile", texts.profile, "endpoint_spiffe_id", texts.id, "has_bundle",
		partner->has_bundle, "refresh_seconds", (json_int_t)partner->refresh_s, "changed", texts.changed,
		"last_success", texts.success, "fetches", (json_int_t)partner->num_fetched, "failures",
		(json_int_t)partner->num_failed, "jwt_keys", (json_int_t)partner->num_jwt_keys, "roots", roots);
	if (partner->has_sequence)
		json_object_set_new(row, "sequence", json_integer((json_int_t)partner->sequence));
	if (texts.trouble[0] != '\0')
		json_object_set_new(row, "trouble",
			json_pack(
				"{s:s, s:s, s:s}", "got", texts.trouble, "expected", texts.expected, "fix", texts.fix));
	return row;
}

static void print_partner(const partner_t *partner)
{
	struct texts texts;
	char sha256[80], to[32];
	read_texts(partner, &texts);
	printf("%s  %s  %s", texts.domain, texts.profile, texts.url);
	if (partner->has_bundle)
		printf("  bundle of %s", texts.changed);
	if (partner->has_sequence)
		printf(", sequence %llu", (unsigned long long)partner->sequence);
	printf("%s\n", partner->has_bundle ? "" : "  no bundle");
	for (size_t i = 0; i < partner->n_roots; i++) {
		show_hex(pb_span(partner->roots[i]->sha256), sha256, sizeof sha256);
		show_time(partner->roots[i]->not_after_ms, to);
		printf("  root %.16s  %-7s  until %s\n", sha256, partner->roots[i]->retired ? "retired" : "live", to);
	}
	if (texts.trouble[0] != '\0')
		printf("  trouble: %s; expected: %s; fix: %s\n", texts.trouble, texts.expected, texts.fix);
}

static bool is_of(const partner_t *partner, const char *domain)
{
	return domain == NULL || span_eq(pb_span(partner->trust_domain), span_of_str(domain));
}

/* Those of that trust domain, or all. Returns how many. */
static size_t show(const struct command_line *line, const list_t *list, const char *domain)
{
	char reach[160];
	json_t *rows = json_array();
	size_t num = 0;
	for (size_t i = 0; i < list->n_partners; i++) {
		if (!is_of(list->partners[i], domain))
			continue;
		num++;
		if (!line->json) {
			print_partner(list->partners[i]);
			continue;
		}
		json_t *row = partner_json(list->partners[i]);
		reach_put_json(list->reach, row);
		json_array_append_new(rows, row);
	}
	if (num > 0 && !line->json && list->reach != NULL)
		printf("  stored%s\n", reach_text(list->reach, reach, sizeof reach));
	if (line->json && domain == NULL)
		show_json(json_pack("{s:O}", "partners", rows));
	else if (line->json && num > 0)
		show_json(json_incref(json_array_get(rows, 0)));
	json_decref(rows);
	return num;
}

static enum cli_exit fail_unknown(struct command_line *line)
{
	struct why why = {0};
	enum err err = why_set(&why, ERR_NOT_FOUND, "a trust domain of federation.partners",
		"see `handfast federation list`", "no partner has this trust domain");
	(void)command_line_fail(line, err, &why);
	return CLI_REFUSED; /* as with an entry that is unknown */
}

static enum cli_exit run(
	struct command_line *line, const char *method, const ProtobufCMessage *request, const char *domain)
{
	_cleanup_(answer_done) struct answer answer = {0};
	enum err err = call(line, method, request, &handfast__v1__federation_list_response__descriptor, &answer);
	if (err != ERR_NONE)
		return command_line_fail(line, err, &answer.detail);
	const list_t *list = (const list_t *)answer.message;
	if (show(line, list, domain) == 0 && domain != NULL)
		return fail_unknown(line);
	if (!line->json && list->n_partners == 0)
		printf("no partners\n");
	return CLI_DONE;
}

enum cli_exit command_federation_list(struct command_line *line)
{
	return run(line, "FederationList", NULL, NULL);
}

enum cli_exit command_federation_show(struct command_line *line)
{
	const char *domain = command_argument(line, "a partner's trust domain");
	return domain == NULL ? command_line_refuse(line) : run(line, "FederationList", NULL, domain);
}

enum cli_exit command_federation_refresh(struct command_line *line)
{
	Handfast__V1__FederationRequest request = HANDFAST__V1__FEDERATION_REQUEST__INIT;
	const char *domain = command_argument(line, "a partner's trust domain");
	if (domain == NULL)
		return command_line_refuse(line);
	request.trust_domain = pb_bytes(span_of_str(domain));
	request.any_sequence = command_line_has(line, "any-sequence");
	return run(line, "FederationChange", &request.base, domain);
}

enum cli_exit command_federation_import(struct command_line *line)
{
	_cleanup_(buf_done) struct buf content = BUF_INIT(BUNDLE_MAX);
	Handfast__V1__FederationRequest request = HANDFAST__V1__FEDERATION_REQUEST__INIT;
	struct why why = {0};
	const char *domain = command_argument(line, "a partner's trust domain; the bundle is in --file FILE");
	const char *path = command_line_value(line, "file");
	if (domain == NULL)
		return command_line_refuse(line);
	if (path == NULL) {
		command_line_error_text(
			line, "federation import", "--file FILE with the partner's bundle (JSON)", "it is missing");
		return command_line_refuse(line);
	}
	enum err err = fd_read_file(path, BUNDLE_MAX, &content, &why);
	if (err != ERR_NONE)
		return command_line_fail(line, err, &why);
	request.trust_domain = pb_bytes(span_of_str(domain));
	request.bundle = pb_bytes(buf_span(&content));
	return run(line, "FederationChange", &request.base, domain);
}

enum cli_exit command_federation_bundle(struct command_line *line)
{
	_cleanup_(answer_done) struct answer answer = {0};
	enum err err = call(line, "FederationList", NULL, &handfast__v1__federation_list_response__descriptor, &answer);
	if (err != ERR_NONE)
		return command_line_fail(line, err, &answer.detail);
	struct span bundle = pb_span(((const list_t *)answer.message)->own_bundle);
	fwrite(bundle.ptr, 1, bundle.len, stdout);
	putchar('\n');
	return CLI_DONE;
}
