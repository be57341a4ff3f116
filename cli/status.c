/* status: the state of the control plane, or that of a pod's sidecar. */
#include "base/core/addr.h"
#include "base/core/mem.h"
#include "base/health/sidecar_health.h"
#include "base/pb/unpack.h"
#include "cli/call.h"
#include "cli/commands.h"
#include "cli/pod_status.h"
#include "cli/show.h"
#include "proto/handfast/v1/operator.pb-c.h"
#include <inttypes.h>
#include <stdio.h>

static void address(const Handfast__V1__SocketAddress *from, char out[ADDR_TEXT_MAX])
{
	struct ip_addr ip;
	if (ip_addr_from_bytes(pb_span(from->ip), &ip) == ERR_NONE)
		ip_addr_format(&ip, out);
	else
		snprintf(out, ADDR_TEXT_MAX, "?");
}

static struct sidecar_health health_of(const Handfast__V1__SvidHolder *svid_holder)
{
	const Handfast__V1__SidecarHealth *health = svid_holder->health;
	return health == NULL ? (struct sidecar_health){0}
			      : (struct sidecar_health){true, health->ready, health->conditions};
}

/* ready: null where it has not been reported. */
static void add_health(json_t *row, const Handfast__V1__SvidHolder *svid_holder)
{
	const struct sidecar_health health = health_of(svid_holder);
	char name[SIDECAR_HEALTH_NAME_MAX];
	json_t *names = json_array();
	for (unsigned bit = 0; bit < SIDECAR_HEALTH_CONDITIONS_MAX; bit++)
		if ((health.conditions >> bit & 1) != 0)
			json_array_append_new(names, json_string(sidecar_health_name(bit, name)));
	json_object_set_new(row, "ready", health.is_reported ? json_boolean(health.is_ready) : json_null());
	json_object_set_new(row, "conditions", names);
}

static json_t *svid_holder_json(const Handfast__V1__SvidHolder *svid_holder)
{
	char id[2304], key[80], serial[64], until[32], release[128], text[ADDR_TEXT_MAX];
	json_t *addresses = json_array();
	show_hex(pb_span(svid_holder->attestation_key_sha256), key, sizeof key);
	show_hex(pb_span(svid_holder->svid_serial), serial, sizeof serial);
	show_time(svid_holder->svid_not_after_ms, until);
	for (size_t i = 0; i < svid_holder->n_addresses; i++) {
		address(svid_holder->addresses[i], text);
		json_array_append_new(addresses, json_string(text));
	}
	json_t *row = json_pack("{s:s, s:s, s:o, s:b, s:b, s:b, s:b, s:s, s:s, s:I, s:s}", "id",
		show_bytes(pb_span(svid_holder->id), id, sizeof id), "attestation_key_sha256", key, "addresses",
		addresses, "connected", svid_holder->connected, "banned", svid_holder->banned, "copied",
		svid_holder->copied, "draining", svid_holder->draining, "svid_not_after", until, "svid_serial", serial,
		"acked_epoch", (json_int_t)(svid_holder->acked == NULL ? 0 : svid_holder->acked->counter), "release",
		show_bytes(pb_span(svid_holder->release), release, sizeof release));
	add_health(row, svid_holder);
	return row;
}

static json_t *authority_json(const Handfast__V1__Authority *authority)
{
	char kind[64], hash[80], from[32], to[32];
	show_hex(pb_span(authority->sha256), hash, sizeof hash);
	show_time(authority->not_before_ms, from);
	show_time(authority->not_after_ms, to);
	return json_pack("{s:s, s:s, s:s, s:s}", "kind", show_bytes(pb_span(authority->kind), kind, sizeof kind),
		"sha256", hash, "not_before", from, "not_after", to);
}

static json_t *condition_json(const Handfast__V1__Condition *condition)
{
	char name[64], detail[300], fix[300];
	return json_pack("{s:s, s:s, s:s}", "name", show_bytes(pb_span(condition->name), name, sizeof name), "detail",
		show_bytes(pb_span(condition->detail), detail, sizeof detail), "fix",
		show_bytes(pb_span(condition->fix), fix, sizeof fix));
}

static void show_condition(const Handfast__V1__Condition *condition)
{
	char name[64], detail[300], fix[300];
	printf("DEGRADED %s: %s; %s\n", show_bytes(pb_span(condition->name), name, sizeof name),
		show_bytes(pb_span(condition->detail), detail, sizeof detail),
		show_bytes(pb_span(condition->fix), fix, sizeof fix));
}

/* A control plane of an earlier release does not count them. */
static uint64_t num_connected(const Handfast__V1__StatusResponse *status)
{
	uint64_t num = 0;
	for (size_t i = 0; i < status->n_svid_holders; i++)
		num += status->svid_holders[i]->connected ? 1 : 0;
	return status->num_connected > num ? status->num_connected : num;
}

