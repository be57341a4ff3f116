/* ca status, ca rotate, ca replace, ca abort, ca retire, ca csr, ca crl, ca import: the mesh's root and the bootstrap
 * root, and their replacement. */
#include "base/core/addr.h"
#include "base/core/escape.h"
#include "base/net/fd.h"
#include "base/pb/unpack.h"
#include "cli/call.h"
#include "cli/commands.h"
#include "cli/reach.h"
#include "cli/show.h"
#include "proto/handfast/v1/operator.pb-c.h"
#include <stdio.h>

typedef Handfast__V1__CaStatusResponse ca_status_t;

enum { REPLICA_MAX = 1100, IMPORT_MAX = 24576 };

static const struct phase {
	const char *name, *text;
} phases[] =
	{
		{"none", "no rotation is under way"},
		{"publishing", "the next root is published; sidecars confirm it"},
		{"reissuing", "the next root signs; sidecars get new certificates"},
},
  bootstrap_phases[] = {
	  {"none", ""},
	  {"publishing", "bootstrap root: the pin of its successor is published; sidecars confirm it"},
	  {"overlap", "bootstrap root: its successor signs, and the former one is accepted too"},
};

enum { NUM_PHASES = sizeof phases / sizeof phases[0] };

static const char *phase_text(const struct phase table[NUM_PHASES], const char *name)
{
	for (size_t i = 0; i < NUM_PHASES; i++)
		if (strcmp(table[i].name, name) == 0)
			return table[i].text;
	return name; /* of a later release */
}

static void ip_text(ProtobufCBinaryData bytes, char out[ADDR_TEXT_MAX])
{
	struct ip_addr ip;
	snprintf(out, ADDR_TEXT_MAX, "-");
	if (ip_addr_from_bytes(pb_span(bytes), &ip) == ERR_NONE)
		ip_addr_format(&ip, out);
}

static json_t *root_json(const Handfast__V1__CaRoot *root)
{
	char sha256[80], role[32], from[32], to[32];
	show_hex(pb_span(root->sha256), sha256, sizeof sha256);
	escape_ascii(pb_span(root->role), role, sizeof role);
	show_time(root->not_before_ms, from);
	show_time(root->not_after_ms, to);
	return json_pack("{s:s, s:s, s:s, s:s}", "sha256", sha256, "role", role, "not_before", from, "not_after", to);
}

static json_t *waited_json(const Handfast__V1__CaWaited *waited)
{
	char id[2304], release[80], until[32], ip[ADDR_TEXT_MAX];
	escape_ascii(pb_span(waited->id), id, sizeof id);
	escape_ascii(pb_span(waited->release), release, sizeof release);
	show_time(waited->svid_not_after_ms, until);
	ip_text(waited->ip, ip);
	return json_pack("{s:s, s:b, s:s, s:s, s:s}", "id", id, "connected", waited->connected, "address", ip,
		"release", release, "svid_not_after", until);
}

static const char *replica_text(ProtobufCBinaryData name, char out[REPLICA_MAX])
{
	escape_ascii(pb_span(name), out, REPLICA_MAX);
	return out;
}

static uint64_t left_out(uint64_t num, size_t num_shown)
{
	return num > num_shown ? num - num_shown : 0; /* an earlier release counts no replicas */
}

/* Without the one that stands for certificates that have no record. */
static uint32_t num_named(const ca_status_t *status)
{
	return status->num_waited - (status->num_waited > 0 && status->unrecorded_until_ms != 0);
}

static json_t *status_json(const ca_status_t *status)
{
	char phase[32], began[32], phase_began[32], partners[32], unrecorded[32], name[REPLICA_MAX];
	json_t *roots = json_array(), *waited = json_array(), *replicas = json_array();
	escape_ascii(pb_span(status->phase), phase, sizeof phase);
	show_time(status->began_ms, began);
	show_time(status->phase_began_ms, phase_began);
	show_time(status->partners_until_ms, partners);
	show_time(status->unrecorded_until_ms, unrecorded);
	const uint64_t num_replicas = status->n_replicas + left_out(status->num_replicas, status->n_replicas);
	for (size_t i = 0; i < status->n_roots; i++)
		json_array_append_new(roots, root_json(status->roots[i]));
	for (size_t i = 0; i < status->n_waited; i++)
		json_array_append_new(waited, waited_json(status->waited[i]));
	for (size_t i = 0; i < status->n_replicas; i++)
		json_array_append_new(replicas, json_string(replica_text(status->replicas[i], name)));
	return json_pack("{s:s, s:I, s:s, s:s, s:b, s:I, s:s, s:s, s:o, s:o, s:o, s:I}", "phase", phase, "number",
		(json_int_t)status->number, "began", began, "phase_began", phase_began, "forced", status->forced,
		"num_waited", (json_int_t)status->num_waited, "unrecorded_until", unrecorded, "partners_until",
		partners, "waited", waited, "replicas", replicas, "roots", roots, "num_replicas",
		(json_int_t)num_replicas);
}

