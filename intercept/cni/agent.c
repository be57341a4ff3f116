#include "intercept/cni/agent.h"
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/http/http_get.h"
#include "base/kube/kube_watch.h"
#include "base/net/fd.h"
#include "base/net/socket.h"
#include "base/sandbox/sandbox.h"
#include "intercept/cni/answering.h"
#include "intercept/cni/daemon_set.h"
#include "intercept/cni/starter.h"
#include <errno.h>
#include <signal.h>
#include <sys/stat.h>

#define COMPONENT "agent"

struct agent {
	const struct agent_config *config;
	struct loop *loop;
	struct kube_config kube;
	struct kube_client *client;
	struct kube_watch *watch;
	struct node_pods *pods;
	struct answering *answering;
	struct http_server *health;
	struct starter *starter;
	struct loop_io starters_end;
	struct loop_signal on_term, on_int;
	struct install *install;       /* NULL: the pods are not known yet */
	struct daemon_set *daemon_set; /* NULL: its end does not matter */
	bool is_synced, is_in_trouble, is_ending, removes, has_lost_starter;
	struct why trouble;
};

/* --- the node's pods --- */

static void on_begin(void *arg)
{
	struct agent *agent = arg;
	node_pods_begin(agent->pods);
}

static void on_object(void *arg, enum kube_event event, const json_t *object)
{
	struct agent *agent = arg;
	switch (event) {
	case KUBE_PUT: {
		enum err err = node_pods_put(agent->pods, object);
		if (err != ERR_NONE)
			log_warning(COMPONENT, "a pod of this node is left out: %s", err_text(err));
		answering_pods_changed(agent->answering);
		return;
	}
	case KUBE_DELETED:
		node_pods_deleted(agent->pods, object);
		return;
	}
	CHECK_UNREACHABLE();
}

static void on_synced(void *arg)
{
	struct agent *agent = arg;
	node_pods_synced(agent->pods);
	if (!agent->is_synced)
		log_notice(COMPONENT, "ready: the pods of node %s are known", agent->config->node_name);
	agent->is_synced = true;
	if (agent->install == NULL)
		agent->install = install_start(agent->loop, &agent->config->install); /* from now on it is asked */
}

static void on_trouble(void *arg, const struct why *why)
{
	struct agent *agent = arg;
	agent->is_in_trouble = why != NULL;
	if (why != NULL) {
		agent->trouble = *why;
		log_why(LOG_LEVEL_WARNING, COMPONENT, "the node's pods are not up to date", why);
	} else
		log_notice(COMPONENT, "the node's pods are up to date again");
}

static void watch_pods(struct agent *agent)
{
	static const struct kube_watch_observer callbacks = {
		.on_begin = on_begin, .on_object = on_object, .on_synced = on_synced, .on_trouble = on_trouble};
	struct kube_watch_observer observer = callbacks;
	/* Pods that have finished get no namespace again, and a node may keep thousands of their objects. */
	_cleanup_(mem_freep) char *query = mem_printf("fieldSelector=spec.nodeName%%3D%s%%2Cstatus.phase%%21%%3D"
						      "Succeeded%%2Cstatus.phase%%21%%3DFailed",
		agent->config->node_name);
	observer.arg = agent;
	struct kube_watch_options options = {.path = "/api/v1/pods", .query = query};
	agent->watch = kube_watch_start(agent->client, &options, &observer);
}

/* --- health --- */

static void on_live(void *arg, struct http_request *request)
{
	(void)arg;
	http_answer(request, 200, HTTP_TEXT, SPAN_LITERAL("ok\n"));
}

/* Trouble after the first sync is shown, and does not make it unready: what is known still answers. Pods beyond the
 * limit do: each of them waits without an end. */
