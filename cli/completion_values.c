/* completion values: what complements a line that is being typed, asked of the control plane or the cluster that the
 * line is for. A shell waits for it: it ends after a moment, and it reports no error. */
#include "base/core/addr.h"
#include "base/core/mem.h"
#include "base/pb/unpack.h"
#include "cli/call.h"
#include "cli/cluster/api.h"
#include "cli/commands.h"
#include "cli/show.h"
#include "proto/handfast/v1/operator.pb-c.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define GIVE_UP_US 800000 /* so that a shell has its answer within a second */

struct request {
	struct command_line *line; /* that is being typed */
	const char *begin;         /* what the values begin with */
};

/* --- one value --- */

/* Other characters would have to be quoted, for each shell in its own way, and values come from other hosts. */
static bool is_plain(const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:/@%+,";
	return text[0] != '\0' && text[0] != '-' && text[strspn(text, plain)] == '\0';
}

static void put(const struct request *request, const char *text)
{
	if (is_plain(text) && strncmp(text, request->begin, strlen(request->begin)) == 0)
		puts(text);
}

static void put_bytes(const struct request *request, ProtobufCBinaryData bytes)
{
	_cleanup_(mem_freep) char *text = mem_printf("%.*s", (int)bytes.len, (const char *)bytes.data);
	put(request, text);
}

static void put_hex(const struct request *request, ProtobufCBinaryData bytes)
{
	char text[128];
	show_hex(pb_span(bytes), text, sizeof text);
	put(request, text);
}

/* --- of the control plane --- */

static const ProtobufCMessage *ask(const struct request *request, const char *method,
	const ProtobufCMessageDescriptor *type, struct answer *answer)
{
	return call(request->line, method, NULL, type, answer) == ERR_NONE ? answer->message : NULL;
}

static void put_banned(const struct request *request)
{
	_cleanup_(answer_done) struct answer answer = {0};
	const Handfast__V1__BanListResponse *list = (const Handfast__V1__BanListResponse *)ask(
		request, "BanList", &handfast__v1__ban_list_response__descriptor, &answer);
	for (size_t i = 0; list != NULL && i < list->n_bans; i++)
		put_bytes(request, list->bans[i]->id);
}

static bool is_known(const Handfast__V1__StatusResponse *status, size_t i)
{
	for (size_t before = 0; before < i; before++)
		if (span_eq(pb_span(status->svid_holders[before]->id), pb_span(status->svid_holders[i]->id)))
			return true;
	return false;
}

enum { IDENTITIES_MAX = 2000 }; /* more are no help at a prompt, and each is compared with those before it */

typedef void owner_fn(const struct request *request, const Handfast__V1__StatusResponse *status, size_t i);

static void each_owner(const struct request *request, owner_fn *each)
{
	_cleanup_(answer_done) struct answer answer = {0};
	const Handfast__V1__StatusResponse *status = (const Handfast__V1__StatusResponse *)ask(
		request, "Status", &handfast__v1__status_response__descriptor, &answer);
	for (size_t i = 0; status != NULL && i < status->n_svid_holders && i < IDENTITIES_MAX; i++)
		each(request, status, i);
}

static void put_identity(const struct request *request, const Handfast__V1__StatusResponse *status, size_t i)
{
	if (!is_known(status, i))
		put_bytes(request, status->svid_holders[i]->id);
}

static void put_serial(const struct request *request, const Handfast__V1__StatusResponse *status, size_t i)
{
	put_hex(request, status->svid_holders[i]->svid_serial);
}

static void put_addresses(const struct request *request, const Handfast__V1__StatusResponse *status, size_t i)
{
	const Handfast__V1__SvidHolder *owner = status->svid_holders[i];
	char text[ADDR_TEXT_MAX];
	struct ip_addr ip;
	for (size_t at = 0; at < owner->n_addresses; at++)
		if (ip_addr_from_bytes(pb_span(owner->addresses[at]->ip), &ip) == ERR_NONE)
			put(request, ip_addr_format(&ip, text));
}

static void values_identities(const struct request *request)
{
	if (command_line_is(request->line, "unban"))
		put_banned(request);
	else
		each_owner(request, put_identity);
}

static void values_sources(const struct request *request)
{
	put(request, "plaintext");
	each_owner(request, put_identity);
}

static void values_serials(const struct request *request)
{
	each_owner(request, put_serial);
}

static void values_addresses(const struct request *request)
{
	each_owner(request, put_addresses);
}

