#include "control/store/etcd/etcd_link.h"
#include "base/core/backoff.h"
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/core/random.h"
#include "base/net/fd.h"
#include "base/rpc/web_dial.h"
#include "control/store/etcd/etcd_login.h"

enum {
	DIAL_MS = 1000,      /* a member that is stopped accepts no handshake: the next one is tried then */
	KEEPALIVE_MS = 2000, /* the owner asks more often, and notices more */
	LOGIN_MS = 1000,     /* through the majority, and etcd's bcrypt takes some 0.1 s */
	BACKOFF_FIRST_MS = 100,
	BACKOFF_MAX_MS = 2000,
	PEM_MAX = 256 * 1024,
	/* One page of records (PAGE of etcd_follow.c) of the largest size, and what a watch sends at once. */
	MESSAGE_MAX = 16 * 1024 * 1024,
};

struct etcd_link {
	struct loop *loop;
	const struct etcd_members *members;
	const struct etcd_link_events *events;
	void *arg;
	struct web_dial *dial;
	struct web_peer peer;
	struct rpc_client *client; /* NULL: dialing, or waiting to */
	struct etcd_login login;   /* with a user */
	bool is_up;
	size_t turn;         /* of members */
	unsigned num_failed; /* dials since the last success */
	struct backoff backoff;
	struct loop_timer redial;
	struct loop_task leave;
	struct why detail; /* of leave */
	char *authority;   /* of the member that is dialed, or that the client is connected to */
};

static const struct etcd_endpoint *endpoint_of(const struct etcd_link *link)
{
	return &link->members->endpoints[link->turn % link->members->num_endpoints];
}

/* --- files --- */

static enum err load(void *arg, struct web_roots **out_roots, struct web_identity **out_identity, struct why *why)
{
	const struct etcd_link *link = arg;
	_cleanup_(web_roots_freep) struct web_roots *roots = NULL;
	_cleanup_(buf_done) struct buf ca = BUF_INIT(PEM_MAX), chain = BUF_INIT(PEM_MAX);
	_cleanup_(buf_wipe) struct buf key = BUF_INIT(PEM_MAX);
	RETURN_IF_ERR(fd_read_file(link->members->ca_file, PEM_MAX, &ca, why));
	RETURN_IF_ERR(fd_read_file(link->members->certificate_file, PEM_MAX, &chain, why));
	RETURN_IF_ERR(fd_read_private_file(link->members->key_file, PEM_MAX, &key, why));
	RETURN_IF_ERR(web_roots_parse(buf_span(&ca), &roots, why));
	RETURN_IF_ERR(web_identity_parse(buf_span(&chain), buf_span(&key), out_identity, why));
	*out_roots = TAKE_PTR(roots);
	return ERR_NONE;
}

/* --- one connection after another --- */

static void start_dial(struct etcd_link *link)
{
	const struct etcd_endpoint *endpoint = endpoint_of(link);
	link->peer = (struct web_peer){.host = endpoint->host,
		.port = endpoint->port,
		.name_servers = link->members->name_servers,
		.load = load,
		.arg = link,
		.texts = {"a member of etcd that listens", "check that etcd runs there, and the network to it",
			"an address of this member of etcd", "correct store.etcd.endpoints, or check the DNS"}};
	mem_free(link->authority);
	link->authority = web_peer_authority(&link->peer);
	web_dial_start(link->dial, &link->peer, DIAL_MS);
}

static void on_redial(struct loop_timer *timer)
{
	start_dial(container_of(timer, struct etcd_link, redial));
}

/* The next member at once; after all of them, a pause. */
static void dial_another(struct etcd_link *link)
{
	link->turn++;
	link->num_failed++;
	uint32_t delay_ms = link->num_failed % link->members->num_endpoints == 0
				    ? backoff_next_ms(&link->backoff, random_u32())
				    : 0;
	loop_timer_start(link->loop, &link->redial, delay_ms, on_redial);
}

