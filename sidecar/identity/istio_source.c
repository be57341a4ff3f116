#include "sidecar/identity/istio_source.h"

#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/core/random.h"
#include "base/net/fd.h"
#include "base/rpc/rpc_client.h"
#include "base/rpc/web_dial.h"
#include "sidecar/identity/istio_answer.h"
#include "sidecar/identity/istio_refusal.h"
#include "sidecar/identity/renew.h"

#define COMPONENT "identity"
#define CREATE    "/istio.v1.auth.IstioCertificateService/CreateCertificate"
#define BEARER    "Bearer "

enum {
	DIAL_MS = 3000,  /* per address, and for the handshake */
	CALL_MS = 10000, /* the CA asks the API server about the token */
	TICK_MS = 1000,
	TICK_MIN_MS = 20,
	PEM_MAX = 256 * 1024,
	REQUEST_MAX = 64 * 1024,
};

struct istio_source {
	struct istio_source_options options;
	struct source_identity identity;
	struct renew renew;
	struct web_dial *dial;
	struct web_peer peer;
	char *authority;
	struct rpc_client *client; /* NULL: no call is under way */
	struct loop_timer tick;
	struct loop_task drop; /* frees the client outside of its callbacks */

	/* Of the call that is under way. */
	struct private_key *key;
	struct spiffe_id id;
	struct buf authorization; /* "Bearer TOKEN" */
	bool has_answer;
};

static struct renew_now renew_time(const struct istio_source *source)
{
	const struct clock *clock = loop_clock(source->options.loop);
	return (struct renew_now){
		.boot_ms = clock->boot_ms(clock),
		.mono_ms = clock->mono_ms(clock),
		.wall_ms = clock->wall_ms(clock),
		.trusted_s = source_identity_now_s(&source->identity),
		.random = random_u32(),
	};
}

/* --- the end of a call --- */

static void forget_call(struct istio_source *source)
{
	private_key_unref(source->key);
	source->key = NULL;
	spiffe_id_done(&source->id);
	source->id = (struct spiffe_id){0};
	buf_wipe(&source->authorization);
	source->has_answer = false;
}

static void on_drop(struct loop_task *task)
{
	struct istio_source *source = container_of(task, struct istio_source, drop);
	rpc_client_free(TAKE_PTR(source->client));
	forget_call(source); /* the client has borrowed the token */
}

static const char *fix_of(const struct why *why)
{
	if (why->err == ERR_UNTRUSTED)
		return "let identity.istio_root_file have the roots of the mesh, as the ConfigMap istio-ca-root-cert";
	if (why->err == ERR_WRONG_PEER)
		return "let identity.istio_address, or identity.istio_server_name, be a name of istiod's certificate";
	return why->fix;
}

static void failed(
	struct istio_source *source, enum identity_event event, uint32_t retry_after_ms, const struct why *why)
{
	const struct renew_now now = renew_time(source);
	struct why named;
	why_set(&named, why->err, why->expected, why->fix, "Istio CA at %.128s: %s", source->authority, why->got);
	renew_failed(&source->renew, &now, retry_after_ms);
	source_identity_failed(&source->identity, event, &named);
	loop_task_post(source->options.loop, &source->drop, on_drop);
}

/* --- the answer --- */

static enum err use(struct istio_source *source, struct span message, struct why *why)
{
	_cleanup_(workload_answer_done) struct workload_answer answer = {0};
	const struct workload_choice choice =
		source_identity_choice(&source->identity, &source->options.trust_domain, source->id.text);
	bool is_renewal;
	RETURN_IF_ERR(istio_answer_parse(message, source->key, &choice, &answer, why));
	RETURN_IF_ERR(source_identity_use(&source->identity, &answer, &is_renewal, why));
	const struct renew_now now = renew_time(source);
	renew_got_certificate(&source->renew, &now, credentials_until_s(source->identity.credentials));
	source_identity_succeeded(&source->identity);
	return ERR_NONE;
}

static void on_message(void *arg, struct rpc_call *call, struct span message)
{
	struct istio_source *source = arg;
	struct why why = {0};
	if (source->has_answer)
		return; /* a unary call has one answer */
	source->has_answer = true;
	if (use(source, message, &why) == ERR_NONE)
		return;
	rpc_call_cancel(call);
	failed(source, IDENTITY_RENEW_FAILED, 0, &why);
}

