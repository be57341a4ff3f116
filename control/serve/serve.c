#include "control/serve/serve.h"
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/core/random.h"
#include "base/net/fd.h"
#include "base/tls/tls_session.h"
#include "certs/digest.h"
#include "certs/verify.h"
#include "control/issue/certificate.h"
#include "control/serve/serve_private.h"

#define ATTEST_MESSAGE_MAX  16384
#define ATTEST_DEADLINE_MS  5000
#define STREAM_MESSAGE_MAX  (64u * 1024) /* a CSR with its attestation data, or 1,024 destinations at 26 bytes */
#define OPERATOR_QUEUE_MAX  (17u * 1024 * 1024)
#define RENEWALS_PER_SECOND 2
#define RENEWALS_BURST      20
#define CHANGES_PER_SECOND  1
#define CHANGES_BURST       20
#define SWEEP_MS            1000
#define BUSY_HANDSHAKES     32 /* under way at once while requests for certificates are deferred */
#define STREAMS_MAX         4  /* per connection: Identity, Discovery, and their successors; each uses memory */

enum rpc_status serve_status(enum err err)
{
	if (err == ERR_NONE)
		return RPC_OK;
	if (err == ERR_DENIED || err == ERR_REVOKED || err == ERR_EXPIRED || err == ERR_NOT_YET_VALID ||
		err == ERR_CRYPTO)
		return RPC_PERMISSION_DENIED;
	if (err == ERR_MALFORMED || err == ERR_WEAK_KEY || err == ERR_TOO_LARGE || err == ERR_PROTOCOL ||
		err == ERR_CONFIG || err == ERR_TRUNCATED)
		return RPC_INVALID_ARGUMENT;
	if (err == ERR_UNSUPPORTED)
		return RPC_UNIMPLEMENTED;
	if (err == ERR_LIMIT)
		return RPC_RESOURCE_EXHAUSTED;
	return err == ERR_STATE_DAMAGED ? RPC_DATA_LOSS : RPC_UNAVAILABLE;
}

uint32_t serve_retry_ms(const struct serve *serve, enum err err)
{
	enum rpc_status status = serve_status(err);
	CHECK(status != RPC_OK); /* of a failure */
	return status == RPC_UNAVAILABLE || status == RPC_RESOURCE_EXHAUSTED ? granter_retry_ms(serve->granter) : 0;
}

enum err serve_exported(struct rpc_peer *peer, struct span csr, uint8_t out[ATTEST_EXPORTED_LEN])
{
	uint8_t context[DIGEST_LEN];
	struct tls_session *tls = rpc_peer_tls(peer);
	if (tls == NULL)
		return ERR_UNSUPPORTED;
	digest_sha256(csr, context);
	return tls_session_export(tls, ATTEST_EXPORTER_LABEL, span_of(context, DIGEST_LEN), out);
}

/* All calls but Attest, before a message is parsed (C1). The chain was verified in the handshake; since then the
 * certificate may have expired or its identity been banned. */
static enum rpc_status authorize(void *arg, const struct rpc_peer *peer, const char **out_message)
{
	struct serve *serve = arg;
	const struct sidecar *sidecar = rpc_peer_arg(peer);
	if (sidecar != NULL && sidecar->valid_until_s > serve_judging_s(serve) &&
		!bundle_set_is_banned(trust_bundles(serve->options.trust), &sidecar->id) &&
		trust_is_ready(serve->options.trust))
		return RPC_OK;
	serve_count(serve, CONTROL_UNAUTHORIZED);
	*out_message = "this call needs a valid SVID of this mesh; attest first";
	return RPC_UNAUTHENTICATED;
}

static bool must_go(const struct serve *serve, const struct sidecar *sidecar)
{
	return sidecar->valid_until_s <= serve_judging_s(serve) ||
	       bundle_set_is_banned(trust_bundles(serve->options.trust), &sidecar->id);
}

