/* token create, ban, entry release: small orders to the control plane. */
#include "base/core/addr.h"
#include "base/core/mem.h"
#include "base/pb/unpack.h"
#include "base/settings/settings.h"
#include "cli/call.h"
#include "cli/commands.h"
#include "proto/handfast/v1/operator.pb-c.h"
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#define TTL_MAX_MS (30ull * 86400 * 1000)

static enum err exchange(const struct cli_options *options, const char *method, const ProtobufCMessage *request,
	const ProtobufCMessageDescriptor *answer_type, struct pb_arena **out_arena, ProtobufCMessage **out,
	struct why *why)
{
	_cleanup_(buf_done) struct buf message = BUF_INIT(65536);
	_cleanup_(buf_wipe) struct buf answer = BUF_INIT(CALL_ANSWER_MAX);
	RETURN_IF_ERR(pb_pack(request, &message));
	const struct call_request call = {options->socket, method, buf_span(&message)};
	RETURN_IF_ERR(call_operator(&call, &answer, why));
	return pb_unpack(answer_type, buf_span(&answer), out_arena, out, why);
}

static enum err fill_token(
	const struct cli_options *options, Handfast__V1__TokenCreateRequest *request, struct why *why)
{
	uint64_t ttl_ms = 3600 * 1000;
	if (options->id == NULL)
		return why_set(why, ERR_CONFIG, "--id spiffe://...", "say whose token it is", "none");
	if (options->ttl != NULL && (duration_parse(span_of_str(options->ttl), &ttl_ms) != ERR_NONE || ttl_ms < 1000 ||
					    ttl_ms > TTL_MAX_MS))
		return why_set(why, ERR_CONFIG, "--ttl such as 10m, 1h, at most 30d", "correct it", "%s", options->ttl);
	request->id = pb_bytes(span_of_str(options->id));
	request->ttl_seconds = (uint32_t)(ttl_ms / 1000);
	request->n_networks = options->num_networks;
	return ERR_NONE;
}

static void show_token(const struct cli_options *options, const Handfast__V1__TokenCreateResponse *answer)
{
	char expires[32];
	show_time(answer->expires_ms, expires);
	if (!options->json) {
		printf("%.*s\n", (int)answer->token.len, (const char *)answer->token.data);
		fprintf(stderr, "for one sidecar, until %s; keep it in a file of mode 0600\n", expires);
		return;
	}
	json_t *object = json_pack("{s:s%, s:s, s:s}", "token", answer->token.data, answer->token.len, "id",
		options->id, "expires", expires);
	json_dumpf(object, stdout, JSON_INDENT(2));
	json_decref(object);
	putchar('\n');
}

int command_token_create(const struct cli_options *options)
{
	Handfast__V1__TokenCreateRequest request = HANDFAST__V1__TOKEN_CREATE_REQUEST__INIT;
	ProtobufCBinaryData networks[16];
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	ProtobufCMessage *answer;
	struct why why = {0};
	for (unsigned i = 0; i < options->num_networks; i++)
		networks[i] = pb_bytes(span_of_str(options->networks[i]));
	request.networks = networks;
	enum err err = fill_token(options, &request, &why);
	if (err == ERR_NONE)
		err = exchange(options, "TokenCreate", &request.base, &handfast__v1__token_create_response__descriptor,
			&arena, &answer, &why);
	if (err != ERR_NONE)
		return show_failure(options, err, &why);
	show_token(options, (const Handfast__V1__TokenCreateResponse *)answer);
	return CLI_FINE;
}

int command_ban(const struct cli_options *options)
{
	Handfast__V1__BanRequest request = HANDFAST__V1__BAN_REQUEST__INIT;
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	ProtobufCMessage *answer;
	struct why why = {0};
	const char *id = options->num_words > 0 ? options->words[0] : options->id;
	if (id == NULL)
		return show_failure(options,
			why_set(&why, ERR_CONFIG, "an identity", "say whom: handfast ban spiffe://...", "none"), &why);
	request.id = pb_bytes(span_of_str(id));
	enum err err =
		exchange(options, "Ban", &request.base, &handfast__v1__ban_response__descriptor, &arena, &answer, &why);
	if (err != ERR_NONE)
		return show_failure(options, err, &why);
	uint32_t num = ((const Handfast__V1__BanResponse *)answer)->num_holders;
	if (options->json)
		printf("{\"banned\": true, \"holders\": %" PRIu32 "}\n", num);
	else
		printf("banned; %" PRIu32 " attested sidecars have that identity\n", num);
	return CLI_FINE;
}

int command_entry_release(const struct cli_options *options)
{
	Handfast__V1__ReleaseRequest request = HANDFAST__V1__RELEASE_REQUEST__INIT;
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	ProtobufCMessage *answer;
	struct why why = {0};
	struct ip_addr ip;
	if (options->num_words == 0 || ip_addr_parse(span_of_str(options->words[0]), &ip) != ERR_NONE)
		return show_failure(options,
			why_set(&why, ERR_CONFIG, "an IP address", "say which: handfast entry release 192.0.2.1",
				"none"),
			&why);
	request.ip = pb_bytes(ip_addr_bytes(&ip));
	enum err err = exchange(
		options, "Release", &request.base, &handfast__v1__release_response__descriptor, &arena, &answer, &why);
	if (err != ERR_NONE)
		return show_failure(options, err, &why);
	bool was_held = ((const Handfast__V1__ReleaseResponse *)answer)->was_held;
	if (options->json)
		printf("{\"was_held\": %s}\n", was_held ? "true" : "false");
	else
		puts(was_held ? "released" : "nobody held it");
	return was_held ? CLI_FINE : CLI_REFUSED;
}
