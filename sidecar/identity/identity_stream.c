#include "base/core/check.h"
#include "sidecar/identity/identity_client_private.h"

#include "base/core/log.h"

#define COMPONENT "identity"

enum {
	MESSAGE_UP_MAX = 65536,
	HEALTH_EACH_MS = 5000,
	ANSWER_MS = 5000,
	ANSWER_MIN_MS = 1000,
	PROBE_MS = 600,
	WITHDRAWN_SPREAD_MS = 500
};

/* A stream that accepts no message has failed: the server does not read, or the stream has ended. */
static void send_up(struct identity_client *client, enum err encoded, struct span message)
{
	struct why why;
	if (client->call == NULL)
		return;
	enum err err = encoded == ERR_NONE ? rpc_call_send(client->call, message) : encoded;
	if (err == ERR_NONE)
		return;
	why_set(&why, err, "an identity stream that accepts messages", "inspect the control plane's log",
		"cannot send on the identity stream: %s", err_text(err));
	identity_fail(client, REDIAL_UNREACHABLE, 0, &why);
}

static void send_ack(struct identity_client *client, struct epoch epoch, const char *refused)
{
	_cleanup_(buf_done) struct buf message = BUF_INIT(MESSAGE_UP_MAX);
	enum err err = message_trust_ack_encode(epoch, refused, &message);
	send_up(client, err, buf_span(&message));
}

void identity_stream_confirm(struct identity_client *client)
{
	send_ack(client, credentials_epoch(client->credentials), NULL);
}

/* Claims the address or, after a release, releases it. */
static void claim(struct identity_client *client)
{
	_cleanup_(buf_done) struct buf message = BUF_INIT(MESSAGE_UP_MAX);
	if (client->call == NULL)
		return;
	enum err err = client->is_released ? message_release_encode(&message)
					   : claim_make(rpc_client_tls(control_link_client(client->link)),
						     state_folder_key(client->options.state), &message);
	send_up(client, err, buf_span(&message));
}

/* The answer to a renewal has another certificate, and the trust state in which it is valid: both are taken over
 * together. */
static void renew_for(struct identity_client *client, const struct why *why)
{
	struct renew_now now = identity_now(client);
	log_why(LOG_LEVEL_NOTICE, COMPONENT, "the own certificate is withdrawn; renewing", why);
	client->is_withdrawn = true;
	renew_in(&client->renew, &now, 0, WITHDRAWN_SPREAD_MS);
}

static void on_trust(struct identity_client *client, struct trust *trust)
{
	struct why why = {0};
	char text[700];
	bool is_first = client->state == IDENTITY_STREAMING;
	if (is_first)
		identity_enter(client, IDENTITY_TRUSTED);
	redial_succeeded(&client->redial);
	client->last_failure = (struct why){0};
	if (identity_use_trust(client, trust, &why) == ERR_NONE) {
		if (identity_may_confirm(client, trust))
			send_ack(client, trust->epoch, NULL);
	} else if (client->is_banned) {
		log_why(LOG_LEVEL_WARNING, COMPONENT, "the control plane has banned this sidecar's identity", &why);
	} else if (identity_is_withdrawn(why.err)) {
		renew_for(client, &why);
	} else {
		log_why(LOG_LEVEL_ERROR, COMPONENT, "refused a trust state; the previous one stays in use", &why);
		send_ack(client, trust->epoch, why_format(&why, text, sizeof(text)));
	}
	if (!is_first)
		return;
	/* A Unix socket proves no address: that is claimed over the other connection. */
	if ((client->options.claims_address || client->is_released) && control_link_family(client->link) != 0)
		claim(client);
	if (client->other != NULL)
		address_claim_start(client->other, control_link_family(client->link), client->credentials);
}

static void renewal_failed(struct identity_client *client, uint32_t retry_after_ms, const struct why *why)
{
	struct renew_now now = identity_now(client);
	identity_note_refusal(client, why);
	fresh_request_done(&client->pending);
	renew_failed(&client->renew, &now, retry_after_ms);
	client->options.on_event(client->options.arg, IDENTITY_RENEW_FAILED, why);
	log_why(LOG_LEVEL_WARNING, COMPONENT, "the renewal failed and will be retried", why);
}

static void on_renewed(struct identity_client *client, struct identity_down *down)
{
	if (client->pending.key == NULL || down->request_id != client->request_id)
		return; /* the answer to a request that has timed out */
	if (down->svid == NULL) {
		renewal_failed(client, down->after_ms, &down->detail);
		return;
	}
	struct why why = {0};
	enum err err = down->has_trust ? identity_use_both(client, down->svid, &down->trust, client->pending.key, &why)
				       : identity_use_svid(client, down->svid, client->pending.key, &why);
	if (err != ERR_NONE) {
		renewal_failed(client, 0, &why);
		return;
	}
	if (down->has_trust && identity_may_confirm(client, &down->trust))
		send_ack(client, down->trust.epoch, NULL);
	fresh_request_done(&client->pending);
	if (client->other != NULL)
		address_claim_renewed(client->other, client->credentials);
	if (loop_timer_is_armed(&client->claim_retry.timer))
		claim(client); /* the claim was refused; with a new certificate the control plane may accept it */
	client->options.on_event(client->options.arg, IDENTITY_RENEWED, NULL);
}

