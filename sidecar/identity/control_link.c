#include "sidecar/identity/control_link.h"

#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/net/resolver.h"
#include "base/net/socket.h"
#include "base/tls/tls_session.h"
#include "certs/verify.h"

enum { KEEPALIVE_MS = 5000, MESSAGE_MAX = 4 * 1024 * 1024 };

struct control_link {
	struct control_link_options options;
	struct addr address; /* the port counts; the IP when the address is no name */
	char *host;          /* NULL: the address is no name */
	struct resolver *resolver;
	unsigned num_dials;
	struct tls_scratch *scratch;
	struct rpc_client *client; /* dialling or up */
	bool is_up, is_resolving;
	struct credentials *credentials; /* of the dial whose name is being resolved */
	uint32_t patience_ms;
	struct loop_task failed; /* a dial that failed at once tells so later */
	struct why why;
};

void bootstrap_pins_add(struct bootstrap_pins *pins, const uint8_t sha256[DIGEST_LEN])
{
	for (size_t i = 0; i < pins->num; i++)
		if (memcmp(pins->sha256[i], sha256, DIGEST_LEN) == 0)
			return;
	if (pins->num < sizeof(pins->sha256) / sizeof(*pins->sha256))
		memcpy(pins->sha256[pins->num++], sha256, DIGEST_LEN);
}

static enum err bad_address(const struct control_link_options *options, struct why *why)
{
	return why_set(why, ERR_CONFIG, "an address and port such as 192.0.2.1:15012 or control.example:15012",
		"set control.address", "%s", options->address);
}

/* "name:port": the port is read as that of an address. */
static enum err read_address(struct control_link *link, struct why *why)
{
	const char *text = link->options.address, *colon = strrchr(text, ':');
	if (addr_parse(span_of_str(text), &link->address) == ERR_NONE)
		return ERR_NONE;
	if (colon == NULL || colon == text || memchr(text, ':', (size_t)(colon - text)) != NULL)
		return bad_address(&link->options, why);
	_cleanup_(mem_freep) char *as_address = mem_printf("0.0.0.0%s", colon);
	if (addr_parse(span_of_str(as_address), &link->address) != ERR_NONE)
		return bad_address(&link->options, why);
	link->host = mem_printf("%.*s", (int)(colon - text), text);
	return resolver_new(link->options.loop, &link->resolver, why);
}

enum err control_link_new(const struct control_link_options *options, struct control_link **out, struct why *why)
{
	struct control_link *link = mem_new(struct control_link);
	link->options = *options;
	link->options.expected = (struct spiffe_id){0};
	enum err err = read_address(link, why);
	if (err != ERR_NONE) {
		control_link_free(link);
		return err;
	}
	spiffe_id_copy(&options->expected, &link->options.expected);
	link->scratch = tls_scratch_new();
	*out = link;
	return ERR_NONE;
}

void control_link_free(struct control_link *link)
{
	control_link_cut(link);
	if (link->resolver != NULL)
		resolver_free(link->resolver);
	if (link->scratch != NULL)
		tls_scratch_free(link->scratch);
	spiffe_id_done(&link->options.expected);
	mem_free(link->host);
	mem_free(link);
}

static enum err verify(void *arg, const struct span *chain, size_t num_chain, struct svid **out_svid, struct why *why)
{
	const struct control_link *link = arg;
	struct verify_bootstrap_input input = {
		.chain = chain,
		.num_chain = num_chain,
		.pins = link->options.pins->sha256,
		.num_pins = link->options.pins->num,
		.expected = &link->options.expected,
		.now_s = link->options.now_s(link->options.arg),
	};
	(void)out_svid; /* who it is was just decided; nobody asks again */
	return verify_bootstrap_chain(&input, why);
}

/* Not who it must be, or it refused us: both stay so until somebody acts. */
static bool is_definite(enum err err, bool failed_by_peer)
{
	return failed_by_peer || err == ERR_UNTRUSTED || err == ERR_WRONG_PEER || err == ERR_NOT_SVID ||
	       err == ERR_EXPIRED || err == ERR_REVOKED || err == ERR_WEAK_KEY || err == ERR_MALFORMED;
}

