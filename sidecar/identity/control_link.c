#include "sidecar/identity/control_link.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/core/random.h"
#include "base/net/fd.h"
#include "base/net/resolver.h"
#include "base/net/socket.h"
#include "base/tls/tls_session.h"
#include "certs/verify.h"

enum { KEEPALIVE_MS = 5000, MESSAGE_MAX = 4 * 1024 * 1024, TIMES_AGAIN = 3, PATIENCE_MS = 5000 };

struct control_link {
	struct control_link_options options;
	struct control_address address;
	struct resolver *resolver;  /* NULL: the address is not a name */
	struct dial_sequence order; /* of the current dial */
	size_t num_tried;
	unsigned num_again;
	uint8_t only;      /* the requested family; 0: both */
	uint8_t preferred; /* the family that answered last; 0: none yet */
	unsigned turn;
	struct addr dialed;
	struct tls_scratch *scratch;
	int connecting_fd; /* -1, or a TCP connection that is not established yet */
	struct loop_io connecting;
	struct loop_timer timeout;
	struct rpc_client *client; /* TCP is established: handshaking, or up */
	bool is_up, is_resolving;
	bool is_turned_away;             /* by an address of the current dial */
	struct credentials *credentials; /* of the current dial */
	uint32_t timeout_ms;
	struct loop_task next; /* the next address, or the end of the dial: never inside a callback */
	struct why detail;
};

enum err control_link_new(const struct control_link_options *options, struct control_link **out, struct why *why)
{
	struct control_link *link = mem_new(struct control_link);
	link->options = *options;
	link->connecting_fd = -1;
	link->options.expected = (struct spiffe_id){0};
	enum err err = control_address_parse(options->address, &link->address, why);
	if (err == ERR_NONE && link->address.host != NULL)
		err = resolver_new(options->loop, NULL, &link->resolver, why);
	if (err != ERR_NONE) {
		control_link_free(link);
		return err;
	}
	spiffe_id_copy(&options->expected, &link->options.expected);
	link->scratch = tls_scratch_new();
	link->turn = random_u32() & 0xffff;
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
	control_address_done(&link->address);
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
	(void)out_svid; /* the identity is checked here, and no caller needs it */
	return verify_bootstrap_chain(&input, why);
}

static void dial_next(struct control_link *link);
static void dial_own(struct control_link *link);

static void finish(struct control_link *link, const struct why *why, enum redial_cause cause)
{
	CHECK(link->client == NULL && link->connecting_fd < 0 && !link->is_up);
	credentials_unref(TAKE_PTR(link->credentials));
	link->turn++;
	link->options.on_down(link->options.arg, why, cause);
}

static void on_ready(void *arg, struct rpc_client *client)
{
	struct control_link *link = arg;
	CHECK(client == link->client && !link->is_up);
	credentials_unref(TAKE_PTR(link->credentials)); /* the connection must not keep them and their key alive */
	link->is_up = true;
	link->preferred = link->dialed.ip.family;
	link->options.on_up(link->options.arg);
}

static void on_next(struct loop_task *task)
{
	struct control_link *link = container_of(task, struct control_link, next);
	struct why why = link->detail;
	CHECK(link->client == NULL && link->connecting_fd < 0 && !link->is_up);
	if (link->num_tried < link->order.num) {
		dial_next(link);
	} else if (why.err == ERR_REFUSED && link->order.num > 0 && link->num_again < TIMES_AGAIN) {
		/* The address may stand for several hosts, and the next connection reach one that listens. */
		link->num_again++;
		link->turn++;
		link->num_tried = 0;
		if (link->resolver == NULL)
			dial_own(link);
		else
			dial_next(link);
	} else {
		finish(link, &why, link->is_turned_away ? REDIAL_TURNED_AWAY : REDIAL_UNREACHABLE);
	}
}

/* When one address fails, the next is dialed at once: a family that is down must not extend an outage. */
static void try_next(struct control_link *link, const struct why *why)
{
	struct why all = *why;
	if (link->num_tried > 1) /* the reason names each address */
		(void)why_set(&all, why->err, why->expected, why->fix, "%s, %s", link->detail.got, why->got);
	link->detail = all;
	loop_task_post(link->options.loop, &link->next, on_next);
}

static bool is_over_unix(const struct control_link *link)
{
	return link->address.unix_path != NULL && link->only == 0;
}

