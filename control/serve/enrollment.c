/* Enrollment: the one call that needs no certificate. */
#include "base/core/log.h"
#include "base/core/mem.h"
#include "control/serve/messages.h"
#include "control/serve/serve_private.h"

struct enrolment {
	struct serve *serve;
	struct rpc_peer *peer; /* valid while call is */
	struct rpc_call *call; /* NULL: over */
	struct grant *grant;   /* under way; NULL: none */
	struct ip_addr source;
	bool has_asked; /* one message per call */
};

/* Before a byte of the message is parsed: how often this source may try (W11, W23). */
enum rpc_status enrollment_authorize(void *arg, const struct rpc_peer *peer, const char **out_message)
{
	struct serve *serve = arg;
	struct share_key source = share_key_of_prefix64(&rpc_peer_addr(peer)->ip);
	if (rates_take(serve->attest_rates, &source, loop_now_ms(serve->options.loop)))
		return RPC_OK;
	serve_count(serve, CONTROL_ATTEST_LIMITED);
	*out_message = "too many attempts from this source; try again in a second";
	return RPC_RESOURCE_EXHAUSTED;
}

void enrollment_start(void *arg, struct rpc_call *call, struct rpc_peer *peer)
{
	struct enrolment *enrolment = mem_new(struct enrolment);
	enrolment->serve = arg;
	enrolment->peer = peer;
	enrolment->call = call;
	enrolment->source = rpc_peer_addr(peer)->ip;
	rpc_call_set_arg(call, enrolment);
	if (granter_has_room(enrolment->serve->granter))
		return;
	/* Before a byte of the message is parsed: an answer that comes after its caller gave up is worth nothing. */
	serve_count(enrolment->serve, CONTROL_ATTEST_DEFERRED);
	enrolment->call = NULL;
	rpc_call_finish(call, RPC_RESOURCE_EXHAUSTED, "many sidecars attest at once; come back when told",
		granter_retry_ms(enrolment->serve->granter));
}

static void refuse(struct enrolment *enrolment, enum err err, const struct why *why)
{
	char source[ADDR_TEXT_MAX], text[700];
	serve_count(enrolment->serve, CONTROL_ATTEST_REFUSED);
	if (limited_log_may_source(enrolment->serve->lines, &enrolment->source, err_label(err)))
		log_warning("audit", "attest refused: from %s: %s: %s", ip_addr_format(&enrolment->source, source),
			err_label(err), why_format(why, text, sizeof text));
	rpc_call_finish(TAKE_PTR(enrolment->call), serve_status(err), text, serve_retry_ms(enrolment->serve, err));
}

static enum err answer(struct enrolment *enrolment, const struct granted *granted)
{
	struct serve *serve = enrolment->serve;
	_cleanup_(buf_done) struct buf message = BUF_INIT(MESSAGE_OUT_MAX);
	struct svid_down svid = {granted->chain, granted->num_chain};
	RETURN_IF_ERR(attest_down_encode(serve->options.trust, &svid, serve_now_ms(serve), &message));
	return rpc_call_send(enrolment->call, buf_span(&message));
}

static void on_granted(void *arg, enum err err, const struct granted *granted, const struct why *why)
{
	struct enrolment *enrolment = arg;
	char source[ADDR_TEXT_MAX];
	struct why own = {0};
	enrolment->grant = NULL;
	if (err != ERR_NONE) {
		refuse(enrolment, err, why == NULL ? &own : why);
		return;
	}
	serve_count(enrolment->serve, CONTROL_ATTESTED);
	serve_count(enrolment->serve, CONTROL_SVIDS);
	enrolment->serve->num_issued++;
	log_notice("audit", "attested: %s from %s, SVID until %lld", granted->holder->id.text,
		ip_addr_format(&enrolment->source, source), (long long)granted->holder->not_after_s);
	err = answer(enrolment, granted);
	rpc_call_finish(TAKE_PTR(enrolment->call), err == ERR_NONE ? RPC_OK : RPC_INTERNAL, NULL, 0);
}

static enum err ask(struct enrolment *enrolment, struct span message, struct why *why)
{
	_cleanup_(attest_up_done) struct attest_up up = {0};
	if (enrolment->has_asked)
		return why_set(why, ERR_PROTOCOL, "one message", "update the sidecar", "a second one");
	enrolment->has_asked = true;
	if (!trust_is_ready(enrolment->serve->options.trust))
		return why_set(why, ERR_UNAVAILABLE, "a control plane that is ready", "try again", "starting");
	RETURN_IF_ERR(attest_up_parse(message, &up, why));
	if (up.protocol_version != 1)
		return why_set(why, ERR_UNSUPPORTED, "protocol version 1",
			"bring both sides to releases close to each other", "version %u", up.protocol_version);
	RETURN_IF_ERR(serve_exported(enrolment->peer, up.request.csr, up.request.exported));
	up.request.source = enrolment->source;
	enrolment->grant = grant_start(enrolment->serve->granter, &up.request, on_granted, enrolment);
	return ERR_NONE;
}

void enrollment_message(void *arg, struct rpc_call *call, struct span message)
{
	struct enrolment *enrolment = arg;
	struct why why = {0};
	(void)call;
	if (enrolment->call == NULL)
		return;
	enum err err = ask(enrolment, message, &why);
	if (err != ERR_NONE)
		refuse(enrolment, err, &why);
}

void enrollment_done(void *arg, struct rpc_call *call)
{
	struct enrolment *enrolment = arg;
	(void)call;
	if (enrolment->grant != NULL)
		grant_abandon(enrolment->grant);
	mem_free(enrolment);
}