static void go_down(struct etcd_link *link, const struct why *why)
{
	struct why named = *why;
	why_set(&named, why->err, why->expected, why->fix, "etcd at %.120s: %s", link->authority, why->got);
	link->is_up = false;
	loop_task_cancel(&link->leave);
	etcd_login_stop(&link->login);
	if (link->client != NULL)
		rpc_client_free(TAKE_PTR(link->client));
	dial_another(link);
	link->events->on_down(link->arg, &named);
}

static void on_close(void *arg, struct rpc_client *client, const struct why *why)
{
	struct etcd_link *link = arg;
	struct why copy = *why; /* it is part of the client */
	CHECK(client == link->client);
	go_down(link, &copy);
}

static void go_up(struct etcd_link *link)
{
	CHECK(link->client != NULL && !link->is_up);
	link->is_up = true;
	log_debug("store", "connected to etcd at %s", link->authority);
	link->events->on_up(link->arg);
}

static void on_login(void *arg, enum err err, const struct why *why)
{
	if (err == ERR_NONE)
		go_up(arg);
	else
		etcd_link_leave(arg, why); /* later: a call's end is no time to free its client */
}

static void on_ready(void *arg, struct rpc_client *client)
{
	struct etcd_link *link = arg;
	CHECK(client == link->client);
	if (link->members->user != NULL)
		etcd_login_start(&link->login, client, LOGIN_MS);
	else
		go_up(link);
}

static void on_dialed(void *arg, enum err err, struct transport *transport, const struct why *why)
{
	struct etcd_link *link = arg;
	CHECK(link->client == NULL);
	if (err != ERR_NONE) {
		go_down(link, why);
		return;
	}
	link->client = rpc_client_new(&(struct rpc_client_options){.loop = link->loop,
		.transport = transport,
		.authority = link->authority,
		.connect_timeout_ms = DIAL_MS,
		.keepalive_ms = KEEPALIVE_MS,
		.message_max = MESSAGE_MAX,
		.on_ready = on_ready,
		.on_close = on_close,
		.arg = link});
}

static void on_leave(struct loop_task *task)
{
	struct etcd_link *link = container_of(task, struct etcd_link, leave);
	struct why why = link->detail;
	if (link->client != NULL)
		go_down(link, &why);
}

void etcd_link_leave(struct etcd_link *link, const struct why *why)
{
	if (loop_task_is_posted(&link->leave) || link->client == NULL)
		return;
	link->detail = *why;
	link->is_up = false;
	loop_task_post(link->loop, &link->leave, on_leave);
}

struct rpc_client *etcd_link_client(const struct etcd_link *link)
{
	return link->is_up ? link->client : NULL;
}

bool etcd_link_is_logged_in(const struct etcd_link *link)
{
	return link->members->user == NULL || etcd_login_has_token(&link->login);
}

void etcd_link_is_useful(struct etcd_link *link)
{
	link->num_failed = 0;
	backoff_reset(&link->backoff);
}

struct etcd_link *etcd_link_new(
	struct loop *loop, const struct etcd_members *members, const struct etcd_link_events *events, void *arg)
{
	CHECK(members->num_endpoints > 0 && members->num_endpoints <= ETCD_ENDPOINTS_MAX);
	struct etcd_link *link = mem_new(struct etcd_link);
	*link = (struct etcd_link){.loop = loop, .members = members, .events = events, .arg = arg};
	link->turn = random_u32() % members->num_endpoints; /* control planes spread over the members */
	backoff_init(&link->backoff, BACKOFF_FIRST_MS, BACKOFF_MAX_MS);
	link->dial = web_dial_new(loop, "h2", on_dialed, link);
	etcd_login_init(&link->login, loop, members->user, members->password_file, on_login, link);
	loop_timer_start(loop, &link->redial, 0, on_redial);
	return link;
}

void etcd_link_free(struct etcd_link *link)
{
	loop_timer_stop(&link->redial);
	loop_task_cancel(&link->leave);
	etcd_login_stop(&link->login);
	if (link->client != NULL)
		rpc_client_free(link->client);
	web_dial_free(link->dial);
	mem_free(link->authority);
	mem_free(link);
}