static void status_json(const Handfast__V1__StatusResponse *status, const char *replica)
{
	char release[128], domain[300], now[32], started[32];
	json_t *svid_holders = json_array(), *authorities = json_array(), *conditions = json_array();
	for (size_t i = 0; i < status->n_svid_holders; i++)
		json_array_append_new(svid_holders, svid_holder_json(status->svid_holders[i]));
	for (size_t i = 0; i < status->n_authorities; i++)
		json_array_append_new(authorities, authority_json(status->authorities[i]));
	for (size_t i = 0; i < status->n_conditions; i++)
		json_array_append_new(conditions, condition_json(status->conditions[i]));
	show_time(status->server_time_ms, now);
	show_time(status->started_ms, started);
	json_t *object = json_pack("{s:s, s:s, s:I, s:I, s:I, s:s, s:s, s:o, s:o, s:o}", "release",
		show_bytes(pb_span(status->release), release, sizeof release), "trust_domain",
		show_bytes(pb_span(status->trust_domain), domain, sizeof domain), "epoch",
		(json_int_t)(status->epoch == NULL ? 0 : status->epoch->counter), "streams",
		(json_int_t)status->num_streams, "svids_issued", (json_int_t)status->svids_issued, "server_time", now,
		"started", started, "conditions", conditions, "authorities", authorities, "svid_holders", svid_holders);
	if (replica != NULL)
		json_object_set_new(object, "replica", json_string(replica));
	const uint64_t num_svid_holders = status->n_svid_holders + status->num_left_out;
	json_object_set_new(object, "num_svid_holders", json_integer((json_int_t)num_svid_holders));
	json_object_set_new(object, "num_connected", json_integer((json_int_t)num_connected(status)));
	json_object_set_new(object, "num_left_out", json_integer((json_int_t)status->num_left_out));
	show_json(object);
}

/* A release that is not the control plane's: an upgrade has not reached this sidecar, or not the control plane. */
static void show_other_release(const Handfast__V1__SvidHolder *svid_holder, const Handfast__V1__StatusResponse *status)
{
	char release[128];
	struct span own = pb_span(svid_holder->release);
	if (own.len > 0 && !span_eq(own, pb_span(status->release)))
		printf("release %s  ", show_bytes(own, release, sizeof release));
}

static void show_svid_holder(const Handfast__V1__SvidHolder *svid_holder, const Handfast__V1__StatusResponse *status)
{
	char id[2304], until[32], key[80], serial[64], text[ADDR_TEXT_MAX], bad[SIDECAR_HEALTH_TEXT_MAX];
	const struct sidecar_health health = health_of(svid_holder);
	show_time(svid_holder->svid_not_after_ms, until);
	show_hex(pb_span(svid_holder->attestation_key_sha256), key, sizeof key);
	show_hex(pb_span(svid_holder->svid_serial), serial, sizeof serial);
	printf("  %s  %s%s%s%s%s%s  SVID until %s  ", show_bytes(pb_span(svid_holder->id), id, sizeof id),
		svid_holder->connected ? "connected" : "away", sidecar_health_is_bad(&health) ? ", " : "",
		sidecar_health_text(&health, bad), svid_holder->draining ? ", DRAINING" : "",
		svid_holder->banned ? ", BANNED" : "", svid_holder->copied ? ", COPIED STATE" : "", until);
	show_other_release(svid_holder, status);
	if (serial[0] != '\0')
		printf("serial %s  ", serial);
	if (key[0] != '\0')
		printf("key %.16s  ", key);
	for (size_t i = 0; i < svid_holder->n_addresses; i++) {
		address(svid_holder->addresses[i], text);
		printf("%s%s", i == 0 ? "" : ",", text);
	}
	putchar('\n');
}

/* The hash of the public key, for control.bootstrap_root_sha256. */
static void show_authority(const Handfast__V1__Authority *authority)
{
	char kind[64], hash[80], to[32];
	show_time(authority->not_after_ms, to);
	show_hex(pb_span(authority->sha256), hash, sizeof hash);
	printf("  %s until %s, SHA-256 of its key %s\n", show_bytes(pb_span(authority->kind), kind, sizeof kind), to,
		hash);
}

static void status_text(const Handfast__V1__StatusResponse *status, const char *replica)
{
	char release[128], domain[300];
	printf("handfast-control %s, trust domain %s, trust epoch %" PRIu64 "\n",
		show_bytes(pb_span(status->release), release, sizeof release),
		show_bytes(pb_span(status->trust_domain), domain, sizeof domain),
		status->epoch == NULL ? 0 : status->epoch->counter);
	if (replica != NULL)
		printf("replica %s; sidecars of pods are those that are connected to it\n", replica);
	printf("%" PRIu32 " streams, %" PRIu64 " SVIDs issued since the start\n", status->num_streams,
		status->svids_issued);
	for (size_t i = 0; i < status->n_conditions; i++)
		show_condition(status->conditions[i]);
	for (size_t i = 0; i < status->n_authorities; i++)
		show_authority(status->authorities[i]);
	printf("%" PRIu64 " attested sidecars, %" PRIu64 " connected\n", status->n_svid_holders + status->num_left_out,
		num_connected(status));
	for (size_t i = 0; i < status->n_svid_holders; i++)
		show_svid_holder(status->svid_holders[i], status);
	show_left_out(status->num_left_out, "attested sidecars");
}

enum cli_exit command_status(struct command_line *line)
{
	_cleanup_(answer_done) struct answer answer = {0};
	if (line->num_arguments > 0)
		return pod_status(line);
	enum err err = call(line, "Status", NULL, &handfast__v1__status_response__descriptor, &answer);
	if (err != ERR_NONE)
		return command_line_fail(line, err, &answer.detail);
	if (line->json)
		status_json((const Handfast__V1__StatusResponse *)answer.message, answer.replica);
	else
		status_text((const Handfast__V1__StatusResponse *)answer.message, answer.replica);
	return CLI_DONE;
}