static void repeat_claim(struct loop_timer *timer)
{
	struct identity_client *client = container_of(timer, struct identity_client, claim_retry.timer);
	if (client->state == IDENTITY_TRUSTED && !client->claimed.is_held && !client->is_released)
		claim(client);
}

static void on_claim(struct identity_client *client, const struct identity_down *down)
{
	char text[ADDR_TEXT_MAX];
	if (client->is_released)
		return; /* the answer to a claim that has been released */
	client->claimed = (struct claimed_address){down->claimed.ip, down->is_claim_held, down->detail};
	if (!down->is_claim_held) {
		claim_retry_refused(&client->claim_retry, "the control plane refused the address claim", &down->detail,
			down->after_ms, repeat_claim);
		return;
	}
	claim_retry_held(&client->claim_retry);
	log_notice(COMPONENT, "claimed the address %s", ip_addr_format(&down->claimed.ip, text));
}

static void on_slot(struct identity_client *client, uint32_t within_ms)
{
	struct renew_now now = identity_now(client);
	renew_got_slot(&client->renew, &now, within_ms);
}

static void on_message(void *arg, struct rpc_call *call, struct span message)
{
	struct identity_client *client = arg;
	_cleanup_(identity_down_done) struct identity_down down = {0};
	struct why why = {0};
	if (client->state == IDENTITY_STREAM_ENDED)
		return;
	CHECK(client->call == call && (client->state == IDENTITY_STREAMING || client->state == IDENTITY_TRUSTED));
	if (message_identity_down_parse(message, &client->options.trust_domain, &down, &why) != ERR_NONE) {
		identity_fail(client, REDIAL_REFUSED, 0, &why);
		return;
	}
	identity_receive_time(client, down.server_time_ms, !client->is_published);
	switch (down.kind) {
	case DOWN_TRUST:
		client->report_each_s = down.report_each_s;
		on_trust(client, &down.trust);
		return;
	case DOWN_RENEWED:
		on_renewed(client, &down);
		return;
	case DOWN_SLOT:
		on_slot(client, down.after_ms);
		return;
	case DOWN_CLAIM:
		on_claim(client, &down);
		return;
	case DOWN_UNKNOWN:
		return; /* of a later release */
	}
}

/* The control plane refuses this SVID; it may still accept the attestation data. */
static bool is_refusal(enum rpc_status status)
{
	return status == RPC_PERMISSION_DENIED || status == RPC_UNAUTHENTICATED;
}

static void on_done(
	void *arg, struct rpc_call *call, enum rpc_status status, const char *message, uint32_t retry_after_ms)
{
	struct identity_client *client = arg;
	struct why why;
	(void)call;
	client->call = NULL;
	fresh_request_done(&client->pending);
	const struct why otherwise = {
		.err = is_refusal(status) ? ERR_DENIED : ERR_CLOSED,
		.expected = "an identity stream that stays open",
		.got = "the identity stream ended",
		.fix = "inspect the control plane's log",
	};
	rpc_status_why(status, message, &otherwise, &why);
	client->must_attest = client->must_attest || is_refusal(status);
	identity_fail(client, is_refusal(status) ? REDIAL_REFUSED : REDIAL_UNREACHABLE, retry_after_ms, &why);
}

static const struct rpc_call_handlers handlers = {.on_message = on_message, .on_done = on_done};

static void send_hello(struct identity_client *client)
{
	_cleanup_(buf_done) struct buf message = BUF_INIT(MESSAGE_UP_MAX);
	struct hello hello = {.release = client->options.release,
		.is_draining = client->is_draining,
		.zone = client->options.zone,
		.health = client->health};
	client->shown_health = client->health;
	client->health_due_ms = loop_now_ms(client->options.loop) + HEALTH_EACH_MS;
	if (client->options.own_addresses != NULL)
		hello.num_addresses = client->options.own_addresses(hello.addresses);
	enum err err = message_hello_encode(&hello, &message);
	send_up(client, err, buf_span(&message));
}

