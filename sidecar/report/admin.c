#include "sidecar/report/admin.h"

#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/json/json_put.h"
#include "base/net/fd.h"
#include "base/net/socket.h"

enum { NUM_ADMIN_PAGES = 9, NUM_METRICS_PAGES = 6, MAX_SERVERS = 4, METRICS_MAX_BYTES = 2 << 20 };

struct admin {
	struct http_page admin_pages[NUM_ADMIN_PAGES], metrics_pages[NUM_METRICS_PAGES];
	struct http_server *servers[MAX_SERVERS];
	unsigned num_servers;
};

static void on_index(void *arg, struct http_request *request)
{
	(void)arg;
	http_answer(request, 200, HTTP_TEXT,
		SPAN_LITERAL("/certs /config /connections /tunnels /endpoints /why /check /policy\n"));
}

/* The answer proves that the main loop runs. */
static void on_live(void *arg, struct http_request *request)
{
	(void)arg;
	admin_answer_probe(request, true, "alive");
}

static void pages_fill(struct admin *admin, const struct admin_pages *pages)
{
	const struct http_page for_operators[] = {
		{.path = "/", .on_get = on_index, .arg = NULL},
		{.path = "/certs", .on_get = pages->certs, .arg = pages->arg},
		{.path = "/config", .on_get = pages->config, .arg = pages->arg},
		{.path = "/connections", .on_get = pages->connections, .arg = pages->arg},
		{.path = "/tunnels", .on_get = pages->tunnels, .arg = pages->arg},
		{.path = "/endpoints", .on_get = pages->endpoints, .arg = pages->arg},
		{.path = "/why", .on_get = pages->failures, .arg = pages->arg},
		{.path = "/check", .on_get = pages->check, .arg = pages->arg},
		{.path = "/policy", .on_get = pages->policy, .arg = pages->arg},
	};
	const struct http_page for_machines[] = {
		{.path = "/metrics", .on_get = pages->metrics, .arg = pages->arg, .takes_names = true},
		{.path = "/healthz/ready", .on_get = pages->ready, .arg = pages->arg, .takes_names = true},
		{.path = "/healthz/started", .on_get = pages->started, .arg = pages->arg, .takes_names = true},
		{.path = "/healthz/listening", .on_get = pages->listening, .arg = pages->arg, .takes_names = true},
		{.path = "/healthz/live", .on_get = on_live, .arg = NULL, .takes_names = true},
		{.path = ADMIN_PROBE_PATH, .on_get = pages->probe, .arg = pages->arg, .is_prefix = true},
	};
	memcpy(admin->admin_pages, for_operators, sizeof(for_operators));
	memcpy(admin->metrics_pages, for_machines, sizeof(for_machines));
	_Static_assert(sizeof(for_operators) == sizeof(admin->admin_pages), "each page has a row");
	_Static_assert(sizeof(for_machines) == sizeof(admin->metrics_pages), "each page has a row");
}

static enum err serve_at(struct admin *admin, struct loop *loop, const struct admin_options *options, const char *ip,
	const struct http_page *pages, struct why *why)
{
	bool is_for_operators = pages == admin->admin_pages;
	size_t num_pages = is_for_operators ? NUM_ADMIN_PAGES : NUM_METRICS_PAGES;
	const struct socket_listen_options how = {
		.v6_only = true, .passed = options->passed, .only_binds = options->is_held};
	struct addr at = {.port = is_for_operators ? options->admin_port : options->metrics_port};
	int fd = -1;
	CHECK(admin->num_servers < MAX_SERVERS);
	RETURN_IF_ERR(ip_addr_parse(span_of_str(ip), &at.ip));
	RETURN_IF_ERR(socket_listen(&at, &how, &fd, why));
	struct http_server *server = http_server_new(loop, fd, pages, num_pages);
	if (options->is_held)
		http_server_hold(server);
	admin->servers[admin->num_servers++] = server;
	return ERR_NONE;
}

/* The operator's pages are on loopback only: they name all peers of the workload. */
static enum err serve(struct admin *admin, struct loop *loop, const struct admin_options *options, struct why *why)
{
	RETURN_IF_ERR(serve_at(admin, loop, options, "127.0.0.1", admin->admin_pages, why));
	RETURN_IF_ERR(serve_at(admin, loop, options, "0.0.0.0", admin->metrics_pages, why));
	if (!options->ipv6)
		return ERR_NONE;
	RETURN_IF_ERR(serve_at(admin, loop, options, "::1", admin->admin_pages, why));
	return serve_at(admin, loop, options, "::", admin->metrics_pages, why);
}

enum err admin_new(struct loop *loop, const struct admin_options *options, const struct admin_pages *pages,
	struct admin **out, struct why *why)
{
	struct admin *admin = mem_new(struct admin);
	pages_fill(admin, pages);
	enum err err = serve(admin, loop, options, why);
	if (err != ERR_NONE) {
		admin_free(admin);
		return err;
	}
	*out = admin;
	return ERR_NONE;
}

uint64_t admin_num_displaced(const struct admin *admin)
{
	uint64_t num = 0;
	for (unsigned i = 0; i < admin->num_servers; i++)
		num += http_server_num_evicted(admin->servers[i]);
	return num;
}

enum err admin_start(struct admin *admin)
{
	enum err first = ERR_NONE;
	for (unsigned i = 0; i < admin->num_servers; i++) {
		enum err err = http_server_start(admin->servers[i]);
		first = first == ERR_NONE ? err : first;
	}
	return first;
}

void admin_hold(struct admin *admin)
{
	for (unsigned i = 0; i < admin->num_servers; i++)
		http_server_hold(admin->servers[i]);
}

void admin_stop_accepting(struct admin *admin)
{
	for (unsigned i = 0; i < admin->num_servers; i++)
		http_server_stop_accepting(admin->servers[i]);
}

size_t admin_sockets(const struct admin *admin, int *out, size_t num)
{
	size_t len = 0;
	for (unsigned i = 0; i < admin->num_servers && len < num; i++)
		out[len++] = http_server_fd(admin->servers[i]);
	return len;
}

void admin_free(struct admin *admin)
{
	if (admin == NULL)
		return;
	for (unsigned i = 0; i < admin->num_servers; i++)
		http_server_free(admin->servers[i]);
	mem_free(admin);
}

void admin_answer_json(struct http_request *request, json_t *root)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT(64 << 20); /* bounded by what the page's owner collects */
	CHECK(root != NULL);
	enum err err = buf_append_json(&text, root, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	json_decref(root);
	if (err != ERR_NONE || buf_append_str(&text, "\n") != ERR_NONE)
		http_answer(request, 500, HTTP_TEXT, SPAN_LITERAL("the page is too large\n"));
	else
		http_answer(request, 200, HTTP_JSON, buf_span(&text));
}

void admin_answer_metrics(struct http_request *request, const struct metrics *metrics, struct span more)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT(METRICS_MAX_BYTES);
	CHECK(metrics_encode(metrics, &text) == ERR_NONE && buf_append(&text, more) == ERR_NONE); /* both bounded */
	http_answer(request, 200, HTTP_METRICS, buf_span(&text));
}

void admin_answer_probe(struct http_request *request, bool is_ready, const char *text)
{
	_cleanup_(buf_done) struct buf body = BUF_INIT(8192);
	if (buf_printf(&body, "%s\n", text) != ERR_NONE)
		buf_clear(&body);
	http_answer(request, is_ready ? 200 : 503, HTTP_TEXT, buf_span(&body));
}