/* Adds the address that was dialed: there may be several, and a name may resolve to a wrong one. */
static struct why with_address(const struct control_link *link, const struct why *why)
{
	char text[ADDR_TEXT_MAX];
	struct why named;
	(void)why_set(&named, why->err, why->expected, why->fix, "the connection to %s failed: %s",
		control_address_name(&link->address, &link->dialed, text), why->got);
	if (!is_over_unix(link))
		why_name_host(&named, text);
	return named;
}

static void on_close(void *arg, struct rpc_client *client, const struct why *why)
{
	struct control_link *link = arg;
	struct why named = with_address(link, why); /* a copy: `why` is part of the client */
	bool was_up = link->is_up;
	CHECK(client == link->client);
	struct tls_session *session = rpc_client_tls(client);
	enum redial_cause cause =
		redial_cause_of(named.err, was_up, session != NULL && tls_session_failed_by_peer(session));
	link->client = NULL;
	link->is_up = false;
	link->is_turned_away |= cause == REDIAL_TURNED_AWAY;
	rpc_client_free(client);
	if (was_up || (cause == REDIAL_REFUSED && link->num_tried == link->order.num))
		finish(link, &named, cause);
	else
		try_next(link, &named);
}

static const char *authority_of(const struct control_link *link, char text[ADDR_TEXT_MAX])
{
	const char *address = link->address.host != NULL ? link->options.address : addr_format(&link->dialed, text);
	return is_over_unix(link) ? "localhost" : address;
}

static void connecting_stop(struct control_link *link)
{
	loop_io_stop(&link->connecting);
	loop_timer_stop(&link->timeout);
}

static enum err not_listening(const struct control_link *link, enum err err, struct why *why)
{
	char text[ADDR_TEXT_MAX];
	return why_set(why, err, "a control plane that listens",
		err == ERR_REFUSED ? "start the control plane, or correct control.address"
				   : "check that its host is up and reachable, or correct control.address",
		"the connection to %s failed: %s", control_address_name(&link->address, &link->dialed, text),
		err_text(err));
}

/* Adopts the descriptor. */
static enum err handshake_start(struct control_link *link, int fd, struct why *why)
{
	struct tls_session *session;
	CHECK(link->client == NULL);
	char text[ADDR_TEXT_MAX];
	struct credentials *credentials = link->credentials;
	struct tls_session_options options = {
		.context = link->options.context,
		.scratch = link->scratch,
		.fd = fd,
		.svid = credentials == NULL ? NULL : credentials_svid(credentials),
		.key = credentials == NULL ? NULL : credentials_key(credentials),
		.alpn_sign = "handfast-waits", /* the control plane has others dial again (decision 079) */
		.one_key_share = true,
		.on_verify = verify,
		.verify_arg = link,
	};
	RETURN_IF_ERR(tls_session_new(&options, &session, why));
	link->client = rpc_client_new(&(struct rpc_client_options){
		.loop = link->options.loop,
		.transport = transport_new_tls(session),
		.authority = authority_of(link, text),
		.connect_timeout_ms = link->timeout_ms,
		.patience_ms = PATIENCE_MS,
		.keepalive_ms = KEEPALIVE_MS,
		.message_max = MESSAGE_MAX,
		.on_ready = on_ready,
		.on_close = on_close,
		.arg = link,
	});
	return ERR_NONE;
}

/* A connection over a Unix socket is there at once, or not at all. */
static void dial_unix(struct control_link *link)
{
	int fd = -1;
	struct why why = {0};
	link->dialed = (struct addr){0};
	link->order.num = link->num_tried = 0;
	enum err err = socket_connect_unix(link->address.unix_path, &fd, &why);
	if (err == ERR_NONE)
		err = handshake_start(link, fd, &why);
	if (err != ERR_NONE)
		try_next(link, &why);
}

static void connecting_failed(struct control_link *link, enum err err)
{
	struct why why = {0};
	CHECK(link->connecting_fd >= 0 && link->client == NULL);
	connecting_stop(link);
	fd_close(TAKE_FD(link->connecting_fd));
	(void)not_listening(link, err, &why);
	try_next(link, &why);
}

static void on_connected(struct loop_io *io, unsigned ready)
{
	struct control_link *link = container_of(io, struct control_link, connecting);
	struct why why = {0};
	(void)ready;
	enum err err = socket_connect_result(link->connecting_fd);
	if (err != ERR_NONE) {
		connecting_failed(link, err);
		return;
	}
	connecting_stop(link);
	if (handshake_start(link, TAKE_FD(link->connecting_fd), &why) != ERR_NONE)
		try_next(link, &why);
}

