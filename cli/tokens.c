/* token create, token list, token revoke. */
#include "base/core/clock.h"
#include "base/core/escape.h"
#include "base/core/hex.h"
#include "base/settings/settings.h"
#include "cli/call.h"
#include "cli/commands.h"
#include "cli/identity_text.h"
#include "cli/show.h"
#include "proto/handfast/v1/operator.pb-c.h"
#include <stdio.h>

#define TTL_MAX_MS    (30ull * 86400 * 1000)
#define TOKEN_ID_LEN  16
#define TOKEN_ID_TEXT (2 * TOKEN_ID_LEN + 1)

static void fill_token(struct command_line *line, Handfast__V1__TokenCreateRequest *request,
	ProtobufCBinaryData networks[COMMAND_VALUES_MAX])
{
	uint64_t ttl_ms = 3600 * 1000;
	const char *id = command_line_value(line, "id"), *ttl = command_line_value(line, "ttl");
	if (id == NULL)
		command_line_error_text(
			line, "--id", "the identity that the token is for, spiffe://TD/PATH", "no identity is given");
	else
		identity_read(line, "--id", id, NULL);
	request->id = pb_bytes(span_of_str(id == NULL ? "" : id));
	if (ttl != NULL &&
		(duration_parse(span_of_str(ttl), &ttl_ms) != ERR_NONE || ttl_ms < 1000 || ttl_ms > TTL_MAX_MS))
		command_line_error(line, "--ttl", "a duration such as 10m or 1h, at most 30d", ttl);
	request->ttl_seconds = (uint32_t)(ttl_ms / 1000);
	request->networks = networks;
	request->n_networks = command_values(line, "network", networks);
}

static void show_token(const struct command_line *line, const Handfast__V1__TokenCreateResponse *answer)
{
	char expires[32], token_id[TOKEN_ID_TEXT];
	show_time(answer->expires_ms, expires);
	show_hex(pb_span(answer->token_id), token_id, sizeof token_id);
	if (line->json) {
		show_json(json_pack("{s:s%, s:s, s:s, s:s}", "token", answer->token.data, answer->token.len, "token_id",
			token_id, "id", command_line_value(line, "id"), "expires", expires));
		return;
	}
	printf("%.*s\n", (int)answer->token.len, (const char *)answer->token.data);
	fprintf(stderr, "token %s, for one sidecar, until %s; keep it in a file of mode 0600\n", token_id, expires);
}

enum cli_exit command_token_create(struct command_line *line)
{
	Handfast__V1__TokenCreateRequest request = HANDFAST__V1__TOKEN_CREATE_REQUEST__INIT;
	ProtobufCBinaryData networks[COMMAND_VALUES_MAX];
	_cleanup_(answer_done) struct answer answer = {0};
	fill_token(line, &request, networks);
	if (buf_len(&line->errors) > 0)
		return command_line_refuse(line);
	enum err err =
		call(line, "TokenCreate", &request.base, &handfast__v1__token_create_response__descriptor, &answer);
	if (err != ERR_NONE)
		return command_line_fail(line, err, &answer.detail);
	show_token(line, (const Handfast__V1__TokenCreateResponse *)answer.message);
	return CLI_DONE;
}

/* --- list --- */

static json_t *token_json(const Handfast__V1__Token *token)
{
	char token_id[TOKEN_ID_TEXT], id[2304], used_by[80], expires[32], network[64];
	json_t *networks = json_array();
	escape_ascii(pb_span(token->id), id, sizeof id);
	show_hex(pb_span(token->token_id), token_id, sizeof token_id);
	show_hex(pb_span(token->used_by), used_by, sizeof used_by);
	show_time(token->expires_ms, expires);
	for (size_t i = 0; i < token->n_networks; i++) {
		escape_ascii(pb_span(token->networks[i]), network, sizeof network);
		json_array_append_new(networks, json_string(network));
	}
	return json_pack("{s:s, s:s, s:s, s:s, s:b, s:o}", "token_id", token_id, "id", id, "expires", expires,
		"consumed_by", used_by, "has_expired", token->expires_ms <= clock_system.wall_ms(&clock_system),
		"networks", networks);
}

