/* Enrollment: the only call that needs no certificate. */
#include "base/core/check.h"
#include "base/core/date.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "certs/digest.h"
#include "control/serve/messages.h"
#include "control/serve/serve_private.h"

struct enrollment {
	struct serve *serve;
	struct rpc_peer *peer; /* valid as long as call */
	struct rpc_call *call; /* NULL: over */
	struct grant *grant;   /* under way; NULL: none */
	struct ip_addr source;
	bool has_asked; /* one message per call */
	bool must_be_known;
	bool takes_lists, opens_streams_here;
};

static void end_early(struct enrollment *enrollment, enum control_metric metric, const char *message)
{
	serve_count(enrollment->serve, metric);
	rpc_call_finish(TAKE_PTR(enrollment->call), RPC_RESOURCE_EXHAUSTED, message,
		granter_retry_ms(enrollment->serve->granter));
}

#define TOO_MANY "too many attempts from this source; try again in a second"

void enrollment_start(void *arg, struct rpc_call *call, struct rpc_peer *peer)
{
	struct enrollment *enrollment = mem_new(struct enrollment);
	enrollment->serve = arg;
	enrollment->peer = peer;
	enrollment->call = call;
	enrollment->source = rpc_peer_addr(peer)->ip;
	rpc_call_set_arg(call, enrollment);
	enum enroll_answer answer = enroll_limit_take(
		enrollment->serve->enroll_limit, &enrollment->source, loop_now_ms(enrollment->serve->options.loop));
	enrollment->must_be_known = answer == ENROLL_IF_KNOWN;
	if (answer == ENROLL_NO) {
		end_early(enrollment, CONTROL_ATTEST_LIMITED, TOO_MANY);
		return;
	}
	if (!granter_is_full(enrollment->serve->granter))
		return;
	/* Before a byte of the message is parsed: an answer that comes after its caller gave up is useless. */
	end_early(enrollment, CONTROL_ATTEST_DEFERRED,
		"many sidecars attest at once; retry after the delay that is given");
}

static void refuse(struct enrollment *enrollment, enum err err, const struct why *why)
{
	char source[ADDR_TEXT_MAX], text[700];
	serve_count(enrollment->serve, CONTROL_ATTEST_REFUSED);
	why_format(why, text, sizeof text); /* also where the line is not logged: the caller gets it */
	if (limited_log_allows_source(enrollment->serve->lines, &enrollment->source, err_label(err)))
		log_warning("audit", "attest refused: from %s: %s: %s", ip_addr_format(&enrollment->source, source),
			err_label(err), text);
	rpc_call_finish(TAKE_PTR(enrollment->call), serve_status(err), text, serve_retry_ms(enrollment->serve, err));
}

static enum err answer(struct enrollment *enrollment, const struct granted *granted)
{
	struct serve *serve = enrollment->serve;
	_cleanup_(buf_done) struct buf message = BUF_INIT(MESSAGE_OUT_MAX);
	struct svid_down svid = {granted->chain, granted->num_chain, NULL, enrollment->takes_lists, false};
	if (enrollment->opens_streams_here)
		svid.streams_here = connections_on_attested(serve, enrollment->peer, granted);
	RETURN_IF_ERR(attest_down_encode(serve->options.trust, &svid, serve_now_ms(serve), &message));
	return rpc_call_send(enrollment->call, buf_span(&message));
}

static void on_granted(void *arg, enum err err, const struct granted *granted, const struct why *why)
{
	struct enrollment *enrollment = arg;
	char source[ADDR_TEXT_MAX];
	struct why own = {0};
	CHECK(enrollment->grant != NULL);
	enrollment->grant = NULL;
	if (err != ERR_NONE) {
		refuse(enrollment, err, why == NULL ? &own : why);
		return;
	}
	serve_count(enrollment->serve, CONTROL_ATTESTED);
	serve_count(enrollment->serve, CONTROL_SVIDS);
	enrollment->serve->num_issued++;
	char until[DATE_TEXT_MAX];
	log_notice("audit", "attested: %s from %s, SVID until %s", granted->svid_holder->id.text,
		ip_addr_format(&enrollment->source, source), date_format(granted->svid_holder->not_after_s, until));
	err = answer(enrollment, granted);
	rpc_call_finish(TAKE_PTR(enrollment->call), err == ERR_NONE ? RPC_OK : RPC_INTERNAL, NULL, 0);
}

/* Its source tried too often. A key that has attested before may go on, by a rate of its own; it is proven like any
 * other. */
static bool may_go_on(const struct enrollment *enrollment, const struct attest_request *request)
{
	const struct serve *serve = enrollment->serve;
	_cleanup_(svid_holder_done) struct svid_holder svid_holder = {0};
	uint8_t key_hash[DIGEST_LEN];
	if (!enrollment->must_be_known)
		return true;
	digest_sha256(request->attestation_key, key_hash);
	return (request->kind == ATTESTATION_KEY || request->kind == ATTESTATION_X509 ||
		       request->kind == ATTESTATION_UNIX_PEER) &&
	       svid_holders_find(serve->options.store, key_hash, &svid_holder) == ERR_NONE &&
	       enroll_limit_take_key(serve->enroll_limit, key_hash, loop_now_ms(serve->options.loop));
}

static enum err ask(struct enrollment *enrollment, struct span message, struct why *why)
{
	_cleanup_(attest_up_done) struct attest_up up = {0};
	if (enrollment->has_asked)
		return why_set(why, ERR_PROTOCOL, "one message per call", "update the sidecar",
			"the sidecar sent a second message");
	enrollment->has_asked = true;
	if (!trust_is_ready(enrollment->serve->options.trust))
		return why_set(why, ERR_UNAVAILABLE, "a control plane that is ready", "try again",
			"the control plane is starting");
	RETURN_IF_ERR(attest_up_parse(message, &up, why));
	if (up.protocol_version != 1)
		return why_set(why, ERR_UNSUPPORTED, "protocol version 1",
			"bring both sides to releases close to each other", "the sidecar has version %u",
			up.protocol_version);
	if (!may_go_on(enrollment, &up.request)) {
		end_early(enrollment, CONTROL_ATTEST_LIMITED, TOO_MANY);
		return ERR_NONE;
	}
	RETURN_IF_ERR(serve_exported(enrollment->peer, up.request.csr, up.request.exported));
	CHECK(enrollment->grant == NULL);
	enrollment->takes_lists = up.takes_lists;
	enrollment->opens_streams_here = up.opens_streams_here;
	up.request.source = enrollment->source;
	up.request.unix_fd = rpc_peer_fd(enrollment->peer);
	enrollment->grant = grant_start(enrollment->serve->granter, &up.request, on_granted, enrollment);
	return ERR_NONE;
}

void enrollment_message(void *arg, struct rpc_call *call, struct span message)
{
	struct enrollment *enrollment = arg;
	struct why why = {0};
	(void)call;
	if (enrollment->call == NULL)
		return;
	enum err err = ask(enrollment, message, &why);
	if (err != ERR_NONE)
		refuse(enrollment, err, &why);
}

void enrollment_done(void *arg, struct rpc_call *call)
{
	struct enrollment *enrollment = arg;
	(void)call;
	if (enrollment->grant != NULL)
		grant_abandon(enrollment->grant);
	mem_free(enrollment);
}
