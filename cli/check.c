/* check: of the sidecar on this machine or of a pod, of the control plane on this machine, or of a cluster. */
#include "base/core/escape.h"
#include "base/pb/unpack.h"
#include "cli/call.h"
#include "cli/cluster/api.h"
#include "cli/cluster/cluster_check.h"
#include "cli/cluster/expiries.h"
#include "cli/commands.h"
#include "cli/page.h"
#include "cli/show.h"
#include "cli/sidecar_trace.h"
#include "proto/handfast/v1/operator.pb-c.h"
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define TEXT_MAX 1024

/* --- certificates --- */

struct ends {
	int64_t within_s, now_s;
	json_t *rows;
	unsigned num_ending;
	struct why no_sidecar; /* a sidecar should be here, and why none is; err ERR_NONE: none should */
};

static void add_end(struct ends *ends, const char *kind, const char *name, int64_t from_s, int64_t to_s)
{
	char until[DATE_TEXT_MAX];
	bool is_ending = expiries_is_ending(kind, from_s, to_s, ends->within_s, ends->now_s);
	show_time(to_s * 1000, until);
	ends->num_ending += is_ending;
	json_array_append_new(ends->rows, json_pack("{s:s, s:s, s:s, s:b}", "kind", kind, "name", name, "not_after",
						  until, "ends_soon", is_ending));
}

static void print_ends(const struct ends *ends)
{
	char kind[64], name[TEXT_MAX], until[64];
	for (size_t i = 0; i < json_array_size(ends->rows); i++) {
		const json_t *row = json_array_get(ends->rows, i);
		printf("  %-9s %s %s until %s\n", json_is_true(json_object_get(row, "ends_soon")) ? "ends soon" : "ok",
			show_text(row, "kind", kind, sizeof kind), show_text(row, "name", name, sizeof name),
			show_text(row, "not_after", until, sizeof until));
	}
}

/* A list of /certs. The first of the identity's chain is the SVID, which has no subject. */
static void add_list(struct ends *ends, const json_t *list, const char *kind, const char *id)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);
		char from[64], to[64], subject[TEXT_MAX];
		int64_t from_s = 0, to_s = 0;
		if (!date_parse(show_text(one, "not_before", from, sizeof from), &from_s) ||
			!date_parse(show_text(one, "not_after", to, sizeof to), &to_s))
			continue;
		bool is_svid = i == 0 && id != NULL;
		show_text(one, "subject", subject, sizeof subject);
		add_end(ends, is_svid ? "svid" : kind, is_svid ? id : subject, from_s, to_s);
	}
}

static enum err read_ends(struct command_line *line, struct ends *ends, struct why *why)
{
	_cleanup_(json_decrefp) json_t *page = NULL;
	char id[TEXT_MAX];
	RETURN_IF_ERR(page_get(line, "/certs", &page, why));
	const json_t *identity = json_object_get(page, "identity"), *bundles = json_object_get(page, "bundles");
	add_list(ends, json_object_get(identity, "chain"), "intermediate", show_text(identity, "id", id, sizeof id));
	for (size_t i = 0; i < json_array_size(bundles); i++)
		add_list(ends, json_object_get(json_array_get(bundles, i), "roots"), "root", NULL);
	return ERR_NONE;
}

/* --- a sidecar --- */

static bool are_well(const json_t *conditions)
{
	char level[64];
	for (size_t i = 0; i < json_array_size(conditions); i++)
		if (strcmp(show_text(json_array_get(conditions, i), "level", level, sizeof level), "ok") != 0)
			return false;
	return true;
}

static bool is_well(const json_t *page)
{
	return json_is_true(json_object_get(page, "ready")) && are_well(json_object_get(page, "conditions"));
}

static enum cli_exit report_sidecar(const struct command_line *line, json_t *page, const struct ends *ends)
{
	if (ends->within_s > 0)
		json_object_set(page, "certificates", ends->rows);
	if (line->json) {
		show_json(json_incref(page));
	} else {
		page_print_check(page);
		print_ends(ends);
	}
	return is_well(page) && ends->num_ending == 0 ? CLI_DONE : CLI_REFUSED;
}

