#include "base/http/http_get.h"

#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/core/random.h"
#include "base/http/http_conn.h"
#include "base/net/listener.h"
#include <string.h>

/* against exhausting descriptors through this port */
enum { MAX_CONNS = 64, CALM_MS = 10000 };

struct http_server {
	struct loop *loop;
	struct listener *listener;
	const struct http_page *pages;
	size_t num_pages;
	struct list conns; /* newest first */
	size_t num_conns;
	struct shares *places;
	int fd; /* the listening socket, for its address */
	uint64_t num_displaced, displaced_ms;
};

static bool page_matches(const struct http_page *page, const char *path)
{
	return page->is_prefix ? strncmp(path, page->path, strlen(page->path)) == 0 : strcmp(path, page->path) == 0;
}

const struct http_page *http_server_page(const struct http_server *server, const char *path)
{
	for (size_t i = 0; i < server->num_pages; i++)
		if (page_matches(&server->pages[i], path))
			return &server->pages[i];
	return NULL;
}

bool http_server_takes_names(const struct http_server *server)
{
	for (size_t i = 0; i < server->num_pages; i++)
		if (server->pages[i].takes_names)
			return true;
	return false;
}

void http_server_forget(struct http_server *server, struct http_conn *conn)
{
	CHECK(server->num_conns > 0);
	list_remove(&conn->link);
	server->num_conns--;
	shares_give(&conn->share);
}

static void count_displaced(struct http_server *server, const struct addr *newcomer)
{
	char here[ADDR_TEXT_MAX] = "?", there[ADDR_TEXT_MAX];
	uint64_t now_ms = loop_now_ms(server->loop), before_ms = server->displaced_ms;
	struct addr own;
	server->displaced_ms = now_ms;
	if (server->num_displaced++ != 0 && now_ms - before_ms < CALM_MS)
		return;
	if (socket_local_addr(server->fd, &own) == ERR_NONE)
		addr_format(&own, here);
	log_warning("http",
		"%d connections are open at %s: each new one, now from %s, evicts the oldest of the source with most "
		"connections; further evictions are only counted",
		MAX_CONNS, here, ip_addr_format(&newcomer->ip, there));
}

/* Of the source with most connections: the oldest that has sent no request yet, or has its response already; else its
 * oldest. So a host that floods the port evicts its own connections and no probe's. */
static void make_room(struct http_server *server)
{
	struct share *share = shares_oldest_of_heaviest(server->places, 0);
	CHECK(share != NULL);
	struct http_conn *oldest = container_of(share, struct http_conn, share), *oldest_idle = NULL;
	for (; share != NULL && oldest_idle == NULL; share = share->younger) {
		struct http_conn *conn = container_of(share, struct http_conn, share);
		if (conn->phase == HTTP_READING || conn->phase == HTTP_LINGERING)
			oldest_idle = conn;
	}
	http_conn_free(oldest_idle != NULL ? oldest_idle : oldest);
}

static void on_accept(void *arg, int fd, const struct addr *peer)
{
	struct http_server *server = arg;
	struct share_key keys[SHARE_SOURCE_KEYS_MAX];
	size_t num_keys = share_keys_of_source(&peer->ip, keys);
	if (server->num_conns == MAX_CONNS) {
		count_displaced(server, peer);
		make_room(server);
	}
	CHECK(server->num_conns < MAX_CONNS);
	struct http_conn *conn = http_conn_new(server, server->loop, fd);
	CHECK(shares_take(server->places, 0, keys, num_keys, 1, &conn->share) == SHARE_LIMIT_NONE);
	list_push_front(&server->conns, &conn->link);
	server->num_conns++;
}

struct http_server *http_server_new(
	struct loop *loop, int listening_fd, const struct http_page *pages, size_t num_pages)
{
	for (size_t i = 0; i < num_pages; i++)
		CHECK(pages[i].path[0] == '/' && pages[i].on_get != NULL);
	struct http_server *server = mem_new(struct http_server);
	server->loop = loop;
	server->fd = listening_fd;
	server->pages = pages;
	server->num_pages = num_pages;
	server->places =
		shares_new(&(struct shares_options){.capacity = MAX_CONNS, .num_classes = 1, .seed = random_u64()});
	server->listener = listener_new(loop, listening_fd, on_accept, NULL, server);
	return server;
}

void http_server_hold(struct http_server *server)
{
	listener_hold(server->listener);
}

enum err http_server_start(struct http_server *server)
{
	return listener_start(server->listener, 1024);
}

void http_server_stop_accepting(struct http_server *server)
{
	listener_free(TAKE_PTR(server->listener));
	server->fd = -1;
}

int http_server_fd(const struct http_server *server)
{
	return server->fd;
}

void http_server_free(struct http_server *server)
{
	if (server == NULL)
		return;
	listener_free(server->listener);
	LIST_EACH_REMOVABLE(&server->conns, struct http_conn, conn, link)
		http_conn_free(conn);
	CHECK(server->num_conns == 0);
	shares_free(server->places);
	mem_free(server);
}

uint64_t http_server_num_evicted(const struct http_server *server)
{
	return server->num_displaced;
}

size_t http_server_num_conns(const struct http_server *server)
{
	return server->num_conns;
}