void identity_stream_open(struct identity_client *client)
{
	struct why why;
	CHECK(client->call == NULL && client->pending.key == NULL);
	enum err err =
		rpc_client_call(control_link_client(client->link), IDENTITY_PATH, 0, &handlers, client, &client->call);
	if (err != ERR_NONE) {
		why_set(&why, err, "an identity stream", "inspect the control plane's log",
			"cannot open the identity stream: %s", err_text(err));
		identity_fail(client, REDIAL_UNREACHABLE, 0, &why);
		return;
	}
	identity_enter(client, IDENTITY_STREAMING);
	send_hello(client);
}

void identity_client_release_address(struct identity_client *client)
{
	client->is_released = true;
	claim_retry_stop(&client->claim_retry);
	client->claimed = (struct claimed_address){.is_held = false};
	if (client->state == IDENTITY_TRUSTED)
		claim(client);
	if (client->other != NULL)
		address_claim_release(client->other);
}

void identity_client_drain(struct identity_client *client)
{
	client->is_draining = true;
	if (client->state == IDENTITY_STREAMING || client->state == IDENTITY_TRUSTED)
		send_hello(client);
	if (client->other != NULL)
		address_claim_drain(client->other);
}

void identity_client_set_health(struct identity_client *client, const struct sidecar_health *health)
{
	client->health = *health;
	if (client->state == IDENTITY_TRUSTED && !sidecar_health_eq(health, &client->shown_health) &&
		loop_now_ms(client->options.loop) >= client->health_due_ms)
		send_hello(client);
}

uint32_t identity_client_report_each_s(const struct identity_client *client)
{
	return client->state == IDENTITY_TRUSTED ? client->report_each_s : 0;
}

void identity_client_report(struct identity_client *client, const struct report *report)
{
	_cleanup_(buf_done) struct buf message = BUF_INIT(MESSAGE_UP_MAX);
	CHECK(identity_client_report_each_s(client) > 0);
	enum err err = message_report_encode(report, &message);
	send_up(client, err, buf_span(&message));
}

static uint64_t answer_ms(const struct identity_client *client)
{
	int64_t left_ms = (client->renew.not_after_s - identity_now(client).trusted_s) * 1000 / 3;
	return left_ms > ANSWER_MS ? ANSWER_MS : left_ms < ANSWER_MIN_MS ? ANSWER_MIN_MS : (uint64_t)left_ms;
}

static enum err send_renewal(struct identity_client *client, struct why *why)
{
	struct attestation_files files = {client->options.token_file, client->options.kubernetes_token_file,
		client->options.x509_certificate_file, client->options.x509_key_file, client->options.unix_peer};
	struct certificate_request request = {.id = ++client->request_id};
	_cleanup_(buf_wipe) struct buf message = BUF_INIT(MESSAGE_UP_MAX);
	attestation_data_done(&client->data);
	RETURN_IF_ERR(attestation_gather(
		&files, state_folder_get(client->options.state), false, &client->data, &request.attestation, why));
	RETURN_IF_ERR(fresh_request_make(rpc_client_tls(control_link_client(client->link)),
		state_folder_key(client->options.state), &client->pending));
	RETURN_IF_ERR(attestation_sign(&client->pending, &client->data, &request.attestation, why));
	request.csr = buf_span(&client->pending.csr);
	request.attestation_key = buf_span(&client->pending.attestation_key);
	request.proof = buf_span(&client->pending.proof);
	RETURN_IF_ERR(message_renew_encode(&request, &message));
	attestation_data_wipe(&client->data);
	send_up(client, ERR_NONE, buf_span(&message));
	return ERR_NONE;
}

void identity_stream_renew(struct identity_client *client)
{
	struct why why = {0};
	if (client->state != IDENTITY_TRUSTED || client->pending.key != NULL)
		return;
	client->request_deadline_ms = loop_now_ms(client->options.loop) + answer_ms(client);
	enum err err = send_renewal(client, &why);
	if (err == ERR_NONE) {
		/* A busy signer is waited for; a server that is silent altogether is left for another at once. Not
		 * where the own certificate is withdrawn: others have the same to do, so the server is busy, and with
		 * that certificate there is no other connection, only an attestation. */
		if (control_link_client(client->link) != NULL && !client->is_withdrawn)
			rpc_client_probe(control_link_client(client->link), PROBE_MS);
		return;
	}
	if (why.err == ERR_NONE)
		why_set(&why, err, "a renewal request", "inspect the sidecar's log",
			"cannot create the renewal request: %s", err_text(err));
	renewal_failed(client, 0, &why);
}

void identity_stream_poll(struct identity_client *client)
{
	struct why why;
	if (client->state != IDENTITY_TRUSTED || client->pending.key == NULL ||
		loop_now_ms(client->options.loop) < client->request_deadline_ms)
		return;
	why_set(&why, ERR_TIMEOUT, "an answer to the renewal request", "inspect the control plane's log",
		"the control plane did not answer the renewal request in time");
	renewal_failed(client, 0, &why);
}