static void show_as_json(const ca_status_t *status)
{
	json_t *object = status_json(status);
	if (status->bootstrap != NULL) { /* an earlier release has none */
		json_t *bootstrap = status_json(status->bootstrap);
		json_object_set_new(bootstrap, "num_tokens", json_integer(status->bootstrap->num_tokens));
		json_object_set_new(object, "bootstrap", bootstrap);
	}
	reach_put_json(status->reach, object);
	show_json(object);
}

static void print_waited(const Handfast__V1__CaWaited *waited)
{
	char id[2304], until[32], ip[ADDR_TEXT_MAX];
	escape_ascii(pb_span(waited->id), id, sizeof id);
	show_time(waited->svid_not_after_ms, until);
	ip_text(waited->ip, ip);
	printf("  %s  %s%s  certificate until %s\n", id, waited->connected ? "connected from " : "away",
		waited->connected ? ip : "", until);
}

static void print_details(const ca_status_t *status, const char *prefix)
{
	char sha256[80], role[32], to[32], name[REPLICA_MAX];
	for (size_t i = 0; i < status->n_waited; i++)
		print_waited(status->waited[i]);
	show_left_out(left_out(num_named(status), status->n_waited), "sidecars that are waited for");
	show_time(status->unrecorded_until_ms, to);
	if (status->unrecorded_until_ms != 0)
		printf("  certificates that have no record, as those of pods, are waited for until %s\n", to);
	for (size_t i = 0; i < status->n_replicas; i++)
		printf("  replica %s has not taken it over; if that lasts, see its log; if its pod will not come back, "
		       "delete it\n",
			replica_text(status->replicas[i], name));
	show_left_out(left_out(status->num_replicas, status->n_replicas), "replicas");
	for (size_t i = 0; i < status->n_roots; i++) {
		show_hex(pb_span(status->roots[i]->sha256), sha256, sizeof sha256);
		escape_ascii(pb_span(status->roots[i]->role), role, sizeof role);
		show_time(status->roots[i]->not_after_ms, to);
		printf("%sroot %.16s  %-7s  until %s\n", prefix, sha256, role, to);
	}
}

static void print_bootstrap(const ca_status_t *status)
{
	char phase[32], began[32];
	escape_ascii(pb_span(status->phase), phase, sizeof phase);
	show_time(status->phase_began_ms, began);
	if (strcmp(phase, "none") != 0)
		printf("%s since %s%s; %u sidecars have not confirmed it\n", phase_text(bootstrap_phases, phase), began,
			status->forced ? " (forced)" : "", num_named(status));
	if (status->num_tokens > 0)
		printf("  %u unused join tokens have the pin of the former one\n", status->num_tokens);
	print_details(status, "bootstrap ");
}

static void print_status(const ca_status_t *status)
{
	char phase[32], began[32], reach[160];
	escape_ascii(pb_span(status->phase), phase, sizeof phase);
	show_time(status->phase_began_ms, began);
	printf("%s", phase_text(phases, phase));
	if (strcmp(phase, "none") != 0)
		printf(" since %s%s; waiting for %u sidecars", began, status->forced ? " (forced)" : "",
			num_named(status));
	show_time(status->partners_until_ms, began);
	if (status->partners_until_ms != 0)
		printf(", and until %s for partners to fetch the next root", began);
	printf("%s\n", reach_text(status->reach, reach, sizeof reach));
	print_details(status, "");
	if (status->bootstrap != NULL)
		print_bootstrap(status->bootstrap);
}