static void on_timeout(struct loop_timer *timer)
{
	connecting_failed(container_of(timer, struct control_link, timeout), ERR_TIMEOUT);
}

static enum err dial(struct control_link *link, struct why *why)
{
	int fd;
	enum err err = socket_connect(&link->dialed, &(struct socket_connect_options){0}, &fd);
	if (err != ERR_NONE)
		return not_listening(link, err, why);
	socket_set_nodelay(fd);
	link->connecting_fd = fd;
	loop_io_start(link->options.loop, &link->connecting, fd, LOOP_WRITE, on_connected);
	loop_timer_start(link->options.loop, &link->timeout, link->timeout_ms, on_timeout);
	return ERR_NONE;
}

static uint16_t port_of(const struct control_link *link, const struct ip_addr *ip)
{
	for (size_t i = 0; i < link->address.num; i++)
		if (ip_addr_eq(&link->address.own[i].ip, ip))
			return link->address.own[i].port;
	return link->address.port;
}

static void dial_next(struct control_link *link)
{
	struct why why = {0};
	CHECK(link->num_tried < link->order.num && link->connecting_fd < 0 && link->client == NULL);
	const struct ip_addr *ip = &link->order.ips[link->num_tried++];
	link->dialed = (struct addr){.ip = *ip, .port = port_of(link, ip)};
	if (dial(link, &why) != ERR_NONE)
		try_next(link, &why);
}

static void dial_addresses(struct control_link *link, const struct ip_addr *ips, size_t num)
{
	struct why why;
	dial_sequence_make(ips, num, link->only, link->preferred, link->turn, &link->order);
	link->num_tried = 0;
	if (link->order.num > 0) {
		dial_next(link);
		return;
	}
	why_set(&why, ERR_NOT_FOUND, "an address of the control plane in this family",
		"add the address to control.address or to the DNS", "%s has no address in this family",
		link->options.address);
	try_next(link, &why);
}

static void dial_own(struct control_link *link)
{
	struct ip_addr ips[CONTROL_ADDRESSES_MAX];
	for (size_t i = 0; i < link->address.num; i++)
		ips[i] = link->address.own[i].ip;
	dial_addresses(link, ips, link->address.num);
}

static void on_resolved(void *arg, enum err err, const struct ip_addr *ips, size_t num)
{
	struct control_link *link = arg;
	struct why why;
	CHECK(link->is_resolving);
	link->is_resolving = false;
	if (err == ERR_NONE) {
		dial_addresses(link, ips, num);
		return;
	}
	why_set(&why, err, "an address of the control plane's name", "check control.address and the DNS",
		"cannot resolve %s: %s", link->address.host, err_text(err));
	finish(link, &why, REDIAL_UNREACHABLE);
}

void control_link_dial(struct control_link *link, struct credentials *credentials, uint8_t only, uint32_t timeout_ms)
{
	CHECK(control_link_is_down(link));
	credentials_unref(link->credentials);
	link->credentials = credentials == NULL ? NULL : credentials_ref(credentials);
	link->only = only;
	link->timeout_ms = timeout_ms;
	link->num_again = 0;
	link->is_turned_away = false;
	if (is_over_unix(link)) {
		dial_unix(link);
		return;
	}
	if (link->resolver == NULL) {
		dial_own(link);
		return;
	}
	link->is_resolving = true;
	resolver_query(link->resolver, link->address.host, timeout_ms, on_resolved, link);
}

void control_link_turn(struct control_link *link)
{
	link->turn++;
}

void control_link_cut(struct control_link *link)
{
	loop_task_cancel(&link->next);
	if (link->is_resolving)
		resolver_cancel(link->resolver);
	link->is_resolving = false;
	credentials_unref(TAKE_PTR(link->credentials));
	connecting_stop(link);
	fd_close(TAKE_FD(link->connecting_fd));
	if (link->client != NULL)
		rpc_client_free(TAKE_PTR(link->client));
	link->is_up = false;
}

bool control_link_is_down(const struct control_link *link)
{
	return link->client == NULL && link->connecting_fd < 0 && !link->is_resolving &&
	       !loop_task_is_posted(&link->next);
}

struct rpc_client *control_link_client(const struct control_link *link)
{
	return link->is_up ? link->client : NULL;
}

uint8_t control_link_family(const struct control_link *link)
{
	return link->is_up ? link->dialed.ip.family : 0;
}

struct addr control_link_dialed(const struct control_link *link)
{
	return link->dialed;
}