/* A connection never outlives its identity. */
static void sweep(struct serve *serve)
{
	LIST_EACH_REMOVABLE(&serve->sidecars, struct sidecar, sidecar, link) {
		if (must_go(serve, sidecar)) {
			if (limited_log_allows_identity(serve->lines, sidecar->id.text, "connection ended"))
				log_notice("audit", "connection ended: %s is banned or has expired", sidecar->id.text);
			rpc_peer_close(sidecar->peer);
		}
	}
}

static void on_sweep(struct loop_timer *timer)
{
	struct serve *serve = container_of(timer, struct serve, sweep);
	clock_poll(serve);
	conditions_sweep(serve);
	sweep(serve);
	limits_sweep(serve);
	housekeeping_poll(serve);
	loop_timer_start(serve->options.loop, &serve->sweep, SWEEP_MS, on_sweep);
}

/* --- methods --- */

static void discovery_start(void *arg, struct rpc_call *call, struct rpc_peer *peer)
{
	const struct serve *serve = arg;
	const struct sidecar *sidecar = rpc_peer_arg(peer);
	distribute_start(serve->options.distributor, call, &sidecar->id);
}

static const struct rpc_method stream_methods[] = {
	{.path = "/handfast.v1.Enrollment/Attest",
		.is_unary = true,
		.message_max = ATTEST_MESSAGE_MAX,
		.deadline_ms = ATTEST_DEADLINE_MS,
		.on_start = enrollment_start,
		.on_message = enrollment_message,
		.on_done = enrollment_done},
	{.path = "/handfast.v1.Identity/Stream",
		.message_max = STREAM_MESSAGE_MAX,
		.on_authorize = authorize,
		.on_start = identity_start,
		.on_message = identity_message,
		.on_half_close = identity_half_close,
		.on_done = identity_done},
	{.path = DISTRIBUTE_METHOD_PATH,
		.message_max = STREAM_MESSAGE_MAX,
		.on_authorize = authorize,
		.on_start = discovery_start,
		.on_message = distribute_message,
		.on_half_close = distribute_half_close,
		.on_done = distribute_done},
};

/* --- the streams port --- */

static enum err on_verify(
	void *arg, const struct span *chain, size_t num_chain, struct svid **out_svid, struct why *why)
{
	const struct serve *serve = arg;
	char text[700];
	struct verify_input input = {.chain = chain,
		.num_chain = num_chain,
		.bundles = trust_bundles(serve->options.trust),
		.role = VERIFY_CLIENT,
		.now_s = serve_judging_s(serve)};
	enum err err = verify_chain(&input, out_svid, why);
	if (err != ERR_NONE) {
		serve_count(serve, CONTROL_HANDSHAKES_FAILED);
		if (limited_log_allows_identity(serve->lines, "client certificates", err_label(err)))
			log_warning("audit", "client certificate refused: %s: %s", err_label(err),
				why_format(why, text, sizeof text));
	}
	return err;
}

static void on_handshake_failed(void *arg, const struct addr *from, const struct why *why)
{
	struct serve *serve = arg;
	char source[ADDR_TEXT_MAX], text[700];
	serve_count(serve, CONTROL_HANDSHAKES_BROKEN);
	if (limited_log_allows_source(serve->lines, &from->ip, err_label(why->err)))
		log_warning("serve", "a TLS handshake with %s failed: %s", addr_format(from, source),
			why_format(why, text, sizeof text));
}

static void log_cannot_serve(struct serve *serve, const struct addr *peer, const struct why *why)
{
	if (limited_log_allows_source(serve->lines, &peer->ip, "cannot be served"))
		log_why(LOG_LEVEL_ERROR, "serve", "a connection cannot be served", why);
}

