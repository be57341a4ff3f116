/* token create, ban, entry release: small orders to the control plane. */
#include "base/core/addr.h"
#include "base/pb/unpack.h"
#include "base/settings/settings.h"
#include "cli/call.h"
#include "cli/commands.h"
#include "cli/show.h"
#include "proto/handfast/v1/operator.pb-c.h"
#include <stdio.h>

#define TTL_MAX_MS   (30ull * 86400 * 1000)
#define NETWORKS_MAX 16

/* The one argument of the command, or the exit code with a mistake. */
static const char *only_argument(struct command_line *line, const char *expected)
{
	if (line->num_arguments == 1)
		return line->arguments[0];
	command_line_mistake(line, line->command->words, expected, line->num_arguments == 0 ? "none" : "more");
	return NULL;
}

static void fill_token(struct command_line *line, Handfast__V1__TokenCreateRequest *request,
	ProtobufCBinaryData networks[NETWORKS_MAX])
{
	uint64_t ttl_ms = 3600 * 1000;
	const char *id = command_line_value(line, "id"), *ttl = command_line_value(line, "ttl");
	if (id == NULL)
		command_line_mistake(line, "--id", "the identity that the token is for, spiffe://TD/PATH", "none");
	else
		request->id = pb_bytes(span_of_str(id));
	if (ttl != NULL &&
		(duration_parse(span_of_str(ttl), &ttl_ms) != ERR_NONE || ttl_ms < 1000 || ttl_ms > TTL_MAX_MS))
		command_line_mistake(line, "--ttl", "a duration such as 10m or 1h, at most 30d", ttl);
	request->ttl_seconds = (uint32_t)(ttl_ms / 1000);
	request->networks = networks;
	for (unsigned i = 0; i < line->num_values; i++) {
		if (strcmp(line->values[i].name, "network") != 0)
			continue;
		if (request->n_networks == NETWORKS_MAX)
			command_line_mistake(line, "--network", "at most 16 networks", "more");
		else
			networks[request->n_networks++] = pb_bytes(span_of_str(line->values[i].text));
	}
}

static void show_token(const struct command_line *line, const Handfast__V1__TokenCreateResponse *answer)
{
	char expires[32];
	show_time(answer->expires_ms, expires);
	if (line->json) {
		show_json(json_pack("{s:s%, s:s, s:s}", "token", answer->token.data, answer->token.len, "id",
			command_line_value(line, "id"), "expires", expires));
		return;
	}
	printf("%.*s\n", (int)answer->token.len, (const char *)answer->token.data);
	fprintf(stderr, "for one sidecar, until %s; keep it in a file of mode 0600\n", expires);
}

enum cli_exit command_token_create(struct command_line *line)
{
	Handfast__V1__TokenCreateRequest request = HANDFAST__V1__TOKEN_CREATE_REQUEST__INIT;
	ProtobufCBinaryData networks[NETWORKS_MAX];
	_cleanup_(answer_done) struct answer answer = {0};
	fill_token(line, &request, networks);
	if (buf_len(&line->mistakes) > 0)
		return command_line_refuse(line);
	enum err err =
		call(line, "TokenCreate", &request.base, &handfast__v1__token_create_response__descriptor, &answer);
	if (err != ERR_NONE)
		return command_line_fail(line, err, &answer.why);
	show_token(line, (const Handfast__V1__TokenCreateResponse *)answer.message);
	return CLI_DONE;
}

enum cli_exit command_ban(struct command_line *line)
{
	Handfast__V1__BanRequest request = HANDFAST__V1__BAN_REQUEST__INIT;
	_cleanup_(answer_done) struct answer answer = {0};
	char text[100];
	const char *id = only_argument(line, "one identity, spiffe://TD/PATH");
	if (id == NULL)
		return command_line_refuse(line);
	request.id = pb_bytes(span_of_str(id));
	enum err err = call(line, "Ban", &request.base, &handfast__v1__ban_response__descriptor, &answer);
	if (err != ERR_NONE)
		return command_line_fail(line, err, &answer.why);
	uint32_t num = ((const Handfast__V1__BanResponse *)answer.message)->num_holders;
	if (line->json) {
		show_json(json_pack("{s:b, s:I}", "banned", true, "holders", (json_int_t)num));
		return CLI_DONE;
	}
	snprintf(text, sizeof text, "banned; %u attested sidecars have that identity", num);
	return command_line_answer(line, text);
}

enum cli_exit command_entry_release(struct command_line *line)
{
	Handfast__V1__ReleaseRequest request = HANDFAST__V1__RELEASE_REQUEST__INIT;
	_cleanup_(answer_done) struct answer answer = {0};
	struct ip_addr ip;
	const char *text = only_argument(line, "one IP address, such as 192.0.2.1");
	if (text != NULL && ip_addr_parse(span_of_str(text), &ip) != ERR_NONE)
		command_line_mistake(line, "entry release", "an IP address such as 192.0.2.1", text);
	if (buf_len(&line->mistakes) > 0)
		return command_line_refuse(line);
	request.ip = pb_bytes(ip_addr_bytes(&ip));
	enum err err = call(line, "Release", &request.base, &handfast__v1__release_response__descriptor, &answer);
	if (err != ERR_NONE)
		return command_line_fail(line, err, &answer.why);
	bool was_held = ((const Handfast__V1__ReleaseResponse *)answer.message)->was_held;
	if (line->json)
		show_json(json_pack("{s:b}", "was_held", was_held));
	else
		puts(was_held ? "released" : "no sidecar held it");
	return was_held ? CLI_DONE : CLI_REFUSED;
}
