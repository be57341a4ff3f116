#include "sidecar/workload_api/sds_stream.h"

#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "sidecar/workload_api/sds_messages.h"
#include "sidecar/workload_api/workload_messages.h"
#include "sidecar/workload_api/workload_private.h"
#include <stdio.h>

struct sds_stream {
	struct workload_stream stream; /* first: allocated as one */
	bool is_fetch;                 /* one answer */
	enum sds_validation validation;
	struct sds_names names;
	uint64_t num_sent; /* also the last nonce */
};

static struct sds_stream *sds_of(struct workload_stream *stream)
{
	return container_of(stream, struct sds_stream, stream);
}

/* An error of the client, or an identity that changed: it retries with a pause. */
static void end(struct workload_stream *stream, enum err err, const struct why *why)
{
	char text[700];
	workload_stream_end(stream,
		err == ERR_NOT_FOUND ? RPC_NOT_FOUND
		: err == ERR_LIMIT   ? RPC_RESOURCE_EXHAUSTED
				     : RPC_INVALID_ARGUMENT,
		why_format(why, text, sizeof(text)));
}

static void push(struct workload_stream *stream)
{
	struct sds_stream *sds = sds_of(stream);
	_cleanup_(buf_wipe) struct buf message = BUF_INIT(WORKLOAD_MESSAGE_MAX);
	char version[32], nonce[32];
	struct why why = {0};
	if (sds->names.num == 0)
		return;
	(void)snprintf(version, sizeof(version), "%llu", (unsigned long long)stream->api->version);
	(void)snprintf(nonce, sizeof(nonce), "%llu", (unsigned long long)++sds->num_sent);
	const struct sds_answer answer = {&sds->names, sds->validation, version, nonce};
	enum err err = sds_answer_encode(stream->api->credentials, &answer, &message, &why);
	if (why.err != ERR_NONE) {
		if (err == ERR_LIMIT)
			log_why(LOG_LEVEL_ERROR, WORKLOAD_COMPONENT, "a secret is too large", &why);
		end(stream, err, &why);
		return;
	}
	workload_stream_send(stream, err, &message);
	if (sds->is_fetch)
		workload_stream_end(stream, RPC_OK, NULL);
}

/* Expired: Envoy keeps what it has, and gets the next one as soon as there is a renewed SVID. */
static const struct workload_stream_kind kind = {push, NULL};

static struct sds_stream *start(struct workload_api *api, struct rpc_call *call)
{
	return workload_stream_new(api, call, &kind, sizeof(struct sds_stream));
}

void sds_start_stream(void *arg, struct rpc_call *call, _unused_ struct rpc_peer *peer)
{
	(void)start(arg, call);
}

void sds_start_fetch(void *arg, struct rpc_call *call, _unused_ struct rpc_peer *peer)
{
	struct sds_stream *sds = start(arg, call);
	if (sds != NULL)
		sds->is_fetch = true;
}

/* Whether the request is an answer to the last response (an ACK or NACK), with the names that it had. */
static bool is_confirmation(const struct sds_stream *sds, const struct sds_request *request)
{
	char last[32];
	(void)snprintf(last, sizeof(last), "%llu", (unsigned long long)sds->num_sent);
	if (sds->num_sent == 0 || request->nonce[0] == '\0')
		return false; /* the first request of a stream is fresh, whatever nonce it carries */
	if (strcmp(request->nonce, last) != 0)
		return sds_names_eq(&request->names, &sds->names); /* stale: a newer response is under way */
	if (request->is_refusal && limited_log_allows_identity(sds->stream.api->lines, "sds", "secret refused"))
		log_warning(WORKLOAD_COMPONENT,
			"a client of the secret discovery keeps its former secret: %s; expected: an ACK; fix: compare "
			"its configuration with the secret's kind",
			request->refusal);
	return sds_names_eq(&request->names, &sds->names);
}

void sds_on_message(void *arg, _unused_ struct rpc_call *call, struct span message)
{
	struct sds_stream *sds = arg;
	_cleanup_(sds_request_done) struct sds_request request = {0};
	struct why why = {0};
	enum err err = sds_request_parse(message, &request, &why);
	if (err == ERR_NONE && request.is_other_type)
		err = why_set(&why, ERR_MALFORMED, "the type " SDS_TYPE_URL,
			"ask another server for resources of other types",
			"the request is for resources that are not secrets");
	if (err != ERR_NONE) {
		end(&sds->stream, err, &why);
		return;
	}
	if (is_confirmation(sds, &request))
		return;
	if (sds->is_fetch && request.names.num == 0) { /* on a stream: nothing is subscribed to (any more) */
		end(&sds->stream,
			why_set(&why, ERR_MALFORMED, "the names of 1 to 16 secrets",
				"name the secrets in resource_names", "the request names no secret"),
			&why);
		return;
	}
	if (sds->num_sent == 0 || request.wants != SDS_BY_DOMAIN)
		sds->validation = request.wants;
	sds_names_done(&sds->names);
	sds->names = request.names;
	request.names = (struct sds_names){.num = 0};
	workload_stream_begin(&sds->stream);
}

void sds_on_done(void *arg, _unused_ struct rpc_call *call)
{
	struct sds_stream *sds = arg;
	if (sds == NULL)
		return;
	sds_names_done(&sds->names);
	workload_stream_free(&sds->stream);
}