static void on_stream_accept(void *arg, int fd, const struct addr *peer)
{
	struct serve *serve = arg;
	if (!server_identity_poll(
		    serve->options.identity)) { /* after a suspend: a new one is issued within milliseconds */
		fd_close(fd);
		return;
	}
	struct span root = server_identity_root(serve->options.identity);
	struct tls_session_options options = {.context = serve->tls,
		.scratch = serve->scratch,
		.fd = fd,
		.svid = server_identity_svid(serve->options.identity),
		.key = server_identity_key(serve->options.identity),
		.extra_chain = &root,
		.num_extra_chain = 1,
		.on_verify = on_verify,
		.verify_arg = serve};
	struct tls_session *session;
	struct why why = {0};
	/* Requests for certificates are deferred: most new connections could only be refused after their handshake, so
	 * they are closed before it. Some are admitted: they receive a retry delay, or have a certificate already. */
	if (!granter_has_room(serve->granter) && rpc_server_num_handshakes(serve->streams) >= BUSY_HANDSHAKES) {
		serve_count(serve, CONTROL_CONNECTIONS_DEFERRED);
		fd_close(fd);
		return;
	}
	socket_set_nodelay(fd);
	if (tls_session_new(&options, &session, &why) != ERR_NONE)
		log_cannot_serve(serve, peer, &why);
	else
		rpc_server_adopt(serve->streams, transport_new_tls(session), peer);
}

static void on_operator_accept(void *arg, int fd, const struct addr *peer)
{
	struct serve *serve = arg;
	rpc_server_adopt(serve->operators, transport_new_plain(fd), peer);
}

static void copy_authorities(struct serve *serve)
{
	CHECK(serve->options.num_authorities <= sizeof serve->authorities / sizeof serve->authorities[0]);
	for (size_t i = 0; i < serve->options.num_authorities; i++) {
		const struct serve_authority *from = &serve->options.authorities[i];
		buf_init(&serve->authorities[i].der, 8192);
		if (buf_append(&serve->authorities[i].der, from->der) != ERR_NONE)
			continue;
		serve->authorities[i].not_before_s = from->not_before_s;
		serve->authorities[i].not_after_s = from->not_after_s;
		serve->authority_kinds[i] = from->kind;
		serve->num_authorities++;
	}
}

/* The intermediate changes every few days; status shows the present one. */
static void on_authorities(void *arg, const struct issued *issued)
{
	struct serve *serve = arg;
	for (size_t i = 0; i < issued->num_chain && i < serve->num_authorities; i++) {
		struct buf *der = &serve->authorities[i].der;
		int64_t from_s, to_s;
		if (span_eq(buf_span(der), issued->chain[i]) ||
			certificate_validity(issued->chain[i], &from_s, &to_s) != ERR_NONE)
			continue;
		buf_clear(der);
		if (buf_append(der, issued->chain[i]) != ERR_NONE)
			continue; /* larger than any of ours */
		serve->authorities[i].not_before_s = from_s;
		serve->authorities[i].not_after_s = to_s;
		log_notice("serve", "the signer has a new %s", serve->authority_kinds[i]);
	}
}

static void open_listeners(struct serve *serve)
{
	const struct serve_options *options = &serve->options;
	struct rpc_server_options streams = {.loop = options->loop,
		.methods = stream_methods,
		.num_methods = sizeof stream_methods / sizeof stream_methods[0],
		.arg = serve,
		.max_connections = options->max_connections,
		.max_handshakes = options->max_handshakes,
		.max_streams = STREAMS_MAX,
		.on_limit = limits_on_streams,
		.on_connect = connections_on_connect,
		.on_disconnect = connections_on_disconnect,
		.on_handshake_failed = on_handshake_failed};
	struct rpc_server_options operators = {.loop = options->loop,
		.methods = operator_methods,
		.num_methods = operator_num_methods,
		.arg = serve,
		.max_connections = SERVE_OPERATORS_MAX,
		.on_limit = limits_on_operators,
		.send_queue_max = OPERATOR_QUEUE_MAX};
	serve->streams = rpc_server_new(&streams);
	serve->operators = rpc_server_new(&operators);
	serve->streams_listener =
		listener_new(options->loop, options->streams_fd, on_stream_accept, limits_on_pause, serve);
	serve->operator_listener =
		listener_new(options->loop, options->operator_fd, on_operator_accept, limits_on_pause, serve);
}

static struct rates *rates_make(uint32_t per_second, uint32_t burst)
{
	return rates_new(&(struct rates_options){.per_minute = per_second * 60, .burst = burst, .seed = random_u64()});
}

