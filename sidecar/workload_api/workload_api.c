#include "sidecar/workload_api/workload_api.h"

#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "sidecar/workload_api/workload_private.h"
#include <stdio.h>
#include <unistd.h>

enum {
	STREAMS_PER_CONNECTION = 32,
	SEND_QUEUE_MAX = 64 * 1024,
	SOCKET_MODE = 0666, /* who may ask is judged by the caller's user, not by the file's mode */
};

struct workload_peer { /* a connection */
	struct workload_api *api;
	struct rpc_peer *peer;
	struct list_link link;
	struct loop_timer lifetime;
	uid_t uid;
	bool is_refused;
};

/* --- callers --- */

static enum err judge(struct workload_api *api, int fd, struct workload_caller *caller, struct why *why)
{
	*caller = (struct workload_caller){.uid = WORKLOAD_OVERFLOW_UID};
	enum err err = workload_caller_of(fd, caller);
	if (err != ERR_NONE)
		return why_set(why, err, "a caller that the kernel knows", "connect again",
			"the kernel does not report the caller");
	return workload_rules_judge(&api->rules, caller, why);
}

/* At each call, not only once per connection (W5). */
enum rpc_status workload_authorize(void *arg, const struct rpc_peer *peer, const char **out_message)
{
	struct workload_api *api = arg;
	struct workload_caller caller;
	char uid[32];
	api->refusal = (struct why){0};
	if (judge(api, rpc_peer_fd(peer), &caller, &api->refusal) == ERR_NONE)
		return RPC_OK;
	(void)snprintf(uid, sizeof(uid), "uid %u", (unsigned)caller.uid);
	if (limited_log_allows_identity(api->lines, uid, "caller refused"))
		log_why(LOG_LEVEL_WARNING, "audit", "identity refused to a process", &api->refusal);
	*out_message =
		"this process may not ask for the identity; expected: root or a user of workload_api.uids, in the "
		"sidecar's network namespace; fix: read the sidecar's log";
	return RPC_PERMISSION_DENIED;
}

static void on_lifetime_over(struct loop_timer *timer)
{
	rpc_peer_close(container_of(timer, struct workload_peer, lifetime)->peer);
}

static bool has_room(const struct workload_api *api, uid_t uid)
{
	unsigned num = 0, num_of_user = 0;
	LIST_EACH(&api->peers, struct workload_peer, peer, link) {
		num += peer->is_refused ? 0 : 1;
		num_of_user += peer->uid == uid ? 1 : 0;
	}
	return num < WORKLOAD_CONNECTIONS_MAX && num_of_user < WORKLOAD_PER_USER;
}

static void on_connect(void *arg, struct rpc_peer *rpc_peer)
{
	struct workload_api *api = arg;
	struct workload_caller caller;
	struct why why = {0};
	bool is_refused = judge(api, rpc_peer_fd(rpc_peer), &caller, &why) != ERR_NONE;
	if (is_refused ? api->num_refused >= WORKLOAD_REFUSED_MAX : !has_room(api, caller.uid)) {
		rpc_peer_close(rpc_peer);
		return;
	}
	struct workload_peer *peer = mem_new(struct workload_peer);
	*peer = (struct workload_peer){.api = api, .peer = rpc_peer, .uid = caller.uid, .is_refused = is_refused};
	list_push_back(&api->peers, &peer->link);
	api->num_refused += is_refused ? 1 : 0;
	rpc_peer_set_arg(rpc_peer, peer);
	loop_timer_start(api->loop, &peer->lifetime, is_refused ? WORKLOAD_REFUSED_LIFETIME_MS : WORKLOAD_LIFETIME_MS,
		on_lifetime_over);
}

static void on_disconnect(void *arg, struct rpc_peer *rpc_peer)
{
	struct workload_api *api = arg;
	struct workload_peer *peer = rpc_peer_arg(rpc_peer);
	if (peer == NULL) /* it found no room */
		return;
	api->num_refused -= peer->is_refused ? 1 : 0;
	list_remove(&peer->link);
	loop_timer_stop(&peer->lifetime);
	mem_free(peer);
}