static enum cli_exit check_sidecar(struct command_line *line, struct ends *ends)
{
	_cleanup_(json_decrefp) json_t *page = NULL;
	struct why why = {0};
	enum err err = page_get(line, "/check", &page, &why);
	if (err == ERR_NONE && ends->within_s > 0)
		err = read_ends(line, ends, &why);
	if (err != ERR_NONE)
		return command_line_fail(line, err, &why);
	if (!json_is_array(json_object_get(page, "conditions")) || !json_is_boolean(json_object_get(page, "ready")))
		return command_line_fail(line,
			why_set(&why, ERR_UNAVAILABLE, "the page of a sidecar of this release",
				"install the same release of both", "the page has another format"),
			&why);
	return report_sidecar(line, page, ends);
}

/* --- the control plane on this machine --- */

static json_t *why_json(const struct why *why)
{
	return json_pack("{s:s, s:s, s:s, s:s}", "error", err_label(why->err), "expected", why->expected, "got",
		why->got, "fix", why->fix);
}

#define FLEET_FIX "`handfast status` names them and their conditions; then `handfast check` beside each"

/* Of the sidecars that report it to this control plane. False: none is not ready or degraded. */
static bool fleet_is_bad(const Handfast__V1__StatusResponse *status, char out[TEXT_MAX])
{
	size_t num_reported = 0, num_not_ready = 0, num_degraded = 0;
	for (size_t i = 0; i < status->n_svid_holders; i++) {
		const Handfast__V1__SidecarHealth *health = status->svid_holders[i]->health;
		num_reported += health != NULL;
		num_not_ready += health != NULL && !health->ready;
		num_degraded += health != NULL && health->ready && health->conditions != 0;
	}
	(void)snprintf(out, TEXT_MAX, "of %zu connected sidecars that report it %zu are not ready and %zu degraded",
		num_reported, num_not_ready, num_degraded);
	return num_not_ready + num_degraded > 0;
}

/* While a mesh is upgraded there are some, which is no fault. */
static size_t num_of_other_releases(const Handfast__V1__StatusResponse *status)
{
	size_t num = 0;
	for (size_t i = 0; i < status->n_svid_holders; i++) {
		const Handfast__V1__SvidHolder *one = status->svid_holders[i];
		num += one->connected && one->release.len > 0 &&
		       !span_eq(pb_span(one->release), pb_span(status->release));
	}
	return num;
}

static void print_other_releases(size_t num, const Handfast__V1__StatusResponse *status)
{
	char release[TEXT_MAX];
	if (num > 0)
		printf("%zu connected sidecar%s of another release than the control plane's, which is %s: "
		       "`handfast status`\n",
			num, num == 1 ? " is" : "s are", show_bytes(pb_span(status->release), release, sizeof release));
}

static void add_condition(
	const struct command_line *line, const char *name, const char *detail, const char *fix, json_t *out)
{
	json_array_append_new(out,
		json_pack("{s:s, s:s, s:s, s:s}", "name", name, "level", "degraded", "detail", detail, "fix", fix));
	if (!line->json)
		printf("  %-9s %s: %s; %s\n", "degraded", name, detail, fix);
}

/* False: a condition is degraded. */
static bool report_control(
	const struct command_line *line, const Handfast__V1__StatusResponse *status, const struct ends *ends)
{
	char name[TEXT_MAX], detail[TEXT_MAX], fix[TEXT_MAX];
	json_t *conditions = json_array();
	if (!line->json)
		puts("the control plane on this machine answers");
	for (size_t i = 0; i < status->n_conditions; i++) {
		const Handfast__V1__Condition *one = status->conditions[i];
		show_bytes(pb_span(one->name), name, sizeof name);
		show_bytes(pb_span(one->detail), detail, sizeof detail);
		show_bytes(pb_span(one->fix), fix, sizeof fix);
		add_condition(line, name, detail, fix, conditions);
	}
	if (fleet_is_bad(status, detail))
		add_condition(line, "sidecars", detail, FLEET_FIX, conditions);
	bool is_well = json_array_size(conditions) == 0;
	size_t num_other = num_of_other_releases(status);
	if (line->json)
		show_json(json_pack("{s:s, s:b, s:o, s:O, s:I, s:o*}", "checked", "control plane", "ready", true,
			"conditions", conditions, "certificates", ends->rows, "sidecars_of_other_releases",
			(json_int_t)num_other, "sidecar",
			ends->no_sidecar.err == ERR_NONE ? NULL : why_json(&ends->no_sidecar)));
	else {
		print_other_releases(num_other, status);
		print_ends(ends);
		json_decref(conditions);
	}
	return is_well;
}

