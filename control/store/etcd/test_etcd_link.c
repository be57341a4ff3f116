/* In place of etcd_link.c: one connection at a time to the etcd in memory, over a socket pair. */
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/rpc/rpc_server.h"
#include "control/store/etcd/test_etcd.h"
#include <sys/socket.h>

struct etcd_link {
	struct loop *loop;
	const struct etcd_link_events *events;
	void *arg;
	struct rpc_client *client;
	bool is_up;
	struct loop_timer redial;
	struct loop_task leave;
	struct why detail;
};

static struct etcd_link *the_link;

static void on_redial(struct loop_timer *timer);

static void go_down(struct etcd_link *link, const struct why *why)
{
	struct why copy = *why;
	link->is_up = false;
	loop_task_cancel(&link->leave);
	if (link->client != NULL)
		rpc_client_free(TAKE_PTR(link->client));
	loop_timer_start(link->loop, &link->redial, 10, on_redial);
	link->events->on_down(link->arg, &copy);
}

static void on_close(void *arg, struct rpc_client *client, const struct why *why)
{
	(void)client;
	go_down(arg, why);
}

static void on_ready(void *arg, struct rpc_client *client)
{
	struct etcd_link *link = arg;
	(void)client;
	link->is_up = true;
	test_etcd.num_connections++;
	link->events->on_up(link->arg);
}

static void on_redial(struct loop_timer *timer)
{
	struct etcd_link *link = container_of(timer, struct etcd_link, redial);
	int ends[2];
	const struct addr from = {.ip = {.family = AF_INET}};
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
	test_etcd_serve(link->loop);
	rpc_server_adopt(test_etcd.server, transport_new_plain(ends[1]), &from);
	link->client = rpc_client_new(&(struct rpc_client_options){.loop = link->loop,
		.transport = transport_new_plain(ends[0]),
		.authority = "etcd",
		.message_max = TEST_ETCD_ANSWER_MAX,
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

void test_etcd_cut(void)
{
	const struct why why = {.err = ERR_CLOSED, .got = "the connection ended"};
	etcd_link_leave(the_link, &why);
}

struct etcd_link *etcd_link_new(
	struct loop *loop, const struct etcd_members *members, const struct etcd_link_events *events, void *arg)
{
	struct etcd_link *link = mem_new(struct etcd_link);
	(void)members;
	*link = (struct etcd_link){.loop = loop, .events = events, .arg = arg};
	loop_timer_start(loop, &link->redial, 0, on_redial);
	the_link = link;
	return link;
}

void etcd_link_free(struct etcd_link *link)
{
	loop_timer_stop(&link->redial);
	loop_task_cancel(&link->leave);
	if (link->client != NULL)
		rpc_client_free(link->client);
	if (test_etcd.server != NULL)
		rpc_server_free(TAKE_PTR(test_etcd.server));
	the_link = NULL;
	mem_free(link);
}

struct rpc_client *etcd_link_client(const struct etcd_link *link)
{
	return link->is_up ? link->client : NULL;
}

void etcd_link_leave(struct etcd_link *link, const struct why *why)
{
	link->detail = *why;
	link->is_up = false;
	loop_task_post(link->loop, &link->leave, on_leave);
}

bool etcd_link_is_logged_in(const struct etcd_link *link)
{
	(void)link;
	return test_etcd.is_logged_in;
}

void etcd_link_is_useful(struct etcd_link *link)
{
	(void)link;
}
