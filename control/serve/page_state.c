/* What the operators' page shows, as JSON: the mesh as this control plane knows it. Each list is bounded; what is left
 * out is counted. */
#include "base/core/fair_rows.h"
#include "base/core/hex.h"
#include "base/core/mem.h"
#include "base/json/json_put.h"
#include "certs/digest.h"
#include "control/serve/operator_status.h"
#include "control/serve/page_edges.h"
#include "control/serve/page_seen.h"

enum { SIDECARS_SHOWN_MAX = 2000 };

/* A sidecar names its own release. */
static json_t *text_of(const char *text)
{
	json_t *value = json_string(text == NULL ? "" : text);
	return value != NULL ? value : json_string("not UTF-8");
}

static json_t *addresses_json(const struct status_svid_holder *row)
{
	json_t *list = json_array();
	char text[ADDR_TEXT_MAX];
	for (size_t i = 0; i < row->num_addresses; i++)
		json_array_append_new(list, json_string(ip_addr_format(&row->addresses[i], text)));
	return list;
}

static json_t *sidecar_json(const struct status_svid_holder *row)
{
	char health[SIDECAR_HEALTH_TEXT_MAX];
	return json_pack("{s:o, s:o, s:o, s:b, s:b, s:b, s:b, s:s, s:b, s:I}", "id", text_of(row->id), "release",
		text_of(row->release), "addresses", addresses_json(row), "connected", row->is_connected, "banned",
		row->is_banned, "copied", row->is_copied, "draining", row->is_draining, "health",
		sidecar_health_text(&row->health, health), "not_ready",
		row->health.is_reported && !row->health.is_ready, "ends_ms", (json_int_t)row->not_after_ms);
}

static void add_sidecars(const struct status *status, bool is_connected, struct fair_rows *rows, json_t *list)
{
	size_t room = SIDECARS_SHOWN_MAX - json_array_size(list);
	for (size_t i = 0; i < status->num_svid_holders; i++) {
		const struct status_svid_holder *row = &status->svid_holders[i];
		rows[i] = (struct fair_rows){row->id, row->is_connected == is_connected, 0};
	}
	(void)fair_rows_share(rows, status->num_svid_holders, room, room);
	for (size_t i = 0; i < status->num_svid_holders; i++)
		if (rows[i].given > 0)
			json_array_append_new(list, sidecar_json(&status->svid_holders[i]));
}

/* Connected ones first, of each identity equally many: of many the others are left out. */
static json_t *sidecars_json(const struct status *status)
{
	json_t *list = json_array();
	_cleanup_(mem_freep) struct fair_rows *rows = mem_calloc(status->num_svid_holders, sizeof *rows);
	add_sidecars(status, true, rows, list);
	add_sidecars(status, false, rows, list);
	return list;
}

static json_t *conditions_json(const struct status *status)
{
	json_t *list = json_array();
	for (size_t i = 0; i < status->num_conditions; i++) {
		const struct status_condition *row = &status->conditions[i];
		json_array_append_new(list, json_pack("{s:o, s:o, s:o}", "name", text_of(row->name), "detail",
						    text_of(row->detail.got), "fix", text_of(row->detail.fix)));
	}
	return list;
}

static json_t *authorities_json(const struct status *status)
{
	json_t *list = json_array();
	for (size_t i = 0; i < status->num_authorities; i++) {
		const struct status_authority *row = &status->authorities[i];
		uint8_t sha256[DIGEST_LEN];
		char hex[2 * DIGEST_LEN + 1];
		digest_sha256(row->der, sha256);
		hex_format(span_of(sha256, DIGEST_LEN), hex);
		json_array_append_new(
			list, json_pack("{s:o, s:s, s:I, s:I}", "kind", text_of(row->kind), "sha256", hex, "begins_ms",
				      (json_int_t)row->not_before_ms, "ends_ms", (json_int_t)row->not_after_ms));
	}
	return list;
}

static void add_waited(void *arg, const struct waited_sidecar *sidecar)
{
	json_array_append_new(arg,
		json_pack("{s:o, s:b, s:o, s:I}", "id", text_of(sidecar->id->text), "connected", sidecar->is_connected,
			"release", text_of(sidecar->release), "until_ms", (json_int_t)sidecar->not_after_s * 1000));
}

static json_t *rotation_json(const char *phase, const struct rotation_progress *progress, json_t *waited)
{
	return json_pack("{s:s, s:i, s:I, s:o}", "phase", phase, "num_waited", (int)progress->num_waited,
		"unrecorded_until_ms", (json_int_t)progress->unrecorded_until_s * 1000, "waited", waited);
}

static void add_rotations(const struct serve *serve, json_t *page)
{
	json_t *waited = json_array(), *bootstrap_waited = json_array();
	struct rotation_progress progress = rotation_progress_of(serve, add_waited, waited);
	const struct rotation_state *state = rotation_state_of(serve->options.rotation);
	json_object_set_new(page, "rotation", rotation_json(rotation_phase_name(state->phase), &progress, waited));
	progress = bootstrap_progress_of(serve, add_waited, bootstrap_waited);
	const struct bootstrap_state *bootstrap = bootstrap_state_of(serve->options.bootstrap);
	json_object_set_new(page, "bootstrap_rotation",
		rotation_json(bootstrap_phase_name(bootstrap->phase), &progress, bootstrap_waited));
}

struct put {
	const struct serve *serve;
	struct buf *out;
};

static enum err put_state(void *arg, const struct status *status)
{
	const struct put *put = arg;
	const size_t num_sidecars = status->num_svid_holders + status->num_left_out;
	json_t *page = json_pack("{s:o, s:o, s:I, s:i, s:I, s:o, s:o, s:o}", "release", text_of(status->release),
		"trust_domain", text_of(status->trust_domain), "started_ms", (json_int_t)status->started_ms, "streams",
		(int)status->num_streams, "num_sidecars", (json_int_t)num_sidecars, "sidecars", sidecars_json(status),
		"conditions", conditions_json(status), "authorities", authorities_json(status));
	add_rotations(put->serve, page);
	page_edges_add(put->serve, page);
	page_seen_add(put->serve, page);
	enum err err = buf_append_json(put->out, page, JSON_COMPACT);
	json_decref(page);
	return err;
}

enum err serve_put_state(const struct serve *serve, struct buf *out)
{
	struct put put = {serve, out};
	return operator_status_gather(serve, put_state, &put);
}