static void on_done(
	void *arg, _unused_ struct rpc_call *call, enum rpc_status status, const char *message, uint32_t retry_after_ms)
{
	struct istio_source *source = arg;
	struct why why;
	if (source->has_answer) {
		loop_task_post(source->options.loop, &source->drop, on_drop);
		return;
	}
	(void)istio_refusal_why(status, message, source->options.ca.token_file, &why);
	failed(source, IDENTITY_SOURCE_LOST, retry_after_ms, &why);
}

/* --- the call --- */

static void on_ready(void *arg, struct rpc_client *client)
{
	static const struct rpc_call_handlers handlers = {on_message, on_done};
	struct istio_source *source = arg;
	_cleanup_(buf_done) struct buf request = BUF_INIT(REQUEST_MAX);
	struct rpc_call *call;
	enum err err = istio_request_encode(source->key, &source->id, source->options.ca.ttl_s, &request);
	CHECK(err == ERR_NONE); /* REQUEST_MAX is above any */
	if (rpc_client_call(client, CREATE, CALL_MS, &handlers, arg, &call) != ERR_NONE)
		return; /* on_close follows */
	if (rpc_call_send(call, buf_span(&request)) == ERR_NONE)
		rpc_call_close_send(call);
}

static void on_close(void *arg, _unused_ struct rpc_client *client, const struct why *why)
{
	struct istio_source *source = arg;
	struct why named;
	why_set(&named, why->err, why->expected, fix_of(why), "%s", why->got);
	if (!loop_task_is_posted(&source->drop)) /* else the call has ended, and was reported */
		failed(source, IDENTITY_SOURCE_LOST, 0, &named);
}

static void on_dialed(void *arg, enum err err, struct transport *transport, const struct why *why)
{
	struct istio_source *source = arg;
	CHECK(source->client == NULL && source->key != NULL);
	if (err != ERR_NONE) {
		failed(source, IDENTITY_SOURCE_LOST, 0, why);
		return;
	}
	source->client = rpc_client_new(&(struct rpc_client_options){
		.loop = source->options.loop,
		.transport = transport,
		.authority = source->authority,
		.metadata = {{"authorization", buf_cstr(&source->authorization)},
			{source->options.ca.cluster == NULL ? NULL : "clusterid", source->options.ca.cluster}},
		.connect_timeout_ms = DIAL_MS,
		.message_max = ISTIO_ANSWER_MAX,
		.on_ready = on_ready,
		.on_close = on_close,
		.arg = source,
	});
}

static struct span trim(struct span text)
{
	while (text.len > 0 && (text.ptr[text.len - 1] == '\n' || text.ptr[text.len - 1] == '\r'))
		text.len--;
	return text;
}

static enum err asked_identity(struct istio_source *source, struct span token, struct why *why)
{
	if (source->options.ca.spiffe_id != NULL)
		return spiffe_id_parse(span_of_str(source->options.ca.spiffe_id), &source->id, why);
	return istio_token_identity(token, &source->options.trust_domain, &source->id, why);
}

/* The kubelet makes it 0640 root:fsGroup, behind links that it swaps when it replaces the token: its mode is not
 * checked, and it is opened by its name each time. */
static enum err read_token(struct istio_source *source, struct why *why)
{
	_cleanup_(buf_wipe) struct buf text = BUF_INIT(ISTIO_TOKEN_MAX);
	const char *path = source->options.ca.token_file;
	RETURN_IF_ERR(fd_read_file(path, ISTIO_TOKEN_MAX, &text, why));
	struct span token = trim(buf_span(&text));
	for (size_t i = 0; i < token.len; i++)
		if (token.ptr[i] <= ' ' || token.ptr[i] > '~')
			token.len = 0; /* it would not be a header's value (RFC 9110 5.5) */
	if (token.len == 0)
		return why_set(why, ERR_MALFORMED, "a token in one line",
			"mount a projected token (serviceAccountToken, audience istio-ca) there",
			"%.128s is empty, or has other bytes", path);
	RETURN_IF_ERR(asked_identity(source, token, why));
	buf_init(&source->authorization, sizeof BEARER + ISTIO_TOKEN_MAX);
	RETURN_IF_ERR(buf_append_str(&source->authorization, BEARER));
	return buf_append(&source->authorization, token);
}