static void values_tokens(const struct request *request)
{
	_cleanup_(answer_done) struct answer answer = {0};
	const Handfast__V1__TokenListResponse *list = (const Handfast__V1__TokenListResponse *)ask(
		request, "TokenList", &handfast__v1__token_list_response__descriptor, &answer);
	for (size_t i = 0; list != NULL && i < list->n_tokens; i++)
		put_hex(request, list->tokens[i]->token_id);
}

static void values_entries(const struct request *request)
{
	_cleanup_(answer_done) struct answer answer = {0};
	bool deletes = command_line_is(request->line, "entry delete");
	const Handfast__V1__EntryListResponse *list = (const Handfast__V1__EntryListResponse *)ask(
		request, "EntryList", &handfast__v1__entry_list_response__descriptor, &answer);
	for (size_t i = 0; list != NULL && i < list->n_entries; i++)
		if (!deletes || !list->entries[i]->in_settings) /* those are removed there */
			put_bytes(request, list->entries[i]->name);
}

static void values_partners(const struct request *request)
{
	_cleanup_(answer_done) struct answer answer = {0};
	const Handfast__V1__FederationListResponse *list = (const Handfast__V1__FederationListResponse *)ask(
		request, "FederationList", &handfast__v1__federation_list_response__descriptor, &answer);
	for (size_t i = 0; list != NULL && i < list->n_partners; i++)
		put_bytes(request, list->partners[i]->trust_domain);
}

/* --- of the cluster --- */

static void put_pod(void *arg, const json_t *pod)
{
	const char *name = json_string_value(json_object_get(json_object_get(pod, "metadata"), "name"));
	_cleanup_(mem_freep) char *text = mem_printf("pod/%s", name == NULL ? "" : name);
	if (name != NULL)
		put(arg, text);
}

static void values_pods(const struct request *request)
{
	struct api api = {0};
	struct why why = {0};
	const char *namespace_ = command_line_value(request->line, "namespace");
	if (api_has_kubeconfig(request->line) && api_open(request->line, &api, &why) == ERR_NONE) {
		_cleanup_(mem_freep) char *path = mem_printf(
			"/api/v1/namespaces/%s/pods", namespace_ != NULL ? namespace_ : api.config->namespace_);
		/* What has come is printed; an error offers nothing more. */
		(void)!api_list(&api, path, put_pod, (void *)(uintptr_t)request, &why);
	}
	api_done(&api);
}

/* --- the command --- */

#define VALUES(argument, name, function) function,
static void (*const functions[])(const struct request *request) = {
#include "cli/values.def"
};
#undef VALUES

static void give_up(int number)
{
	(void)number;
	_exit(CLI_DONE); /* whatever it waits for: a control plane, a name, an API server */
}

/* bash has "--socket=/x" as three words. */
static int join_words(char *const *words, int num, char *joined[CLI_WORDS_MAX + 1])
{
	int num_joined = 0;
	for (int i = 0; i < num; i++) {
		if (strcmp(words[i], "=") == 0 && num_joined > 1 && i + 1 < num) {
			char *flag = joined[num_joined - 1];
			joined[num_joined - 1] = mem_printf("%s=%s", flag, words[++i]);
			mem_free(flag);
		} else
			joined[num_joined++] = mem_strdup(words[i]);
	}
	return num_joined;
}

static const char *begin_of(const struct command_line *line)
{
	const char *last = line->num_arguments > 1 ? line->arguments[line->num_arguments - 1] : "";
	const char *value = strncmp(last, "--", 2) == 0 ? strchr(last, '=') : NULL;
	return value == NULL ? last : value + 1;
}

enum cli_exit command_completion_values(struct command_line *line)
{
	const struct itimerval within = {.it_value = {.tv_usec = GIVE_UP_US}};
	_cleanup_(command_line_done) struct command_line typed;
	char *words[CLI_WORDS_MAX + 1];
	(void)signal(SIGALRM, give_up);
	(void)setitimer(ITIMER_REAL, &within, NULL);
	int num_before = line->num_arguments > 2 ? (int)line->num_arguments - 2 : 0;
	char *given[CLI_WORDS_MAX + 1] = {(char *)(uintptr_t)line->program->name};
	for (int i = 0; i < num_before; i++)
		given[i + 1] = (char *)(uintptr_t)line->arguments[i + 1];
	int num = join_words(given, num_before + 1, words);
	command_line_parse(line->program, num, words, &typed); /* it need not be whole: its errors do not count */
	typed.is_for_completion = true;
	const struct request request = {&typed, begin_of(line)};
	for (size_t i = 0; line->num_arguments > 0 && i < line->program->num_values; i++)
		if (strcmp(line->program->values[i].name, line->arguments[0]) == 0)
			functions[i](&request);
	for (int i = 0; i < num; i++)
		mem_free(words[i]);
	return CLI_DONE;
}