struct serve *serve_new(const struct serve_options *options)
{
	struct serve *serve = mem_new(struct serve);
	const struct tls_context_options tls = {
		.role = TLS_SERVER, .client_auth = TLS_CLIENT_AUTH_OPTIONAL, .alpn = "h2"};
	const struct granter_options granter = {
		options->loop, options->store, options->attest, options->issuer, options->leaf_ttl_s};
	serve->options = *options;
	serve->granter = granter_new(&granter);
	serve->enroll_limit = enroll_limit_new(options->attest_per_second, random_u64());
	serve->renew_rates = rates_make(RENEWALS_PER_SECOND, RENEWALS_BURST);
	serve->change_rates = rates_make(CHANGES_PER_SECOND, CHANGES_BURST);
	serve->connections = shares_new(&(struct shares_options){.capacity = options->max_connections + 1,
		.num_classes = 1,
		.classes = {{.caps = {[SHARE_KEY_IDENTITY] = serve_identity_max(serve)}}},
		.seed = random_u64()});
	serve->lines = limited_log_new(options->loop, "audit");
	serve->leaf_owners = leaf_owners_new(options->store);
	serve->tls = tls_context_new(&tls);
	serve->scratch = tls_scratch_new();
	serve->started_ms = serve_now_ms(serve);
	serve->steady_since_ms = loop_now_ms(options->loop);
	clock_poll(serve); /* later changes of the clock are measured from here */
	copy_authorities(serve);
	signer_watch_init(&serve->signer, options->loop, options->issuer, on_authorities, serve);
	open_listeners(serve);
	loop_timer_start(options->loop, &serve->sweep, SWEEP_MS, on_sweep);
	return serve;
}

static void close_listeners(struct serve *serve)
{
	if (serve->streams_listener != NULL)
		listener_free(TAKE_PTR(serve->streams_listener));
	if (serve->operator_listener != NULL)
		listener_free(TAKE_PTR(serve->operator_listener));
}

void serve_free(struct serve *serve)
{
	loop_timer_stop(&serve->sweep);
	signer_watch_done(&serve->signer);
	close_listeners(serve);
	rpc_server_free(serve->streams);
	rpc_server_free(serve->operators);
	/* The servers have ended every call and connection. */
	CHECK(serve->num_streams == 0 && list_is_empty(&serve->identity_streams) && list_is_empty(&serve->sidecars));
	granter_free(serve->granter);
	loop_task_cancel(&serve->review);
	shares_free(serve->connections);
	leaf_owners_free(serve->leaf_owners);
	rates_free(serve->change_rates);
	enroll_limit_free(serve->enroll_limit);
	rates_free(serve->renew_rates);
	limited_log_free(serve->lines);
	tls_context_free(serve->tls);
	tls_scratch_free(serve->scratch);
	for (size_t i = 0; i < serve->options.num_authorities; i++)
		buf_done(&serve->authorities[i].der);
	mem_free(serve);
}

void serve_set_leaf_ttl(struct serve *serve, int64_t leaf_ttl_s)
{
	granter_set_leaf_ttl(serve->granter, leaf_ttl_s);
}

void serve_trust_changed(struct serve *serve)
{
	metric_set(serve->options.metrics, CONTROL_TRUST_EPOCH, (int64_t)trust_epoch(serve->options.trust).counter);
	sweep(serve);
	identity_push_trust(serve);
}

void serve_drain(struct serve *serve)
{
	close_listeners(serve);
	rpc_server_drain(serve->streams);
	rpc_server_drain(serve->operators);
	/* Streams never end by themselves; a sidecar that is cut off during a renewal requests it again. */
	LIST_EACH_REMOVABLE(&serve->sidecars, struct sidecar, sidecar, link) {
		rpc_peer_close(sidecar->peer);
	}
}

bool serve_is_drained(const struct serve *serve)
{
	return rpc_server_num_peers(serve->streams) == 0 && rpc_server_num_peers(serve->operators) == 0;
}

unsigned serve_num_streams(const struct serve *serve)
{
	return serve->num_streams;
}

unsigned serve_num_connections(const struct serve *serve)
{
	return rpc_server_num_peers(serve->streams);
}