static void start_call(struct istio_source *source)
{
	struct why why = {0};
	CHECK(source->client == NULL && source->key == NULL && !web_dial_is_under_way(source->dial));
	if (read_token(source, &why) != ERR_NONE) {
		failed(source, IDENTITY_SOURCE_LOST, 0, &why);
		return;
	}
	source->key = private_key_generate();
	web_dial_start(source->dial, &source->peer, DIAL_MS);
}

/* --- once per second --- */

static bool is_call_under_way(const struct istio_source *source)
{
	return source->key != NULL || source->client != NULL || loop_task_is_posted(&source->drop);
}

static bool is_call_due(const struct istio_source *source, const struct renew_now *now)
{
	if (is_call_under_way(source))
		return false;
	return source->renew.has_certificate ? renew_is_due(&source->renew, now)
					     : now->boot_ms >= source->renew.due_boot_ms;
}

/* Short-lived certificates have little time for a further try. */
static uint64_t next_tick_ms(const struct istio_source *source)
{
	uint64_t now_ms = renew_time(source).boot_ms, due_ms = source->renew.due_boot_ms;
	if (is_call_under_way(source) || due_ms >= now_ms + TICK_MS)
		return TICK_MS;
	return due_ms > now_ms + TICK_MIN_MS ? due_ms - now_ms : TICK_MIN_MS;
}

static void on_tick(struct loop_timer *timer)
{
	struct istio_source *source = container_of(timer, struct istio_source, tick);
	const struct renew_now now = renew_time(source);
	if (renew_poll(&source->renew, &now))
		log_notice(COMPONENT, "the clock jumped or the host was suspended: renewing soon");
	source_identity_check_expiry(&source->identity);
	if (is_call_due(source, &now))
		start_call(source);
	loop_timer_start(source->options.loop, &source->tick, next_tick_ms(source), on_tick);
}

/* --- create and free --- */

/* The file is replaced when the mesh's root is rotated. */
static enum err load(void *arg, struct web_roots **out_roots, struct web_identity **out_identity, struct why *why)
{
	const struct istio_source *source = arg;
	_cleanup_(buf_done) struct buf pem = BUF_INIT(PEM_MAX);
	(void)out_identity; /* the token is what names this end */
	RETURN_IF_ERR(fd_read_file(source->options.ca.root_file, PEM_MAX, &pem, why));
	return web_roots_parse(buf_span(&pem), out_roots, why);
}

struct istio_source *istio_source_new(const struct istio_source_options *options)
{
	static const struct source_texts texts = {"the Istio CA", "no answer from the Istio CA"};
	struct istio_source *source = mem_new(struct istio_source);
	source->options = *options;
	source_identity_init(&source->identity, options->loop, &options->callbacks, &texts);
	renew_init(&source->renew);
	source->peer = (struct web_peer){.host = options->ca.host,
		.port = options->ca.port,
		.server_name = options->ca.server_name,
		.load = load,
		.arg = source,
		.texts = {"an Istio CA that listens", "check that istiod runs, and identity.istio_address",
			"an address of the Istio CA", "correct identity.istio_address, or check the DNS"}};
	source->authority = web_peer_authority(&source->peer);
	source->dial = web_dial_new(options->loop, "h2", on_dialed, source);
	return source;
}

void istio_source_start(struct istio_source *source)
{
	loop_timer_start(source->options.loop, &source->tick, 0, on_tick);
}

void istio_source_free(struct istio_source *source)
{
	if (source == NULL)
		return;
	loop_timer_stop(&source->tick);
	loop_task_cancel(&source->drop);
	rpc_client_free(source->client);
	web_dial_free(source->dial);
	forget_call(source);
	source_identity_done(&source->identity);
	mem_free(source->authority);
	mem_free(source);
}

const struct source_identity *istio_source_identity(const struct istio_source *source)
{
	return &source->identity;
}
