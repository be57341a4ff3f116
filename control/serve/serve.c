#include "control/serve/serve.h"
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/core/random.h"
#include "base/net/fd.h"
#include "base/tls/tls_session.h"
#include "certs/digest.h"
#include "control/serve/serve_private.h"

#define ATTEST_MESSAGE_MAX  16384
#define ATTEST_DEADLINE_MS  5000
#define STREAM_MESSAGE_MAX  (64u * 1024) /* a CSR with its attestation data, or 1,024 destinations at 26 bytes */
#define JWT_MESSAGE_MAX     4096
#define JWT_DEADLINE_MS     5000
#define JWT_PER_SECOND      10
#define JWT_BURST           50
#define OPERATOR_QUEUE_MAX  (17u * 1024 * 1024)
#define RENEWALS_PER_SECOND 2
#define RENEWALS_BURST      20
#define CHANGES_PER_SECOND  1
#define CHANGES_BURST       20
#define SWEEP_MS            1000
#define WITHDRAWN_MS        2000 /* to renew with another certificate */
#define STREAMS_MAX         4    /* per connection: Identity, Discovery, and their successors; each uses memory */

enum rpc_status serve_status(enum err err)
{
	if (err == ERR_NONE)
		return RPC_OK;
	if (err == ERR_DENIED || err == ERR_REVOKED || err == ERR_EXPIRED || err == ERR_NOT_YET_VALID ||
		err == ERR_CRYPTO || err == ERR_UNTRUSTED)
		return RPC_PERMISSION_DENIED;
	if (err == ERR_MALFORMED || err == ERR_WEAK_KEY || err == ERR_TOO_LARGE || err == ERR_PROTOCOL ||
		err == ERR_CONFIG || err == ERR_TRUNCATED || err == ERR_NO_CERTIFICATE || err == ERR_NOT_SVID)
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

static enum rpc_status authorize_own(void *arg, const struct rpc_peer *peer, const char **out_message)
{
	enum rpc_status status = authorize(arg, peer, out_message);
	return status == RPC_OK ? guests_authorize(arg, rpc_peer_arg(peer), out_message) : status;
}

static bool is_revoked(const struct serve *serve, const struct sidecar_serial *serial)
{
	return serial->len > 0 &&
	       bundle_set_is_revoked(trust_bundles(serve->options.trust), span_of(serial->bytes, serial->len));
}

/* Its certificate or one above it was withdrawn, and it has had the time to renew. An authority is withdrawn from all
 * at once, and who is cut off before its turn must attest again, which takes the time of several renewals. */
static bool is_withdrawn(const struct serve *serve, const struct sidecar *sidecar)
{
	static const uint8_t not_known[ROTATION_TAG_LEN];
	uint64_t since_ms = loop_now_ms(serve->options.loop) - serve->trust_changed_ms;
	if (since_ms < WITHDRAWN_MS)
		return false;
	if (is_revoked(serve, &sidecar->leaf))
		return true;
	bool has_lost_root = memcmp(sidecar->root_tag, not_known, ROTATION_TAG_LEN) != 0 &&
			     !rotation_trusts(serve->options.rotation, sidecar->root_tag);
	return since_ms >= WITHDRAWN_MS + (uint64_t)serve->num_streams * SERVE_RENEWAL_MS &&
	       (has_lost_root || is_revoked(serve, &sidecar->intermediate));
}

static bool must_go(const struct serve *serve, const struct sidecar *sidecar)
{
	return sidecar->valid_until_s <= serve_judging_s(serve) ||
	       bundle_set_is_banned(trust_bundles(serve->options.trust), &sidecar->id) || is_withdrawn(serve, sidecar);
}

/* A connection never outlives its identity. */
static void sweep(struct serve *serve)
{
	LIST_EACH_REMOVABLE(&serve->sidecars, struct sidecar, sidecar, link) {
		if (must_go(serve, sidecar)) {
			if (limited_log_allows_identity(serve->lines, sidecar->id.text, "connection ended"))
				log_notice("audit",
					"connection ended: %s is banned, or its certificate has expired or is revoked",
					sidecar->id.text);
			rpc_peer_close(sidecar->peer);
		}
	}
}

static void on_sweep(struct loop_timer *timer)
{
	struct serve *serve = container_of(timer, struct serve, sweep);
	clock_poll(serve);
	conditions_sweep(serve);
	guests_poll(serve);
	sweep(serve);
	limits_sweep(serve);
	send_away_poll(serve);
	housekeeping_poll(serve);
	loop_timer_start(serve->options.loop, &serve->sweep, SWEEP_MS, on_sweep);
}

/* --- methods --- */

static void discovery_start(void *arg, struct rpc_call *call, struct rpc_peer *peer)
{
	const struct serve *serve = arg;
	const struct sidecar *sidecar = rpc_peer_arg(peer);
	distribute_start(serve->options.distributor, call, &sidecar->id, &sidecar->source);
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
		.on_authorize = authorize_own,
		.on_start = identity_start,
		.on_message = identity_message,
		.on_half_close = identity_half_close,
		.on_done = identity_done},
	{.path = "/handfast.v1.Identity/FetchJwt",
		.is_unary = true,
		.message_max = JWT_MESSAGE_MAX,
		.deadline_ms = JWT_DEADLINE_MS,
		.on_authorize = authorize_own,
		.on_start = jwt_service_start,
		.on_message = jwt_service_message,
		.on_done = jwt_service_done},
	{.path = DISTRIBUTE_METHOD_PATH,
		.message_max = STREAM_MESSAGE_MAX,
		.on_authorize = authorize,
		.on_start = discovery_start,
		.on_message = distribute_message,
		.on_half_close = distribute_half_close,
		.on_done = distribute_done},
};

