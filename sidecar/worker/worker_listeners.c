#include "sidecar/worker/worker_listeners.h"

#include "base/core/check.h"
#include "base/core/log.h"
#include "base/net/fd.h"

/* On Linux an accepted socket inherits the options of its listener, which saves system calls per connection. */
static enum err socket_open(const struct worker_listeners *listeners, const struct addr *at,
	enum worker_interface interface, int *out_fd, struct why *why)
{
	const struct socket_listen_options how = {.reuse_port = true,
		.v6_only = true,
		.backlog = WORKER_BACKLOG,
		.passed = listeners->options.passed,
		.only_binds = listeners->options.is_held};
	RETURN_IF_ERR(socket_listen(at, &how, out_fd, why));
	socket_set_nodelay(*out_fd);
	/* A tunnel has close_notify for its orderly end. */
	socket_set_reset_on_close(*out_fd, interface != WORKER_TUNNEL);
	if (interface != WORKER_TUNNEL)
		socket_limit_memory(*out_fd, interface == WORKER_OUTBOUND);
	return ERR_NONE;
}

static enum err listen_at(struct worker_listeners *listeners, unsigned at, const char *ip, uint16_t port,
	listener_accept_fn *on_accept, struct why *why)
{
	const struct worker_listeners_options *options = &listeners->options;
	CHECK(at < NUM_WORKER_LISTENERS && listeners->all[at] == NULL);
	struct addr addr = {.port = port};
	_cleanup_fd_ int fd = -1;
	if (port == 0)
		return ERR_NONE;
	RETURN_IF_ERR(ip_addr_parse(span_of_str(ip), &addr.ip));
	RETURN_IF_ERR(socket_open(listeners, &addr, (enum worker_interface)(at % NUM_WORKER_INTERFACES), &fd, why));
	listeners->all[at] = listener_new(options->loop, TAKE_FD(fd), on_accept, options->on_pause, options->arg);
	return ERR_NONE;
}

static void on_outbound_to(void *arg, int fd, const struct addr *peer)
{
	const struct worker_outbound_listener *outbound = arg;
	const struct worker_listeners_options *options = outbound->options;
	options->on_outbound_to(options->arg, fd, peer, outbound->given);
}

static void on_outbound_pause(void *arg, bool paused)
{
	const struct worker_outbound_listener *outbound = arg;
	const struct worker_listeners_options *options = outbound->options;
	if (options->on_pause != NULL)
		options->on_pause(options->arg, paused);
}

/* The reason names the setting: its port may be another program's. */
static enum err listen_for(struct worker_listeners *listeners, size_t i, struct why *why)
{
	const struct worker_listeners_options *options = &listeners->options;
	struct worker_outbound_listener *outbound = &listeners->outbound[i];
	_cleanup_fd_ int fd = -1;
	outbound->options = options;
	outbound->given = &options->listeners->outbound[i];
	RETURN_IF_ERR(socket_open(listeners, &outbound->given->at, WORKER_OUTBOUND, &fd, why));
	outbound->listener = listener_new(options->loop, TAKE_FD(fd), on_outbound_to, on_outbound_pause, outbound);
	return ERR_NONE;
}

/* As a tunnel's: close_notify is its orderly end. */
static enum err listen_for_mtls(
	struct worker_listeners *listeners, const char *ip, uint16_t port, struct listener **out, struct why *why)
{
	const struct worker_listeners_options *options = &listeners->options;
	struct addr at = {.port = port};
	_cleanup_fd_ int fd = -1;
	RETURN_IF_ERR(ip_addr_parse(span_of_str(ip), &at.ip));
	RETURN_IF_ERR(socket_open(listeners, &at, WORKER_TUNNEL, &fd, why));
	socket_limit_memory(fd, false); /* unlike a tunnel, it carries one connection */
	*out = listener_new(options->loop, TAKE_FD(fd), options->on_mtls, options->on_pause, options->arg);
	return ERR_NONE;
}

static enum err listen_for_all_mtls(struct worker_listeners *listeners, struct why *why)
{
	const struct listeners *given = listeners->options.listeners;
	for (size_t i = 0; given != NULL && i < given->num_inbound; i++) {
		uint16_t port = given->inbound[i].port;
		if (!given->inbound[i].takes_mtls)
			continue;
		RETURN_IF_ERR(listen_for_mtls(listeners, "0.0.0.0", port, &listeners->mtls[2 * i], why));
		if (listeners->options.ipv6)
			RETURN_IF_ERR(listen_for_mtls(listeners, "::", port, &listeners->mtls[2 * i + 1], why));
	}
	return ERR_NONE;
}

