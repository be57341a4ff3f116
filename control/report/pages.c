#include "control/report/pages.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/http/http_get.h"

#define PAGE_MAX      (256u * 1024)
#define OBSTACLES_MAX (64u * 1024) /* more than all obstacles and conditions together */

struct pages {
	struct pages_options options;
	struct http_page table[3];
	struct http_server *server;
};

static void on_metrics(void *arg, struct http_request *request)
{
	const struct pages *pages = arg;
	_cleanup_(buf_done) struct buf page = BUF_INIT(PAGE_MAX);
	if (pages->options.on_scrape != NULL)
		pages->options.on_scrape(pages->options.arg);
	enum err err = metrics_encode(pages->options.metrics, &page);
	if (err == ERR_NONE && pages->options.put_rows != NULL)
		pages->options.put_rows(pages->options.arg, &page);
	if (err == ERR_NONE)
		http_answer(request, 200, HTTP_METRICS, buf_span(&page));
	else
		http_answer(request, 500, HTTP_TEXT, SPAN_LITERAL("too many rows\n"));
}

static void on_ready(void *arg, struct http_request *request)
{
	const struct pages *pages = arg;
	_cleanup_(buf_done) struct buf obstacles = BUF_INIT(OBSTACLES_MAX);
	_cleanup_(buf_done) struct buf page = BUF_INIT(OBSTACLES_MAX + 64);
	_cleanup_(buf_done) struct buf conditions = BUF_INIT(OBSTACLES_MAX);
	pages->options.list_obstacles(pages->options.arg, &obstacles);
	if (pages->options.list_conditions != NULL)
		pages->options.list_conditions(pages->options.arg, &conditions);
	if (buf_len(&obstacles) == 0 && buf_append_str(&page, "ready\n") == ERR_NONE &&
		buf_append(&page, buf_span(&conditions)) == ERR_NONE)
		http_answer(request, 200, HTTP_TEXT, buf_span(&page));
	else if (buf_append_str(&page, "not ready\n") != ERR_NONE ||
		 buf_append(&page, buf_span(&obstacles)) != ERR_NONE)
		http_answer(request, 503, HTTP_TEXT, SPAN_LITERAL("not ready\n"));
	else
		http_answer(request, 503, HTTP_TEXT, buf_span(&page));
}

static void on_live(void *arg, struct http_request *request)
{
	(void)arg;
	http_answer(request, 200, HTTP_TEXT, SPAN_LITERAL("live\n"));
}

struct pages *pages_new(const struct pages_options *options)
{
	CHECK(options->metrics != NULL && options->list_obstacles != NULL && options->listening_fd >= 0);
	struct pages *pages = mem_new(struct pages);
	pages->options = *options;
	pages->table[0] = (struct http_page){"/metrics", on_metrics, pages, .takes_names = true};
	pages->table[1] = (struct http_page){"/healthz/ready", on_ready, pages, .takes_names = true};
	pages->table[2] = (struct http_page){"/healthz/live", on_live, pages, .takes_names = true};
	pages->server = http_server_new(options->loop, options->listening_fd, pages->table, 3);
	return pages;
}

uint64_t pages_num_displaced(const struct pages *pages)
{
	return http_server_num_evicted(pages->server);
}

void pages_free(struct pages *pages)
{
	http_server_free(pages->server);
	mem_free(pages);
}