static void print_token(const json_t *token)
{
	char token_id[TOKEN_ID_TEXT], id[2304], used_by[80], expires[32], network[64];
	const json_t *networks = json_object_get(token, "networks");
	show_text(token, "consumed_by", used_by, sizeof used_by);
	printf("%s  %s  until %s  %s", show_text(token, "token_id", token_id, sizeof token_id),
		show_text(token, "id", id, sizeof id), show_text(token, "expires", expires, sizeof expires),
		used_by[0] != '\0'                                    ? "consumed by key "
		: json_is_true(json_object_get(token, "has_expired")) ? "expired"
								      : "unused");
	printf("%.16s", used_by);
	for (size_t i = 0; i < json_array_size(networks); i++) {
		const char *text = json_string_value(json_array_get(networks, i));
		snprintf(network, sizeof network, "%s", text == NULL ? "" : text);
		printf("%s%s", i == 0 ? "  from " : ",", network);
	}
	putchar('\n');
}

enum cli_exit command_token_list(struct command_line *line)
{
	_cleanup_(answer_done) struct answer answer = {0};
	enum err err = call(line, "TokenList", NULL, &handfast__v1__token_list_response__descriptor, &answer);
	if (err != ERR_NONE)
		return command_line_fail(line, err, &answer.detail);
	const Handfast__V1__TokenListResponse *list = (const Handfast__V1__TokenListResponse *)answer.message;
	json_t *tokens = json_array();
	for (size_t i = 0; i < list->n_tokens; i++) {
		json_t *token = token_json(list->tokens[i]);
		if (!line->json)
			print_token(token);
		json_array_append_new(tokens, token);
	}
	if (line->json)
		show_json(json_pack("{s:O, s:I}", "tokens", tokens, "num_left_out", (json_int_t)list->num_left_out));
	else if (list->n_tokens == 0)
		puts("no tokens");
	else
		show_left_out(list->num_left_out, "join tokens");
	json_decref(tokens);
	return CLI_DONE;
}

/* --- revoke --- */

enum cli_exit command_token_revoke(struct command_line *line)
{
	Handfast__V1__TokenRevokeRequest request = HANDFAST__V1__TOKEN_REVOKE_REQUEST__INIT;
	_cleanup_(answer_done) struct answer answer = {0};
	uint8_t token_id[TOKEN_ID_LEN];
	const char *text = command_argument(line, "one token's id, as `handfast token list` shows it");
	if (text != NULL && !hex_parse(span_of_str(text), token_id, sizeof token_id))
		command_line_error(
			line, "token revoke", "32 hexadecimal digits, as `handfast token list` shows them", text);
	if (buf_len(&line->errors) > 0)
		return command_line_refuse(line);
	request.token_id = pb_bytes(span_of(token_id, sizeof token_id));
	enum err err =
		call(line, "TokenRevoke", &request.base, &handfast__v1__token_revoke_response__descriptor, &answer);
	if (err != ERR_NONE)
		return command_line_fail(line, err, &answer.detail);
	const Handfast__V1__TokenRevokeResponse *revoked = (const Handfast__V1__TokenRevokeResponse *)answer.message;
	if (line->json)
		show_json(json_pack("{s:b, s:b}", "was_there", revoked->was_there, "was_consumed", revoked->was_used));
	else
		puts(!revoked->was_there    ? "there is no such token"
			: revoked->was_used ? "revoked; it was used, and the attestation key that it enrolled stays "
					      "valid: end that with `handfast ban`"
					    : "revoked");
	return revoked->was_there ? CLI_DONE : CLI_REFUSED;
}