/* --- the streams port --- */

static void on_handshake_failed(void *arg, const struct addr *from, const struct why *why)
{
	struct serve *serve = arg;
	char source[ADDR_TEXT_MAX], text[700];
	serve_count(serve, CONTROL_HANDSHAKES_BROKEN);
	waiting_room_poll(serve->waiting);
	if (limited_log_allows_source(serve->lines, &from->ip, err_label(why->err)))
		log_warning("serve", "a TLS handshake with %s failed: %s", addr_format(from, source),
			why_format(why, text, sizeof text));
}

static void on_operator_accept(void *arg, int fd, const struct addr *peer)
{
	struct serve *serve = arg;
	rpc_server_adopt(serve->operators, transport_new_plain(fd), peer);
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
	accept_open(serve);
	serve->operators = rpc_server_new(&operators);
	serve->streams_listener =
		listener_new(options->loop, options->streams_fd, serve_accept, limits_on_pause, serve);
	serve->operator_listener =
		listener_new(options->loop, options->operator_fd, on_operator_accept, limits_on_pause, serve);
	unix_accept_open(serve);
	const struct operator_port_options port = {options->loop, options->operator_port_fd, options->tcp_table_fd,
		serve->lines, on_operator_accept, limits_on_pause, serve};
	if (options->operator_port_fd >= 0)
		serve->operator_port = operator_port_new(&port);
}

static struct rates *rates_make(uint32_t per_second, uint32_t burst)
{
	return rates_new(&(struct rates_options){.per_minute = per_second * 60, .burst = burst, .seed = random_u64()});
}