static enum err listen_for_all(struct worker_listeners *listeners, struct why *why)
{
	const struct listeners *given = listeners->options.listeners;
	for (size_t i = 0; given != NULL && i < given->num_outbound; i++)
		RETURN_IF_ERR(listen_for(listeners, i, why));
	return ERR_NONE;
}

/* The outbound listener is on loopback only: the interception rules redirect the workload's connections to it, and no
 * other host can reach it. */
static enum err listen_everywhere(struct worker_listeners *listeners, struct why *why)
{
	const struct worker_listeners_options *options = &listeners->options;
	RETURN_IF_ERR(listen_for_all(listeners, why));
	RETURN_IF_ERR(listen_for_all_mtls(listeners, why));
	RETURN_IF_ERR(listen_at(listeners, 0, "127.0.0.1", options->outbound, options->on_outbound, why));
	RETURN_IF_ERR(listen_at(listeners, 1, "0.0.0.0", options->inbound_plain, options->on_inbound_plain, why));
	RETURN_IF_ERR(listen_at(listeners, 2, "0.0.0.0", options->tunnel, options->on_tunnel, why));
	if (!options->ipv6)
		return ERR_NONE;
	RETURN_IF_ERR(listen_at(listeners, 3, "::1", options->outbound, options->on_outbound, why));
	RETURN_IF_ERR(listen_at(listeners, 4, "::", options->inbound_plain, options->on_inbound_plain, why));
	return listen_at(listeners, 5, "::", options->tunnel, options->on_tunnel, why);
}

/* --- all of them --- */

enum { NUM_SLOTS = NUM_WORKER_LISTENERS + 3 * LISTENERS_MAX + WORKER_OTHER_LISTENERS_MAX };

/* The place of each listener that there can be; NULL in it: there is none. */
static struct listener **slot(struct worker_listeners *listeners, unsigned i)
{
	if (i < NUM_WORKER_LISTENERS)
		return &listeners->all[i];
	i -= NUM_WORKER_LISTENERS;
	if (i < LISTENERS_MAX)
		return &listeners->outbound[i].listener;
	i -= LISTENERS_MAX;
	if (i < 2 * LISTENERS_MAX)
		return &listeners->mtls[i];
	i -= 2 * LISTENERS_MAX;
	CHECK(i < WORKER_OTHER_LISTENERS_MAX);
	return &listeners->others[i];
}

static struct listener *listener_in(const struct worker_listeners *listeners, unsigned i)
{
	return *slot((struct worker_listeners *)(uintptr_t)listeners, i);
}

void worker_listeners_done(struct worker_listeners *listeners)
{
	for (unsigned i = 0; i < NUM_SLOTS; i++)
		listener_free(TAKE_PTR(*slot(listeners, i)));
}

void worker_listeners_close(struct worker_listeners *listeners)
{
	for (unsigned i = 0; i < NUM_WORKER_INTERFACES; i++)
		worker_listeners_pause(listeners, (enum worker_interface)i, false);
	worker_listeners_done(listeners);
}

static void hold(struct worker_listeners *listeners)
{
	for (unsigned i = 0; i < NUM_SLOTS; i++)
		if (listener_in(listeners, i) != NULL)
			listener_hold(listener_in(listeners, i));
}

enum err worker_listeners_init(
	struct worker_listeners *listeners, const struct worker_listeners_options *options, struct why *why)
{
	listeners->options = *options;
	RETURN_IF_ERR(listen_everywhere(listeners, why));
	if (options->is_held)
		hold(listeners);
	return ERR_NONE;
}

void worker_listeners_hold(struct worker_listeners *listeners)
{
	CHECK(!listeners->options.is_held);
	listeners->options.is_held = true;
	hold(listeners);
}

void worker_listeners_start(struct worker_listeners *listeners)
{
	CHECK(listeners->options.is_held);
	listeners->options.is_held = false;
	for (unsigned i = 0; i < NUM_SLOTS; i++) {
		struct listener *listener = listener_in(listeners, i);
		enum err err = listener == NULL ? ERR_NONE : listener_start(listener, WORKER_BACKLOG);
		if (err != ERR_NONE) /* another program listens there since it was bound */
			log_error("listener", "cannot listen: %s", err_text(err));
	}
}