static enum cli_exit check_control_plane(struct command_line *line, struct ends *ends)
{
	_cleanup_(answer_done) struct answer answer = {0};
	char kind[TEXT_MAX], sha256[80];
	enum err err = call(line, "Status", NULL, &handfast__v1__status_response__descriptor, &answer);
	if (err != ERR_NONE)
		return command_line_fail(line, err, &answer.detail);
	const Handfast__V1__StatusResponse *status = (const Handfast__V1__StatusResponse *)answer.message;
	ends->now_s = status->server_time_ms / 1000;
	for (size_t i = 0; i < status->n_authorities && ends->within_s > 0; i++) {
		const Handfast__V1__Authority *one = status->authorities[i];
		show_hex(pb_span(one->sha256), sha256, sizeof sha256);
		sha256[16] = '\0';
		add_end(ends, show_bytes(pb_span(one->kind), kind, sizeof kind), sha256, one->not_before_ms / 1000,
			one->not_after_ms / 1000);
	}
	bool is_well = report_control(line, status, ends);
	return is_well && ends->num_ending == 0 ? CLI_DONE : CLI_REFUSED;
}

/* --- which of them --- */

/* What else is here is reported too, but is not what was asked about where a sidecar should be. */
static enum cli_exit check_without_sidecar(struct command_line *line, struct ends *ends)
{
	bool has_control = access(COMMANDS_SOCKET, F_OK) == 0;
	const char *trace = sidecar_trace_find();
	struct why *why = &ends->no_sidecar;
	if (trace == NULL && has_control && !line->json)
		puts("no sidecar answers at " COMMANDS_ADMIN);
	if (trace == NULL)
		return has_control ? check_control_plane(line, ends) : cluster_check(line);
	(void)why_set(why, ERR_UNAVAILABLE, "a sidecar that answers at its admin endpoint",
		"start it: `systemctl start handfast-sidecar`; why it ended: `journalctl -u handfast-sidecar`; if it "
		"is gone for good: `handfast-init down`; elsewhere: --admin, --socket or --cluster",
		"no sidecar answers at " COMMANDS_ADMIN ", and one belongs here: %s", trace);
	if (!has_control || !line->json)
		(void)command_line_fail(line, why->err, why);
	if (has_control)
		(void)check_control_plane(line, ends);
	return cli_exit_of(why->err);
}

static enum cli_exit check(struct command_line *line, struct ends *ends)
{
	bool names_none = line->num_arguments == 0;
	if (names_none && cluster_check_is_wanted(line))
		return cluster_check(line);
	if (names_none && command_line_value(line, "socket") != NULL)
		return check_control_plane(line, ends);
	if (!names_none || page_has_sidecar(line))
		return check_sidecar(line, ends);
	bool has_others = access(COMMANDS_SOCKET, F_OK) == 0 || api_has_kubeconfig(line);
	bool is_missed = command_line_value(line, "admin") == NULL && sidecar_trace_find() != NULL;
	return has_others || is_missed ? check_without_sidecar(line, ends) : check_sidecar(line, ends);
}

enum cli_exit command_check(struct command_line *line)
{
	struct ends ends = {.within_s = expiries_within_s(line), .now_s = time(NULL)};
	if (buf_len(&line->errors) > 0)
		return command_line_refuse(line);
	ends.rows = json_array();
	enum cli_exit code = check(line, &ends);
	json_decref(ends.rows);
	return code;
}