static void on_accept(void *arg, int fd, _unused_ const struct addr *peer)
{
	struct workload_api *api = arg;
	rpc_server_adopt(api->server, transport_new_plain(fd), NULL);
}

/* --- the state --- */

void workload_api_set_credentials(struct workload_api *api, struct credentials *credentials)
{
	if (api->credentials != NULL)
		credentials_unref(api->credentials);
	api->credentials = credentials != NULL ? credentials_ref(credentials) : NULL;
	api->version++;
	/* An ended stream leaves the list later, in on_done. */
	LIST_EACH(&api->streams, struct workload_stream, stream, link) {
		if (stream->call == NULL || !stream->has_request)
			continue;
		if (credentials != NULL)
			workload_stream_push(stream);
		else if (stream->kind->on_expired != NULL)
			stream->kind->on_expired(stream);
	}
}

void workload_api_attach(struct workload_api *api, struct rpc_client *client)
{
	workload_jwt_detach(api);
	api->control = client;
}

/* --- create and free --- */

static struct rpc_server *server_new(struct workload_api *api)
{
	return rpc_server_new(&(struct rpc_server_options){
		.loop = api->loop,
		.methods = workload_methods,
		.num_methods = num_workload_methods,
		.arg = api,
		/* Twice: connections in their handshake have not been judged. */
		.max_connections = 2 * (WORKLOAD_CONNECTIONS_MAX + WORKLOAD_REFUSED_MAX),
		.max_streams = STREAMS_PER_CONNECTION,
		.send_queue_max = SEND_QUEUE_MAX,
		.has_secrets = true,
		.on_connect = on_connect,
		.on_disconnect = on_disconnect,
	});
}

enum err workload_api_new(const struct workload_api_options *options, struct workload_api **out, struct why *why)
{
	_cleanup_fd_ int fd = -1;
	struct workload_rules rules = {.own = geteuid(),
		.allows_every_user = options->allows_every_user,
		.uids = options->uids,
		.num_uids = options->num_uids};
	RETURN_IF_ERR(socket_listen_unix(options->path, SOCKET_MODE, options->passed, &fd, why));
	rules.has_namespace = socket_network_namespace(fd, &rules.network_namespace) == ERR_NONE;
	struct workload_api *api = mem_new(struct workload_api);
	api->loop = options->loop;
	api->path = mem_strdup(options->path);
	api->rules = rules;
	api->lines = limited_log_new(options->loop, WORKLOAD_COMPONENT);
	api->server = server_new(api);
	api->listener = listener_new(options->loop, TAKE_FD(fd), on_accept, NULL, api);
	api->is_held = options->is_held;
	if (options->is_held)
		listener_hold(api->listener);
	*out = api;
	return ERR_NONE;
}

void workload_api_resume(struct workload_api *api)
{
	CHECK(api->is_held);
	api->is_held = false;
	if (listener_start(api->listener, 1024) != ERR_NONE)
		log_error(WORKLOAD_COMPONENT, "cannot listen at %s", api->path);
}

void workload_api_hold(struct workload_api *api)
{
	CHECK(!api->is_held);
	api->is_held = true;
	listener_hold(api->listener);
}

int workload_api_socket(const struct workload_api *api)
{
	return listener_fd(api->listener);
}

void workload_api_free(struct workload_api *api)
{
	if (api == NULL)
		return;
	listener_free(api->listener);
	rpc_server_free(api->server);
	CHECK(api->num_streams == 0 && list_is_empty(&api->peers));
	socket_remove_unix(api->path);
	limited_log_free(api->lines);
	if (api->credentials != NULL)
		credentials_unref(api->credentials);
	mem_free(api->path);
	mem_free(api);
}
