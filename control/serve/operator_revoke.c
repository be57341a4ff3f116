/* revoke: one certificate by its serial, or this control plane's intermediate. */
#include "base/core/hex.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "control/issue/certificate.h"
#include "control/registry/revocations.h"
#include "control/serve/operator_messages.h"
#include "control/serve/operator_private.h"

static void finish(struct operator_request *request)
{
	_cleanup_(buf_done) struct buf message = BUF_INIT(4096);
	const struct revoke_answer answer = {.serial = span_of(request->revoke.serial, request->revoke.serial_len),
		.id = request->id.text == NULL ? (struct span){0} : spiffe_id_text(&request->id),
		.until_ms = request->until_s * 1000,
		.was_revoked = request->was_revoked,
		.is_unknown = request->is_unknown && !request->was_revoked,
		.reach = request->reach};
	enum err err = revoke_serial_answer_encode(&answer, &message);
	operator_request_finish(request, err, &message, NULL);
	operator_request_unref(request);
}

static void on_revoked(void *arg, enum err err, _unused_ uint64_t version)
{
	struct operator_request *request = arg;
	struct why why = {0};
	char digits[2 * REVOCATIONS_SERIAL_MAX + 1];
	hex_format(span_of(request->revoke.serial, request->revoke.serial_len), digits);
	if (err == ERR_NONE)
		log_notice("audit", "revoked: the certificate with serial %s of %s", digits,
			request->id.text != NULL          ? request->id.text
			: request->revoke.is_intermediate ? "this control plane's intermediate"
							  : "an unknown identity");
	request->was_revoked = err == ERR_CONFLICT;
	if (err == ERR_NONE || err == ERR_CONFLICT) {
		request->is_revocation = true;
		operator_reach(request, finish);
		return;
	}
	operator_request_finish(request, store_explain(request->serve->options.store, err, &why), NULL, &why);
	operator_request_unref(request);
}

/* --- whose serial it is, and how long the revocation is kept: until the certificate ends --- */

struct seeking {
	struct operator_request *request;
	bool is_found;
};

static bool has_serial(const struct operator_request *request, const uint8_t *bytes, size_t len)
{
	return span_eq(span_of(bytes, len), span_of(request->revoke.serial, request->revoke.serial_len));
}

static void on_svid_holder(void *arg, const struct svid_holder *svid_holder)
{
	struct seeking *seeking = arg;
	struct operator_request *request = seeking->request;
	if (seeking->is_found || !has_serial(request, svid_holder->serial, svid_holder->serial_len))
		return;
	seeking->is_found = true;
	spiffe_id_copy(&svid_holder->id, &request->id);
	request->until_s = svid_holder->not_after_s;
}

/* Pods have no record; their connections are known. */
static void seek_connection(struct seeking *seeking)
{
	struct operator_request *request = seeking->request;
	LIST_EACH(&request->serve->sidecars, const struct sidecar, sidecar, link) {
		if (seeking->is_found || !has_serial(request, sidecar->leaf.bytes, sidecar->leaf.len))
			continue;
		seeking->is_found = true;
		spiffe_id_copy(&sidecar->id, &request->id);
		request->until_s = sidecar->valid_until_s;
	}
}

static void on_list(void *arg, const struct own_list *list, _unused_ uint64_t version)
{
	struct seeking *seeking = arg;
	if (seeking->is_found || list->authority_ends_s == 0 ||
		!has_serial(seeking->request, list->serial, list->serial_len))
		return;
	seeking->is_found = true;
	seeking->request->until_s = list->authority_ends_s;
}

/* No certificate below a root outlives it: of one that is not known, this is all that is known. */
static int64_t last_end_s(const struct serve *serve)
{
	const struct rotation_roots *roots = rotation_roots(serve->options.rotation);
	int64_t last_s = serve_now_ms(serve) / 1000 + serve->options.leaf_ttl_s, from_s, to_s;
	for (size_t i = 0; i < roots->num_all; i++)
		if (certificate_validity(roots->der[i], &from_s, &to_s) == ERR_NONE && to_s > last_s)
			last_s = to_s;
	return last_s;
}

static void seek(struct operator_request *request)
{
	struct seeking seeking = {.request = request};
	svid_holders_list(request->serve->options.store, on_svid_holder, &seeking);
	seek_connection(&seeking);
	own_lists_each(request->serve->options.store, on_list, &seeking); /* the authorities of all control planes */
	request->is_unknown = !seeking.is_found && attest_records_all(request->serve->options.attest);
	if (!seeking.is_found)
		request->until_s = last_end_s(request->serve);
}

/* Consumes the reference. */
static void store_revocation(struct operator_request *request)
{
	struct why why = {0};
	const struct revocation revocation = {span_of(request->revoke.serial, request->revoke.serial_len),
		serve_now_ms(request->serve) / 1000, request->until_s};
	enum err err = revocations_put(request->serve->options.store, &revocation, on_revoked, request);
	if (err == ERR_NONE)
		return;
	(void)why_set(&why, err, "a serial of 1 to 20 bytes", "see the serials in `handfast status`",
		"the serial has %zu bytes", request->revoke.serial_len);
	operator_request_finish(request, err, NULL, &why);
	operator_request_unref(request);
}

/* The signer uses another intermediate now: no sidecar gets a certificate below the revoked one any more. */
static void on_renewed(void *arg, enum err err, const struct issued *issued, const struct why *why)
{
	struct operator_request *request = arg;
	if (err != ERR_NONE) {
		operator_request_finish(request, err, NULL, why);
		operator_request_unref(request);
		return;
	}
	authorities_changed(request->serve, issued);
	store_revocation(request);
}

static enum err revoke_intermediate(struct operator_request *request, struct why *why)
{
	const struct serve *serve = request->serve;
	if (serve->num_authorities < 3 || certificate_serial(buf_span(&serve->authorities[2].der),
						  request->revoke.serial, &request->revoke.serial_len) != ERR_NONE)
		return why_set(why, ERR_UNAVAILABLE, "an intermediate", "repeat the command",
			"the signer has not shown its intermediate yet");
	request->until_s = serve->authorities[2].not_after_s;
	(void)issuer_renew_intermediate(serve->options.issuer, on_renewed, operator_request_ref(request));
	return ERR_NONE;
}

/* By its serial, too: the signer has to stop using it first. */
static bool is_own_intermediate(const struct operator_request *request)
{
	const struct serve *serve = request->serve;
	struct sidecar_serial own = {.len = 0};
	return serve->num_authorities > SERVE_INTERMEDIATE &&
	       certificate_serial(buf_span(&serve->authorities[SERVE_INTERMEDIATE].der), own.bytes, &own.len) ==
		       ERR_NONE &&
	       has_serial(request, own.bytes, own.len);
}

enum err operator_revoke(struct operator_request *request, struct span bytes, struct why *why)
{
	RETURN_IF_ERR(revoke_serial_request_parse(bytes, &request->revoke, why));
	request->revoke.is_intermediate |= is_own_intermediate(request);
	const struct span serial = span_of(request->revoke.serial, request->revoke.serial_len);
	if (request->revoke.is_intermediate || !revocations_has(request->serve->options.store, serial))
		RETURN_IF_ERR(trust_may_withdraw(request->serve->options.trust, REVOCATIONS_SERIAL_MAX, why));
	if (request->revoke.is_intermediate)
		return revoke_intermediate(request, why);
	seek(request);
	store_revocation(operator_request_ref(request));
	return ERR_NONE;
}