size_t worker_listeners_sockets(const struct worker_listeners *listeners, int *out, size_t num)
{
	size_t len = 0;
	for (unsigned i = 0; i < NUM_SLOTS && len < num; i++)
		if (listener_in(listeners, i) != NULL)
			out[len++] = listener_fd(listener_in(listeners, i));
	return len;
}

/* --- sockets of a process with more workers --- */

static bool listens_at(const struct worker_listeners *listeners, unsigned i, const struct addr *at)
{
	struct addr own;
	const struct listener *listener = listener_in(listeners, i);
	return listener != NULL && socket_local_addr(listener_fd(listener), &own) == ERR_NONE && addr_eq(&own, at);
}

/* A listener like that of slot i. */
static struct listener *another(struct worker_listeners *listeners, unsigned i, int fd)
{
	const struct worker_listeners_options *options = &listeners->options;
	listener_accept_fn *const of_interfaces[] = {[WORKER_OUTBOUND] = options->on_outbound,
		[WORKER_INBOUND_PLAIN] = options->on_inbound_plain,
		[WORKER_TUNNEL] = options->on_tunnel};
	if (i < NUM_WORKER_LISTENERS)
		return listener_new(
			options->loop, fd, of_interfaces[i % NUM_WORKER_INTERFACES], options->on_pause, options->arg);
	i -= NUM_WORKER_LISTENERS;
	if (i < LISTENERS_MAX)
		return listener_new(options->loop, fd, on_outbound_to, on_outbound_pause, &listeners->outbound[i]);
	return listener_new(options->loop, fd, options->on_mtls, options->on_pause, options->arg);
}

static enum worker_interface interface_of(unsigned i)
{
	if (i < NUM_WORKER_LISTENERS)
		return (enum worker_interface)(i % NUM_WORKER_INTERFACES);
	return i - NUM_WORKER_LISTENERS < LISTENERS_MAX ? WORKER_OUTBOUND : WORKER_TUNNEL;
}

void worker_listeners_adopt(struct worker_listeners *listeners, int fd, const struct addr *at)
{
	unsigned num = NUM_WORKER_LISTENERS + 3 * LISTENERS_MAX, i = 0;
	while (i < num && !listens_at(listeners, i, at))
		i++;
	if (i == num || listeners->num_others == WORKER_OTHER_LISTENERS_MAX) {
		fd_close(fd);
		return;
	}
	struct listener *listener = another(listeners, i, fd);
	if (listeners->options.is_held)
		listener_hold(listener);
	enum worker_interface interface = interface_of(i);
	if (listeners->is_paused[interface])
		listener_pause(listener);
	listeners->interfaces[listeners->num_others] = interface;
	listeners->others[listeners->num_others++] = listener;
}

/* --- pauses of an interface --- */

static void pause_one(struct worker_listeners *listeners, struct listener *listener, bool pause)
{
	if (listener == NULL)
		return;
	if (pause)
		listener_pause(listener);
	else
		listener_resume(listener);
	if (listeners->options.on_pause != NULL)
		listeners->options.on_pause(listeners->options.arg, pause);
}

void worker_listeners_pause(struct worker_listeners *listeners, enum worker_interface interface, bool pause)
{
	CHECK((unsigned)interface < NUM_WORKER_INTERFACES);
	if (listeners->is_paused[interface] == pause)
		return;
	listeners->is_paused[interface] = pause;
	pause_one(listeners, listeners->all[interface], pause);
	pause_one(listeners, listeners->all[NUM_WORKER_INTERFACES + (unsigned)interface], pause);
	for (unsigned i = 0; interface == WORKER_OUTBOUND && i < LISTENERS_MAX; i++)
		pause_one(listeners, listeners->outbound[i].listener, pause);
	for (unsigned i = 0; i < listeners->num_others; i++)
		if (listeners->interfaces[i] == interface)
			pause_one(listeners, listeners->others[i], pause);
}

uint64_t worker_listeners_num_refused(const struct worker_listeners *listeners)
{
	uint64_t num = 0;
	for (unsigned i = 0; i < NUM_SLOTS; i++)
		num += listener_in(listeners, i) == NULL ? 0 : listener_num_refused(listener_in(listeners, i));
	return num;
}
