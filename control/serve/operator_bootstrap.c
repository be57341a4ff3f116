/* The bootstrap root: its part of ca status, ca rotate --bootstrap, ca abort --bootstrap, ca retire --bootstrap. */
#include "base/core/log.h"
#include "base/core/mem.h"
#include "certs/digest.h"
#include "control/serve/operator_messages.h"
#include "control/serve/operator_private.h"

struct counting_tokens {
	const uint8_t *sha256; /* of the former bootstrap root */
	int64_t now_s;
	uint32_t num;
};

/* Tokens of an earlier release do not name their bootstrap root: it may be the former one. */
static void count_token(void *arg, _unused_ struct span id, const struct join_token *token)
{
	struct counting_tokens *counting = arg;
	if (!token->is_bound && token->not_after_s > counting->now_s &&
		(!token->has_bootstrap_hash || memcmp(token->bootstrap_hash, counting->sha256, DIGEST_LEN) == 0))
		counting->num++;
}

void operator_bootstrap_status(const struct serve *serve, struct ca_status *out)
{
	const struct bootstrap *bootstrap = serve->options.bootstrap;
	const struct bootstrap_state *state = bootstrap_state_of(bootstrap);
	uint8_t former[DIGEST_LEN];
	struct counting_tokens tokens = {former, serve_now_ms(serve) / 1000, 0};
	out->phase = bootstrap_phase_name(state->phase);
	out->number = state->number;
	out->began_ms = state->began_s * 1000;
	out->phase_began_ms = state->phase_s * 1000;
	out->is_forced = state->is_forced;
	const struct rotation_progress progress = bootstrap_progress_of(serve, operator_ca_add_waited, out);
	out->num_waited = progress.num_waited;
	out->unrecorded_until_ms = progress.unrecorded_until_s * 1000;
	operator_ca_add_root(out, bootstrap_active(bootstrap), "active");
	if (state->phase == BOOTSTRAP_NONE)
		return;
	(void)rotation_replicas_waited(serve, REPLICAS_BOOTSTRAP, operator_ca_add_replica, out);
	if (state->phase == BOOTSTRAP_PUBLISHING) {
		operator_ca_add_root(out, buf_span(&state->next), "next");
		return;
	}
	operator_ca_add_root(out, buf_span(&state->former), "former");
	digest_sha256(buf_span(&state->former), former);
	attest_token_each(serve->options.attest, count_token, &tokens);
	out->num_tokens = tokens.num;
}

static void on_begun(void *arg, enum err err, const struct why *why)
{
	if (err == ERR_NONE)
		log_notice("audit", "an operator replaces the bootstrap root by a successor");
	operator_ca_finish(arg, err, why);
}

void operator_bootstrap_rotate(struct operator_request *request, bool is_forced)
{
	bootstrap_begin(request->serve->options.bootstrap, is_forced, on_begun, operator_request_ref(request));
}

static void on_aborted(void *arg, enum err err, const struct why *why)
{
	if (err == ERR_NONE)
		log_notice("audit", "an operator gives up the successor of the bootstrap root");
	operator_ca_finish(arg, err, why);
}

void operator_bootstrap_abort(struct operator_request *request)
{
	bootstrap_abort(request->serve->options.bootstrap, on_aborted, operator_request_ref(request));
}

static void on_retired(void *arg, enum err err, const struct why *why)
{
	if (err == ERR_NONE)
		log_warning("audit", "an operator retires the former bootstrap root");
	operator_ca_finish(arg, err, why);
}

/* Whom it would lock out. */
static enum err check_needed(const struct serve *serve, struct why *why)
{
	_cleanup_(mem_freep) struct ca_status *status = mem_new(struct ca_status);
	operator_bootstrap_status(serve, status);
	uint32_t num_sidecars = status->num_waited, num_tokens = status->num_tokens;
	ca_status_done(status);
	if (num_sidecars == 0 && num_tokens == 0)
		return ERR_NONE;
	return why_set(why, ERR_DENIED, "a former bootstrap root that is not needed",
		"see `handfast ca status`, start those sidecars and replace those tokens; or add --force: they then "
		"need a new join token each",
		"%u sidecars have not confirmed its successor, and %u unused join tokens have its pin", num_sidecars,
		num_tokens);
}

enum err operator_bootstrap_retire(struct operator_request *request, struct span bytes, struct why *why)
{
	const struct serve *serve = request->serve;
	bool is_forced;
	RETURN_IF_ERR(ca_retire_request_parse(bytes, &is_forced, why));
	if (!is_forced && bootstrap_state_of(serve->options.bootstrap)->phase == BOOTSTRAP_OVERLAP)
		RETURN_IF_ERR(check_needed(serve, why));
	bootstrap_retire(serve->options.bootstrap, on_retired, operator_request_ref(request));
	return ERR_NONE;
}
