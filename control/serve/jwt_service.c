/* FetchJwt: a JWT-SVID for the identity of the connection, made by the signer. */
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "control/serve/messages.h"
#include "control/serve/serve_private.h"
#include <stdio.h>

enum { ANSWER_MAX = 8192, POLL_MS = 50, AUDIT_MS = 60000, AUDIENCES_SHOWN = 512 };

struct jwt_call {
	struct serve *serve;
	struct sidecar *sidecar;
	struct rpc_call *call;
	struct issuer_request *request; /* NULL: not asked yet, or answered */
	struct buf audience;            /* one per line */
	struct loop_timer poll;         /* while the signer's keys are not published */
};

void jwt_service_start(void *arg, struct rpc_call *call, struct rpc_peer *peer)
{
	struct jwt_call *jwt = mem_new(struct jwt_call);
	*jwt = (struct jwt_call){.serve = arg,
		.sidecar = sidecar_ref(rpc_peer_arg(peer)),
		.call = call,
		.audience = BUF_INIT(ANSWER_MAX)};
	rpc_call_set_arg(call, jwt);
}

static void refuse(struct jwt_call *jwt, enum err err, const struct why *why)
{
	char text[700];
	if (limited_log_allows_identity(jwt->serve->lines, jwt->sidecar->id.text, "JWT refused"))
		log_warning("audit", "JWT-SVID refused: %s: %s: %s", jwt->sidecar->id.text, err_label(err),
			why_format(why, text, sizeof(text)));
	rpc_call_finish(
		jwt->call, serve_status(err), why_format(why, text, sizeof(text)), serve_retry_ms(jwt->serve, err));
}

/* --- audit: a line for the first token of a connection, then one per minute with the number of the others --- */

static void log_more(struct sidecar *sidecar)
{
	char source[ADDR_TEXT_MAX];
	if (sidecar->num_jwt_more > 0)
		log_notice("audit", "JWT-SVIDs issued: %u more within a minute to %s from %s", sidecar->num_jwt_more,
			sidecar->id.text, ip_addr_format(&sidecar->source, source));
	sidecar->num_jwt_more = 0;
}

static void on_window_over(struct loop_timer *timer)
{
	struct sidecar *sidecar = container_of(timer, struct sidecar, jwt_window);
	if (sidecar->num_jwt_more > 0)
		loop_timer_start(timer->loop, timer, AUDIT_MS, on_window_over);
	log_more(sidecar);
}

void jwt_service_forget(struct sidecar *sidecar)
{
	loop_timer_stop(&sidecar->jwt_window);
	log_more(sidecar);
}

static void log_issued(const struct jwt_call *jwt)
{
	struct sidecar *sidecar = jwt->sidecar;
	char source[ADDR_TEXT_MAX], audiences[AUDIENCES_SHOWN];
	if (loop_timer_is_armed(&sidecar->jwt_window)) {
		sidecar->num_jwt_more++;
		return;
	}
	struct span lines = buf_span(&jwt->audience);
	(void)snprintf(audiences, sizeof(audiences), "%.*s", (int)lines.len, (const char *)lines.ptr);
	if (lines.len >= sizeof(audiences))
		memcpy(audiences + sizeof(audiences) - sizeof("..."), "...", sizeof("..."));
	for (char *end = audiences; (end = strchr(end, '\n')) != NULL;)
		*end = ' '; /* an audience has none */
	log_notice("audit", "JWT-SVID issued: %s from %s for %s", sidecar->id.text,
		ip_addr_format(&sidecar->source, source), audiences);
	loop_timer_start(jwt->serve->options.loop, &sidecar->jwt_window, AUDIT_MS, on_window_over);
}

/* --- a call --- */

static void on_signed(void *arg, enum err err, const struct issued *issued, const struct why *why)
{
	struct jwt_call *jwt = arg;
	_cleanup_(buf_done) struct buf message = BUF_INIT(ANSWER_MAX);
	jwt->request = NULL;
	if (err != ERR_NONE) {
		refuse(jwt, err, why);
		return;
	}
	if (jwt_down_encode(issued->sealed, &message) == ERR_NONE &&
		rpc_call_send(jwt->call, buf_span(&message)) == ERR_NONE) {
		log_issued(jwt);
		rpc_call_finish(jwt->call, RPC_OK, NULL, 0);
	} else {
		rpc_call_finish(jwt->call, RPC_INTERNAL, "the token does not fit", 0);
	}
}

/* The first token of a mesh waits until the store has the keys. The call's deadline bounds it. */
static void sign(struct jwt_call *jwt);

static void on_poll(struct loop_timer *timer)
{
	sign(container_of(timer, struct jwt_call, poll));
}

static void sign(struct jwt_call *jwt)
{
	struct serve *serve = jwt->serve;
	if (jwt_keys_are_ready(&serve->jwt_keys))
		jwt->request = issuer_sign_jwt(
			serve->options.issuer, &jwt->sidecar->id, buf_span(&jwt->audience), on_signed, jwt);
	else
		loop_timer_start(serve->options.loop, &jwt->poll, POLL_MS, on_poll);
}

static bool has_room(const struct jwt_call *jwt)
{
	struct share_key key = share_key_of_bytes(spiffe_id_text(&jwt->sidecar->id));
	return rates_take(jwt->serve->jwt_rates, &key, loop_now_ms(jwt->serve->options.loop));
}

void jwt_service_message(void *arg, _unused_ struct rpc_call *call, struct span message)
{
	struct jwt_call *jwt = arg;
	struct why why = {0};
	enum err err = has_room(jwt)
			       ? jwt_up_parse(message, &jwt->audience, &why)
			       : why_set(&why, ERR_LIMIT, "at most 10 tokens per second and identity",
					 "keep a token until shortly before its end", "too many tokens are requested");
	if (err != ERR_NONE)
		refuse(jwt, err, &why);
	else
		sign(jwt);
}

void jwt_service_done(void *arg, _unused_ struct rpc_call *call)
{
	struct jwt_call *jwt = arg;
	if (jwt->request != NULL)
		issuer_abandon(jwt->request);
	loop_timer_stop(&jwt->poll);
	buf_done(&jwt->audience);
	sidecar_unref(jwt->sidecar);
	mem_free(jwt);
}
