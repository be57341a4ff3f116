#include "sidecar/identity/control_link.h"

#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/net/socket.h"
#include "base/tls/tls_session.h"
#include "certs/verify.h"

enum { KEEPALIVE_MS = 5000, MESSAGE_MAX = 4 * 1024 * 1024 };

struct control_link {
	struct control_link_options options;
	struct tls_scratch *scratch;
	struct rpc_client *client; /* dialling or up */
	bool is_up;
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

struct control_link *control_link_new(const struct control_link_options *options)
{
	struct control_link *link = mem_new(struct control_link);
	link->options = *options;
	spiffe_id_copy(&options->expected, &link->options.expected);
	link->scratch = tls_scratch_new();
	return link;
}

void control_link_free(struct control_link *link)
{
	control_link_cut(link);
	tls_scratch_free(link->scratch);
	spiffe_id_done(&link->options.expected);
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

static enum err dial(
	struct control_link *link, const struct addr *to, struct credentials *credentials, uint32_t patience_ms)
{
	int fd;
	struct tls_session *session;
	enum err err = socket_connect(to, &(struct socket_connect_options){0}, &fd);
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

void control_link_dial(
	struct control_link *link, const struct addr *to, struct credentials *credentials, uint32_t patience_ms)
{
	CHECK(control_link_is_down(link));
	link->why = (struct why){0};
	if (dial(link, to, credentials, patience_ms) != ERR_NONE)
		loop_task_post(link->options.loop, &link->failed, tell_failed);
}

void control_link_cut(struct control_link *link)
{
	loop_task_cancel(&link->failed);
	if (link->client != NULL)
		rpc_client_free(link->client);
	link->client = NULL;
	link->is_up = false;
}

bool control_link_is_down(const struct control_link *link)
{
	return link->client == NULL && !loop_task_is_posted(&link->failed);
}

struct rpc_client *control_link_client(const struct control_link *link)
{
	return link->is_up ? link->client : NULL;
}
