/* ca status, ca rotate, ca abort. */
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "certs/digest.h"
#include "control/issue/certificate.h"
#include "control/serve/operator_messages.h"
#include "control/serve/operator_private.h"
#include <stdio.h>

#define RESPONSE_MAX (1024u * 1024)

void operator_ca_add_waited(void *arg, const struct waited_sidecar *sidecar)
{
	struct ca_status *status = arg;
	if (status->num_shown == CA_WAITED_MAX)
		return;
	struct ca_waited *row = &status->waited[status->num_shown++];
	*row = (struct ca_waited){.is_connected = sidecar->is_connected,
		.not_after_ms = sidecar->not_after_s * 1000,
		.source = sidecar->source};
	spiffe_id_copy(sidecar->id, &row->id);
	size_t len = strnlen(sidecar->release, sizeof row->release - 1);
	memcpy(row->release, sidecar->release, len);
}

void operator_ca_add_replica(void *arg, const char *name)
{
	struct ca_status *status = arg;
	if (status->num_replicas < CA_REPLICAS_MAX)
		snprintf(status->replicas[status->num_replicas], sizeof status->replicas[0], "%s", name);
	status->num_replicas++;
}

static const char *role_of(const struct rotation_state *state, const uint8_t sha256[DIGEST_LEN], bool is_retired)
{
	if (is_retired)
		return "retired";
	if (memcmp(state->active, sha256, DIGEST_LEN) == 0)
		return "active";
	return state->phase == ROTATION_PUBLISHING ? "next" : "former";
}

void operator_ca_add_root(struct ca_status *status, struct span der, const char *role)
{
	int64_t from_s = 0, to_s = 0;
	CHECK(status->num_roots < sizeof status->roots / sizeof status->roots[0]);
	struct ca_root *root = &status->roots[status->num_roots++];
	digest_sha256(der, root->sha256);
	root->role = role;
	if (certificate_validity(der, &from_s, &to_s) != ERR_NONE)
		return;
	root->not_before_ms = from_s * 1000;
	root->not_after_ms = to_s * 1000;
}

static void add_roots(const struct serve *serve, struct ca_status *status)
{
	const struct rotation_roots *roots = rotation_roots(serve->options.rotation);
	const struct rotation_state *state = rotation_state_of(serve->options.rotation);
	_Static_assert(sizeof roots->der / sizeof roots->der[0] <= sizeof status->roots / sizeof status->roots[0],
		"room for all");
	for (size_t i = 0; i < roots->num_all; i++) {
		uint8_t sha256[DIGEST_LEN];
		digest_sha256(roots->der[i], sha256);
		operator_ca_add_root(
			status, roots->der[i], role_of(state, sha256, i >= roots->num_all - roots->num_retired));
	}
}

enum err operator_ca_status(struct operator_request *request)
{
	_cleanup_(buf_done) struct buf message = BUF_INIT(RESPONSE_MAX);
	_cleanup_(mem_freep) struct ca_status *both = mem_calloc(2, sizeof *both);
	struct ca_status *status = &both[0];
	const struct serve *serve = request->serve;
	const struct rotation_state *state = rotation_state_of(serve->options.rotation);
	status->phase = rotation_phase_name(state->phase);
	status->number = state->number;
	status->began_ms = state->began_s * 1000;
	status->phase_began_ms = state->phase_s * 1000;
	status->is_forced = state->is_forced;
	const struct rotation_progress progress = rotation_progress_of(serve, operator_ca_add_waited, status);
	status->num_waited = progress.num_waited;
	status->unrecorded_until_ms = progress.unrecorded_until_s * 1000;
	status->partners_until_ms = progress.partners_until_s * 1000;
	if (state->phase != ROTATION_NONE)
		(void)rotation_replicas_waited(serve, REPLICAS_ROTATION, operator_ca_add_replica, status);
	add_roots(serve, status);
	status->reach = request->reach;
	operator_bootstrap_status(serve, &both[1]);
	enum err err = ca_status_encode(status, &both[1], &message);
	ca_status_done(status);
	ca_status_done(&both[1]);
	RETURN_IF_ERR(err);
	operator_request_finish(request, ERR_NONE, &message, NULL);
	return ERR_NONE;
}

void operator_ca_finish(struct operator_request *request, enum err err, const struct why *why)
{
	if (err == ERR_NONE)
		err = operator_ca_status(request);
	if (err != ERR_NONE)
		operator_request_finish(request, err, NULL, why);
	operator_request_unref(request);
}

static void answer_status(struct operator_request *request)
{
	operator_ca_finish(request, ERR_NONE, NULL);
}

static void on_begun(void *arg, enum err err, const struct why *why)
{
	if (err == ERR_NONE)
		log_notice("audit", "an operator rotates the mesh's root");
	operator_ca_finish(arg, err, why);
}

static void on_replaced(void *arg, enum err err, const struct why *why)
{
	if (err == ERR_NONE)
		log_warning("audit", "an operator withdraws the mesh's root, and replaces it");
	if (err == ERR_NONE)
		operator_reach(arg, answer_status);
	else
		operator_ca_finish(arg, err, why);
}

static void on_aborted(void *arg, enum err err, const struct why *why)
{
	if (err == ERR_NONE)
		log_notice("audit", "an operator gives up the rotation of the mesh's root");
	operator_ca_finish(arg, err, why);
}

enum err operator_ca_rotate(struct operator_request *request, struct span bytes, struct why *why)
{
	struct ca_rotate_request wanted;
	struct rotation *rotation = request->serve->options.rotation;
	RETURN_IF_ERR(ca_rotate_request_parse(bytes, &wanted, why));
	bool begins =
		!wanted.is_bootstrap && !wanted.is_compromised && rotation_state_of(rotation)->phase == ROTATION_NONE;
	if (begins && request->serve->options.ca_source != NULL)
		return why_set(why, ERR_REFUSED, "identity.ca.source built-in",
			"put the next root into the files, or have the command print it: that begins the rotation",
			"the mesh's root comes from identity.ca.source");
	if (wanted.is_bootstrap)
		operator_bootstrap_rotate(request, wanted.is_forced);
	else if (wanted.is_compromised)
		rotation_replace(rotation, on_replaced, operator_request_ref(request));
	else
		rotation_begin(rotation, wanted.is_forced, on_begun, operator_request_ref(request));
	return ERR_NONE;
}

enum err operator_ca_abort(struct operator_request *request, struct span bytes, struct why *why)
{
	bool is_bootstrap;
	RETURN_IF_ERR(ca_abort_request_parse(bytes, &is_bootstrap, why));
	if (is_bootstrap)
		operator_bootstrap_abort(request);
	else
		rotation_abort(request->serve->options.rotation, on_aborted, operator_request_ref(request));
	return ERR_NONE;
}
