/* ban, ban list, unban, entry release: commands to the control plane. */
#include "base/core/addr.h"
#include "base/core/escape.h"
#include "base/pb/unpack.h"
#include "cli/call.h"
#include "cli/commands.h"
#include "cli/identity_text.h"
#include "cli/reach.h"
#include "cli/show.h"
#include "proto/handfast/v1/operator.pb-c.h"
#include <stdio.h>

enum cli_exit command_ban(struct command_line *line)
{
	Handfast__V1__BanRequest request = HANDFAST__V1__BAN_REQUEST__INIT;
	_cleanup_(answer_done) struct answer answer = {0};
	char text[320], reach[160];
	const char *id = identity_argument(line, "ban", ", or ban list");
	if (id == NULL)
		return command_line_refuse(line);
	request.id = pb_bytes(span_of_str(id));
	enum err err = call(line, "Ban", &request.base, &handfast__v1__ban_response__descriptor, &answer);
	if (err != ERR_NONE)
		return command_line_fail(line, err, &answer.detail);
	const Handfast__V1__BanResponse *banned = (const Handfast__V1__BanResponse *)answer.message;
	if (line->json) {
		json_t *object = json_pack("{s:b, s:I, s:I, s:b}", "banned", true, "svid_holders",
			(json_int_t)banned->num_svid_holders, "tokens_revoked", (json_int_t)banned->num_tokens,
			"unknown", banned->unknown);
		reach_put_json(banned->reach, object);
		show_json(object);
		return CLI_DONE;
	}
	if (banned->unknown)
		show_warning("no sidecar, token, entry or address has this identity",
			"an identity of `handfast status`, unless it is banned in advance",
			"if it is misspelled: `handfast unban`, then ban the right one");
	snprintf(text, sizeof text, "banned; %u attested sidecars have that identity, %u unused tokens are revoked%s",
		banned->num_svid_holders, banned->num_tokens, reach_text(banned->reach, reach, sizeof reach));
	return command_line_answer(line, text);
}

static void show_lifted_json(const Handfast__V1__UnbanResponse *lifted)
{
	json_t *object = json_pack("{s:b}", "was_banned", lifted->was_banned);
	reach_put_json(lifted->reach, object);
	show_json(object);
}

enum cli_exit command_unban(struct command_line *line)
{
	char reach[160];
	Handfast__V1__UnbanRequest request = HANDFAST__V1__UNBAN_REQUEST__INIT;
	_cleanup_(answer_done) struct answer answer = {0};
	const char *id = identity_argument(line, "unban", "");
	if (id == NULL)
		return command_line_refuse(line);
	request.id = pb_bytes(span_of_str(id));
	enum err err = call(line, "Unban", &request.base, &handfast__v1__unban_response__descriptor, &answer);
	if (err != ERR_NONE)
		return command_line_fail(line, err, &answer.detail);
	const Handfast__V1__UnbanResponse *lifted = (const Handfast__V1__UnbanResponse *)answer.message;
	bool was_banned = lifted->was_banned;
	if (line->json)
		show_lifted_json(lifted);
	else if (was_banned)
		printf("the ban is lifted; the identity's attestation keys are valid again%s\n",
			reach_text(lifted->reach, reach, sizeof reach));
	else
		return command_line_fail(line,
			why_set(&answer.detail, ERR_REFUSED, "an identity that is banned", "see `handfast ban list`",
				"%s is not banned", id),
			&answer.detail);
	return was_banned ? CLI_DONE : CLI_REFUSED;
}

static json_t *ban_json(const Handfast__V1__Ban *ban)
{
	char id[2304], since[32];
	escape_ascii(pb_span(ban->id), id, sizeof id);
	show_time(ban->since_ms, since);
	return json_pack(
		"{s:s, s:s, s:I}", "id", id, "since", since, "svid_holders", (json_int_t)ban->num_svid_holders);
}

enum cli_exit command_ban_list(struct command_line *line)
{
	_cleanup_(answer_done) struct answer answer = {0};
	char id[2304], since[32];
	enum err err = call(line, "BanList", NULL, &handfast__v1__ban_list_response__descriptor, &answer);
	if (err != ERR_NONE)
		return command_line_fail(line, err, &answer.detail);
	const Handfast__V1__BanListResponse *list = (const Handfast__V1__BanListResponse *)answer.message;
	json_t *bans = json_array();
	for (size_t i = 0; i < list->n_bans; i++) {
		json_array_append_new(bans, ban_json(list->bans[i]));
		show_time(list->bans[i]->since_ms, since);
		escape_ascii(pb_span(list->bans[i]->id), id, sizeof id);
		if (!line->json)
			printf("%s  since %s  %u attested sidecars\n", id, since, list->bans[i]->num_svid_holders);
	}
	if (line->json)
		show_json(json_pack("{s:O, s:I}", "bans", bans, "num_left_out", (json_int_t)list->num_left_out));
	else if (list->n_bans == 0)
		puts("no bans");
	else
		show_left_out(list->num_left_out, "bans");
	json_decref(bans);
	return CLI_DONE;
}

enum cli_exit command_entry_release(struct command_line *line)
{
	Handfast__V1__ReleaseRequest request = HANDFAST__V1__RELEASE_REQUEST__INIT;
	_cleanup_(answer_done) struct answer answer = {0};
	struct ip_addr ip;
	const char *text = command_argument(line, "one IP address, such as 192.0.2.1");
	if (text != NULL && ip_addr_parse(span_of_str(text), &ip) != ERR_NONE)
		command_line_error(line, "entry release", "an IP address such as 192.0.2.1", text);
	if (buf_len(&line->errors) > 0)
		return command_line_refuse(line);
	request.ip = pb_bytes(ip_addr_bytes(&ip));
	enum err err = call(line, "Release", &request.base, &handfast__v1__release_response__descriptor, &answer);
	if (err != ERR_NONE)
		return command_line_fail(line, err, &answer.detail);
	const Handfast__V1__ReleaseResponse *released = (const Handfast__V1__ReleaseResponse *)answer.message;
	bool was_held = released->was_held;
	if (line->json)
		show_json(json_pack("{s:b, s:b}", "was_held", was_held, "was_connected", released->was_connected));
	else if (was_held)
		puts("released");
	else
		return command_line_fail(line,
			why_set(&answer.detail, ERR_REFUSED, "an address that a sidecar has claimed",
				"see the addresses in `handfast status`", "no sidecar has claimed %s", text),
			&answer.detail);
	if (was_held && released->was_connected)
		show_warning("the sidecar with this address is connected: callers cannot reach its workload until it "
			     "claims the address again, in about 30 s",
			"an address whose sidecar is gone", "to keep it away, stop that sidecar first");
	return was_held ? CLI_DONE : CLI_REFUSED;
}