static enum cli_exit run(struct command_line *line, const char *method, const ProtobufCMessage *request)
{
	_cleanup_(answer_done) struct answer answer = {0};
	enum err err = call(line, method, request, &handfast__v1__ca_status_response__descriptor, &answer);
	if (err != ERR_NONE)
		return command_line_fail(line, err, &answer.detail);
	if (line->json)
		show_as_json((const ca_status_t *)answer.message);
	else
		print_status((const ca_status_t *)answer.message);
	return CLI_DONE;
}

enum cli_exit command_ca_status(struct command_line *line)
{
	return run(line, "CaStatus", NULL);
}

enum cli_exit command_ca_rotate(struct command_line *line)
{
	Handfast__V1__CaRotateRequest request = HANDFAST__V1__CA_ROTATE_REQUEST__INIT;
	request.force = command_line_has(line, "force");
	request.bootstrap = command_line_has(line, "bootstrap");
	return run(line, "CaRotate", &request.base);
}

enum cli_exit command_ca_replace(struct command_line *line)
{
	Handfast__V1__CaRotateRequest request = HANDFAST__V1__CA_ROTATE_REQUEST__INIT;
	request.compromised = true;
	if (!command_line_has(line, "compromised")) {
		command_line_error_text(line, "ca replace",
			"--compromised; to replace a root without interrupting connections: `handfast ca rotate`",
			"this ends every connection that the present root has opened, and must be confirmed");
		return command_line_refuse(line);
	}
	return run(line, "CaRotate", &request.base);
}

enum cli_exit command_ca_abort(struct command_line *line)
{
	Handfast__V1__CaAbortRequest request = HANDFAST__V1__CA_ABORT_REQUEST__INIT;
	request.bootstrap = command_line_has(line, "bootstrap");
	return run(line, "CaAbort", &request.base);
}

enum cli_exit command_ca_retire(struct command_line *line)
{
	Handfast__V1__CaRetireRequest request = HANDFAST__V1__CA_RETIRE_REQUEST__INIT;
	request.force = command_line_has(line, "force");
	if (!command_line_has(line, "bootstrap")) {
		command_line_error_text(line, "ca retire",
			"--bootstrap; a rotation of the mesh's root retires the former one by itself",
			"the former bootstrap root is the only one that is retired by a command");
		return command_line_refuse(line);
	}
	return run(line, "CaRetire", &request.base);
}

static enum cli_exit show_pem(const struct command_line *line, const char *name, struct span pem)
{
	if (line->json)
		show_json(json_pack("{s:s%}", name, pem.len == 0 ? "" : (const char *)pem.ptr, pem.len));
	else
		fwrite(pem.ptr, 1, pem.len, stdout);
	return CLI_DONE;
}

enum cli_exit command_ca_csr(struct command_line *line)
{
	_cleanup_(answer_done) struct answer answer = {0};
	enum err err = call(line, "CaCsr", NULL, &handfast__v1__ca_csr_response__descriptor, &answer);
	if (err != ERR_NONE)
		return command_line_fail(line, err, &answer.detail);
	return show_pem(line, "csr", pb_span(((const Handfast__V1__CaCsrResponse *)answer.message)->csr));
}

enum cli_exit command_ca_crl(struct command_line *line)
{
	_cleanup_(answer_done) struct answer answer = {0};
	enum err err = call(line, "CaCrl", NULL, &handfast__v1__ca_crl_response__descriptor, &answer);
	if (err != ERR_NONE)
		return command_line_fail(line, err, &answer.detail);
	return show_pem(line, "crls", pb_span(((const Handfast__V1__CaCrlResponse *)answer.message)->crls));
}

enum cli_exit command_ca_import(struct command_line *line)
{
	_cleanup_(buf_done) struct buf content = BUF_INIT(IMPORT_MAX);
	Handfast__V1__CaImportRequest request = HANDFAST__V1__CA_IMPORT_REQUEST__INIT;
	struct why why = {0};
	const char *path = command_argument(line, "a file: the signed intermediate, then what is above it, in PEM");
	if (path == NULL)
		return command_line_refuse(line);
	enum err err = fd_read_file(path, IMPORT_MAX, &content, &why);
	if (err != ERR_NONE)
		return command_line_fail(line, err, &why);
	request.pem = pb_bytes(buf_span(&content));
	return run(line, "CaImport", &request.base);
}
