#include "base/core/check.h"
#include "sidecar/identity/identity_client_private.h"

#include "base/core/log.h"

#define COMPONENT "identity"

enum { ANSWER_MS = 5000 }; /* the control plane's own maximum */

static void failed(
	struct identity_client *client, enum redial_cause cause, uint32_t retry_after_ms, const struct why *why)
{
	client->options.on_event(client->options.arg, IDENTITY_ATTEST_FAILED, why);
	identity_fail(client, cause, retry_after_ms, why);
}

static void on_message(void *arg, struct rpc_call *call, struct span message)
{
	struct identity_client *client = arg;
	_cleanup_(attest_answer_done) struct attest_answer answer = {0};
	struct why why = {0};
	CHECK(client->call == call && (client->state == IDENTITY_ATTESTING || client->state == IDENTITY_ATTEST_ENDED));
	if (client->pending.key == NULL)
		return; /* a second answer */
	enum err err = message_attest_answer_parse(message, &client->options.trust_domain, &answer, &why);
	if (err == ERR_NONE)
		err = identity_use_answer(client, &answer, client->pending.key, &why);
	fresh_request_done(&client->pending);
	if (err != ERR_NONE) {
		failed(client, REDIAL_REFUSED, 0, &why);
		return;
	}
	client->must_attest = false;
	client->options.on_event(client->options.arg, IDENTITY_ATTESTED, NULL);
	client->streams_here = answer.streams_here;
	if (!client->streams_here)
		identity_attested(client);
}

/* The same connection may carry the streams (decision 079); is_open: the call ended as it should. */
static void stay_for_streams(struct identity_client *client, bool is_open)
{
	CHECK(client->pending.key == NULL && client->state == IDENTITY_ATTESTING);
	if (!is_open || control_link_client(client->link) == NULL) {
		identity_attested(client);
		return;
	}
	redial_succeeded(&client->redial);
	identity_start_streams(client);
}

static enum redial_cause cause_of(enum rpc_status status)
{
	return status == RPC_UNAVAILABLE || status == RPC_DEADLINE_EXCEEDED || status == RPC_RESOURCE_EXHAUSTED ||
			       status == RPC_ABORTED || status == RPC_CANCELLED || status == RPC_OK
		       ? REDIAL_UNREACHABLE
		       : REDIAL_REFUSED;
}

static void on_done(
	void *arg, struct rpc_call *call, enum rpc_status status, const char *message, uint32_t retry_after_ms)
{
	struct identity_client *client = arg;
	struct why otherwise, why;
	(void)call;
	client->call = NULL;
	if (client->streams_here && client->state == IDENTITY_ATTESTING) { /* else its connection has just failed */
		client->streams_here = false;
		stay_for_streams(client, status == RPC_OK);
	}
	if (client->pending.key == NULL)
		return; /* the answer has arrived before */
	why_set(&otherwise, status == RPC_UNAVAILABLE ? ERR_UNAVAILABLE : ERR_DENIED,
		"an SVID for the attestation data",
		client->options.kubernetes_token_file != NULL
			? "see the control plane's log; the projected token is read again and tried again"
		: client->options.x509_certificate_file != NULL
			? "see the control plane's log; the machine's certificate is read again and tried again"
			: "see the control plane's log; replace a consumed or expired token: `handfast token create`",
		"the attestation failed");
	rpc_status_why(status, message, &otherwise, &why);
	identity_note_refusal(client, &why);
	failed(client, cause_of(status), retry_after_ms, &why);
}

/* After a failure of another kind a ban that is known stays. */
void identity_note_refusal(struct identity_client *client, const struct why *why)
{
	if (strcmp(why->expected, ATTEST_BANNED_EXPECTED) != 0)
		return;
	client->is_banned = true;
	identity_kept_withdraw(client);
}

bool identity_is_banned(const struct identity_client *client)
{
	const struct credentials *credentials = client->credentials;
	return client->is_banned || (credentials != NULL && bundle_set_is_banned(credentials_bundles(credentials),
								    credentials_id(credentials)));
}

static const struct rpc_call_handlers handlers = {.on_message = on_message, .on_done = on_done};

static enum err send_request(struct identity_client *client, struct rpc_client *rpc, struct why *why)
{
	struct attestation_files files = {client->options.token_file, client->options.kubernetes_token_file,
		client->options.x509_certificate_file, client->options.x509_key_file, client->options.unix_peer};
	struct certificate_request request = {0};
	_cleanup_(buf_wipe) struct buf message = BUF_INIT(ATTEST_MESSAGE_MAX);
	attestation_data_done(&client->data);
	RETURN_IF_ERR(attestation_gather(
		&files, state_folder_get(client->options.state), true, &client->data, &request.attestation, why));
	RETURN_IF_ERR(
		fresh_request_make(rpc_client_tls(rpc), state_folder_key(client->options.state), &client->pending));
	RETURN_IF_ERR(attestation_sign(&client->pending, &client->data, &request.attestation, why));
	request.csr = buf_span(&client->pending.csr);
	request.attestation_key = buf_span(&client->pending.attestation_key);
	request.proof = buf_span(&client->pending.proof);
	RETURN_IF_ERR(message_attest_encode(&request, client->options.release, &message));
	attestation_data_wipe(&client->data);
	/* A busy server is waited for; one that has gone silent is left. */
	RETURN_IF_ERR(rpc_client_call(rpc, ATTEST_PATH, ANSWER_MS, &handlers, client, &client->call));
	rpc_client_probe(rpc, redial_timeout_ms(&client->redial));
	RETURN_IF_ERR(rpc_call_send(client->call, buf_span(&message)));
	rpc_call_close_send(client->call);
	return ERR_NONE;
}

void identity_enroll(struct identity_client *client)
{
	struct why why = {0};
	CHECK(client->call == NULL && client->pending.key == NULL);
	enum err err = send_request(client, control_link_client(client->link), &why);
	if (err == ERR_NONE)
		return;
	if (why.err == ERR_NONE)
		why_set(&why, err, "an attestation request that can be sent", "inspect the sidecar's log",
			"cannot send the attestation request: %s", err_text(err));
	fresh_request_done(&client->pending);
	failed(client, REDIAL_REFUSED, 0, &why);
}