static void on_ready(void *arg, struct http_request *request)
{
	const struct agent *agent = arg;
	_cleanup_(buf_done) struct buf text = BUF_INIT(4096);
	char line[1024];
	struct why why = {0};
	enum err full = ERR_NONE;
	bool is_in_place = agent->install != NULL && install_state(agent->install, &why) == ERR_NONE;
	bool is_over = node_pods_is_over(agent->pods);
	if (!agent->is_synced)
		full = buf_append_str(&text, "pods: those of this node are not known yet\n");
	if (full == ERR_NONE && agent->is_in_trouble)
		full = buf_printf(&text, "pods: %s\n", why_format(&agent->trouble, line, sizeof line));
	if (full == ERR_NONE && is_over)
		full = buf_printf(&text,
			"pods: more than %d on this node, and those beyond are not known; expected: fewer; "
			"fix: remove pods, then restart this agent\n",
			NODE_PODS_MAX);
	if (full == ERR_NONE && agent->install != NULL && !is_in_place)
		full = buf_printf(&text, "plugin: %s\n", why_format(&why, line, sizeof line));
	if (full == ERR_NONE && buf_len(&text) == 0)
		full = buf_append_str(&text, "ok\n");
	http_answer(request, agent->is_synced && is_in_place && !is_over && full == ERR_NONE ? 200 : 503, HTTP_TEXT,
		buf_span(&text));
}

static enum err open_health(struct agent *agent, struct http_page pages[2], struct why *why)
{
	struct addr at = {.port = agent->config->health_port};
	int fd = -1;
	CHECK(ip_addr_parse(SPAN_LITERAL("::"), &at.ip) == ERR_NONE);
	if (socket_listen(&at, &(struct socket_listen_options){0}, &fd, NULL) != ERR_NONE) {
		CHECK(ip_addr_parse(SPAN_LITERAL("0.0.0.0"), &at.ip) == ERR_NONE); /* a node without IPv6 */
		RETURN_IF_ERR(socket_listen(&at, &(struct socket_listen_options){0}, &fd, why));
	}
	pages[0] = (struct http_page){.path = "/healthz/live", .on_get = on_live, .arg = agent};
	pages[1] = (struct http_page){.path = "/healthz/ready", .on_get = on_ready, .arg = agent};
	agent->health = http_server_new(agent->loop, fd, pages, 2);
	return ERR_NONE;
}

/* --- life --- */

static enum err open_socket(const struct agent *agent, int *out_fd, struct why *why)
{
	const char *path = agent->config->socket;
	_cleanup_(mem_freep) char *folder = mem_strdup(path);
	char *slash = strrchr(folder, '/');
	if (slash != NULL && slash != folder) {
		*slash = '\0';
		if (mkdir(folder, 0700) != 0 && errno != EEXIST)
			return why_set(why, err_from_errno(errno), "a folder for the agent's socket",
				"mount a hostPath folder there", "cannot create %s: %m", folder);
	}
	return socket_listen_unix(path, 0600, NULL, out_fd, why);
}

static void finish(struct agent *agent, bool removes)
{
	agent->removes = removes;
	loop_stop(agent->loop);
}

static void on_daemon_set(void *arg, bool is_gone)
{
	finish(arg, is_gone);
}

/* A rollout or a node that restarts leaves the object. No answer: the plugin stays, and pods wait. */
static void ask_for_daemon_set(struct agent *agent)
{
	if (agent->daemon_set == NULL || agent->is_ending) /* a second signal does not wait */
		finish(agent, false);
	else
		daemon_set_ask(agent->daemon_set, on_daemon_set, agent);
	agent->is_ending = true;
}

static void end(struct agent *agent)
{
	switch (agent->config->at_end) {
	case AGENT_REMOVES_IF_GONE:
		ask_for_daemon_set(agent);
		return;
	case AGENT_REMOVES:
		finish(agent, true);
		return;
	case AGENT_LEAVES:
		finish(agent, false);
		return;
	}
	CHECK_UNREACHABLE();
}

static void on_term(struct loop_signal *signal)
{
	end(container_of(signal, struct agent, on_term));
}