struct serve *serve_new(const struct serve_options *options)
{
	struct serve *serve = mem_new(struct serve);
	const struct tls_context_options tls = {.role = TLS_SERVER,
		.client_auth = TLS_CLIENT_AUTH_OPTIONAL,
		.alpn = "h2",
		.key_exchanges = options->key_exchanges};
	const struct granter_options granter = {options->loop, options->store, options->attest, options->issuer,
		options->rotation, options->leaf_ttl_s};
	serve->options = *options;
	serve->granter = granter_new(&granter);
	serve->enroll_limit = enroll_limit_new(options->attest_per_second, random_u64());
	serve->renew_rates = rates_make(RENEWALS_PER_SECOND, RENEWALS_BURST);
	serve->jwt_rates = rates_make(JWT_PER_SECOND, JWT_BURST);
	serve->change_rates = rates_make(CHANGES_PER_SECOND, CHANGES_BURST);
	serve->connections = shares_new(&(struct shares_options){.capacity = options->max_connections + 1,
		.num_classes = 1,
		.classes = {{.caps = {[SHARE_KEY_IDENTITY] = serve_identity_max(serve)}}},
		.seed = random_u64()});
	serve->reports = shares_new(
		&(struct shares_options){.capacity = REPORTS_ALL_KIB, .num_classes = 1, .seed = random_u64()});
	serve->lines = limited_log_new(options->loop, "audit");
	serve->leaf_owners = leaf_owners_new(options->store);
	buf_init(&serve->last_intermediate.der, CERTIFICATE_MAX);
	serve->tls = tls_context_new(&tls);
	serve->scratch = tls_scratch_new();
	serve->started_ms = serve_now_ms(serve);
	serve->steady_since_ms = loop_now_ms(options->loop);
	clock_poll(serve); /* later changes of the clock are measured from here */
	authorities_copy(serve);
	signer_watch_init(&serve->signer, options->loop, options->issuer, authorities_changed, serve);
	jwt_keys_start(&serve->jwt_keys, options->loop, options->store, options->issuer);
	cut_off_init(&serve->cut_off, 2 * options->max_connections);
	const struct own_lists_options lists = {
		options->loop, options->store, options->issuer, housekeeping_poll_lists, serve};
	own_lists_start(&serve->own_lists, &lists);
	open_listeners(serve);
	loop_timer_start(options->loop, &serve->sweep, SWEEP_MS, on_sweep);
	return serve;
}

static void close_listeners(struct serve *serve)
{
	if (serve->streams_listener != NULL)
		listener_free(TAKE_PTR(serve->streams_listener));
	unix_accept_close(serve);
	if (serve->operator_listener != NULL)
		listener_free(TAKE_PTR(serve->operator_listener));
	operator_port_free(TAKE_PTR(serve->operator_port));
	waiting_room_clear(serve->waiting);
}

void serve_free(struct serve *serve)
{
	loop_timer_stop(&serve->sweep);
	loop_task_cancel(&serve->sweep_soon);
	signer_watch_done(&serve->signer);
	jwt_keys_stop(&serve->jwt_keys);
	own_lists_stop(&serve->own_lists);
	close_listeners(serve);
	waiting_room_free(serve->waiting);
	rpc_server_free(serve->streams);
	rpc_server_free(serve->operators);
	/* The servers have ended every call and connection. */
	CHECK(serve->num_streams == 0 && list_is_empty(&serve->identity_streams) && list_is_empty(&serve->sidecars));
	granter_free(serve->granter);
	cut_off_done(&serve->cut_off);
	loop_task_cancel(&serve->review);
	shares_free(serve->connections);
	shares_free(serve->reports);
	leaf_owners_free(serve->leaf_owners);
	buf_done(&serve->last_intermediate.der);
	rates_free(serve->change_rates);
	enroll_limit_free(serve->enroll_limit);
	rates_free(serve->renew_rates);
	rates_free(serve->jwt_rates);
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
	if (leaf_ttl_s > serve->options.leaf_ttl_s) /* the longest life of a certificate that is out there */
		serve->options.leaf_ttl_s = leaf_ttl_s;
}

static void on_sweep_soon(struct loop_task *task)
{
	sweep(container_of(task, struct serve, sweep_soon));
}

/* First the trust state, then the cut: a sidecar whose identity is banned knows it although no control plane may be
 * there when it dials again (abuse case C28). */
void serve_trust_changed(struct serve *serve)
{
	serve->trust_changed_ms = loop_now_ms(serve->options.loop);
	metric_set(serve->options.metrics, CONTROL_TRUST_EPOCH, (int64_t)trust_epoch(serve->options.trust).counter);
	identity_push_trust(serve);
	loop_task_post_next(serve->options.loop, &serve->sweep_soon, on_sweep_soon);
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