static void on_ready(void *arg, struct rpc_client *client)
{
	struct control_link *link = arg;
	CHECK(client == link->client);
	link->is_up = true;
	link->options.on_up(link->options.arg);
}

static void on_close(void *arg, struct rpc_client *client, const struct why *why)
{
	struct control_link *link = arg;
	struct why said = *why; /* it lives in the client */
	CHECK(client == link->client);
	struct tls_session *session = rpc_client_tls(client);
	bool said_no = is_definite(said.err, session != NULL && tls_session_failed_by_peer(session));
	link->client = NULL;
	link->is_up = false;
	rpc_client_free(client);
	link->options.on_down(link->options.arg, &said, said_no);
}

static void tell_failed(struct loop_task *task)
{
	struct control_link *link = container_of(task, struct control_link, failed);
	struct why why = link->why;
	link->options.on_down(link->options.arg, &why, false);
}

static enum err dial(struct control_link *link, struct credentials *credentials, uint32_t patience_ms)
{
	int fd;
	struct tls_session *session;
	enum err err = socket_connect(&link->address, &(struct socket_connect_options){0}, &fd);
	if (err != ERR_NONE)
		return why_set(&link->why, err, "a connection to the control plane", "check control.address", "%s: %s",
			link->options.address, err_text(err));
	socket_set_nodelay(fd);
	struct tls_session_options options = {
		.context = link->options.context,
		.scratch = link->scratch,
		.fd = fd,
		.svid = credentials == NULL ? NULL : credentials_svid(credentials),
		.key = credentials == NULL ? NULL : credentials_key(credentials),
		.on_verify = verify,
		.verify_arg = link,
	};
	RETURN_IF_ERR(tls_session_new(&options, &session, &link->why));
	link->client = rpc_client_new(&(struct rpc_client_options){
		.loop = link->options.loop,
		.transport = transport_new_tls(session),
		.authority = link->options.address,
		.connect_timeout_ms = patience_ms,
		.keepalive_ms = KEEPALIVE_MS,
		.message_max = MESSAGE_MAX,
		.on_ready = on_ready,
		.on_close = on_close,
		.arg = link,
	});
	return ERR_NONE;
}

static void dial_or_fail(struct control_link *link, struct credentials *credentials, uint32_t patience_ms)
{
	link->why = (struct why){0};
	if (dial(link, credentials, patience_ms) != ERR_NONE)
		loop_task_post(link->options.loop, &link->failed, tell_failed);
}

static void on_resolved(void *arg, enum err err, const struct ip_addr *ips, size_t num)
{
	struct control_link *link = arg;
	_cleanup_(credentials_unrefp) struct credentials *credentials = TAKE_PTR(link->credentials);
	link->is_resolving = false;
	if (err != ERR_NONE) {
		struct why why;
		why_set(&why, err, "the control plane's name to have an address", "check control.address and the DNS",
			"%s: %s", link->host, err_text(err));
		link->options.on_down(link->options.arg, &why, false);
		return;
	}
	link->address.ip = ips[link->num_dials++ % num];
	dial_or_fail(link, credentials, link->patience_ms);
}

void control_link_dial(struct control_link *link, struct credentials *credentials, uint32_t patience_ms)
{
	CHECK(control_link_is_down(link));
	if (link->host == NULL) {
		dial_or_fail(link, credentials, patience_ms);
		return;
	}
	link->is_resolving = true;
	link->credentials = credentials == NULL ? NULL : credentials_ref(credentials);
	link->patience_ms = patience_ms;
	resolver_ask(link->resolver, link->host, patience_ms, on_resolved, link);
}

void control_link_cut(struct control_link *link)
{
	loop_task_cancel(&link->failed);
	if (link->is_resolving)
		resolver_cancel(link->resolver);
	link->is_resolving = false;
	credentials_unref(link->credentials);
	link->credentials = NULL;
	if (link->client != NULL)
		rpc_client_free(link->client);
	link->client = NULL;
	link->is_up = false;
}

bool control_link_is_down(const struct control_link *link)
{
	return link->client == NULL && !link->is_resolving && !loop_task_is_posted(&link->failed);
}

struct rpc_client *control_link_client(const struct control_link *link)
{
	return link->is_up ? link->client : NULL;
}