static void on_int(struct loop_signal *signal)
{
	end(container_of(signal, struct agent, on_int));
}

/* Without it no pod gets rules: the agent ends, and is started again. */
static void on_starters_end(struct loop_io *io, unsigned ready)
{
	struct agent *agent = container_of(io, struct agent, starters_end);
	(void)ready;
	loop_io_stop(io);
	agent->has_lost_starter = true;
	finish(agent, false);
}

/* What reads the API server's answers starts nothing, enters no namespace and has no capability: the starter does,
 * which reads nothing from outside. Where the container's profile forbids a filter, it goes on without. */
static void confine(void)
{
	struct why why = {0};
	if (sandbox_close(&why) != ERR_NONE || sandbox_drop_capabilities(&why) != ERR_NONE ||
		sandbox_enter(SANDBOX_AGENT, &why) != ERR_NONE)
		log_why(LOG_LEVEL_WARNING, COMPONENT, "running without a system call filter", &why);
}

static enum err start(struct agent *agent, struct http_page pages[2], struct why *why)
{
	int fd;
	const char *kubeconfig = agent->config->kubeconfig;
	confine();
	loop_io_start(agent->loop, &agent->starters_end, starter_fd(agent->starter), LOOP_READ, on_starters_end);
	RETURN_IF_ERR(kubeconfig == NULL ? kube_config_in_cluster(NULL, &agent->kube, why)
					 : kube_config_load(kubeconfig, &agent->kube, why));
	RETURN_IF_ERR(open_health(agent, pages, why));
	RETURN_IF_ERR(open_socket(agent, &fd, why));
	struct answering_options options = {
		.loop = agent->loop, .pods = agent->pods, .starter = agent->starter, .listening_fd = fd};
	agent->answering = answering_new(&options);
	agent->client = kube_client_new(agent->loop, &agent->kube);
	watch_pods(agent);
	if (agent->config->at_end == AGENT_REMOVES_IF_GONE && strchr(agent->config->daemon_set, '/') != NULL)
		agent->daemon_set = daemon_set_new(agent->client, agent->config->daemon_set);
	return ERR_NONE;
}

static void stop(struct agent *agent)
{
	if (agent->install != NULL)
		install_stop(agent->install);
	if (agent->daemon_set != NULL)
		daemon_set_free(agent->daemon_set);
	if (agent->watch != NULL)
		kube_watch_stop(agent->watch);
	if (agent->client != NULL)
		kube_client_free(agent->client);
	if (agent->answering != NULL)
		answering_free(agent->answering);
	if (agent->health != NULL)
		http_server_free(agent->health);
	loop_io_stop(&agent->starters_end);
	kube_config_done(&agent->kube);
}

enum err agent_run(const struct agent_config *config, struct why *why)
{
	_cleanup_(starter_freep) struct starter *starter = NULL;
	RETURN_IF_ERR(starter_new(config->init_program, &starter, why));
	_cleanup_(loop_freep) struct loop *loop = loop_new(&clock_system);
	_cleanup_(node_pods_freep) struct node_pods *pods = node_pods_new();
	struct agent agent = {.config = config, .loop = loop, .pods = pods, .starter = starter};
	struct http_page pages[2];
	loop_signal_start(loop, &agent.on_term, SIGTERM, on_term);
	loop_signal_start(loop, &agent.on_int, SIGINT, on_int);
	enum err err = start(&agent, pages, why);
	if (err == ERR_NONE)
		loop_run(loop);
	stop(&agent);
	if (err == ERR_NONE && agent.has_lost_starter)
		err = why_set(why, ERR_SYSTEM, "a process of this agent that starts handfast-init",
			"see `dmesg` (type=1326: a system call outside of its list), and start the agent again",
			"the agent's starter has ended");
	if (err == ERR_NONE && agent.removes)
		err = install_remove(&config->install, why);
	loop_signal_stop(&agent.on_term);
	loop_signal_stop(&agent.on_int);
	return err;
}
