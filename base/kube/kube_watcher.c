/* For tests: a client that does what standard input asks of it and prints what comes, one event per line. The end of
 * the input ends it.
 *
 *	kube_watcher KUBECONFIG
 *	watch PATH	PATH begin | put NAME VERSION | deleted NAME VERSION | synced | trouble WHY | over
 *	stop PATH
 *	get PATH	PATH answer STATUS LENGTH | failed WHY
 *	count		count PUTS DELETED LONGEST_MS: the events so far, and the longest time that the loop was busy
 */
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/kube/kube_watch.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { WATCHES_MAX = 16, LINE_MAX_LEN = 1024, TICK_MS = 10 };

struct watched {
	struct watcher *watcher;
	struct kube_watch *watch; /* NULL: stopped */
	char *path;
};

struct watcher {
	struct loop *loop;
	struct kube_client *client;
	struct watched watched[WATCHES_MAX];
	size_t num_watched;
	struct loop_io input;
	struct loop_timer tick;
	uint64_t ticked_ms, longest_ms, num_puts, num_deleted;
	char line[LINE_MAX_LEN];
	size_t line_len;
};

static void on_tick(struct loop_timer *timer)
{
	struct watcher *watcher = container_of(timer, struct watcher, tick);
	uint64_t now_ms = clock_system.mono_ms(&clock_system);
	uint64_t late_ms = now_ms - watcher->ticked_ms > TICK_MS ? now_ms - watcher->ticked_ms - TICK_MS : 0;
	if (late_ms > watcher->longest_ms)
		watcher->longest_ms = late_ms;
	watcher->ticked_ms = now_ms;
	loop_timer_start(watcher->loop, timer, TICK_MS, on_tick);
}

static void print_why(const char *path, const char *what, const struct why *why)
{
	char text[1024];
	printf("%s %s %s: %s\n", path, what, err_label(why->err), why_format(why, text, sizeof(text)));
	fflush(stdout);
}

static void print_event(const struct watched *watched, const char *event)
{
	printf("%s %s\n", watched->path, event);
	fflush(stdout);
}

static void on_begin(void *arg)
{
	print_event(arg, "begin");
}

static void on_object(void *arg, enum kube_event event, const json_t *object)
{
	struct watched *watched = arg;
	const json_t *metadata = json_object_get(object, "metadata");
	const char *name = json_string_value(json_object_get(metadata, "name"));
	const char *version = json_string_value(json_object_get(metadata, "resourceVersion"));
	if (event == KUBE_PUT)
		watched->watcher->num_puts++;
	else
		watched->watcher->num_deleted++;
	printf("%s %s %s %s\n", watched->path, event == KUBE_PUT ? "put" : "deleted", name != NULL ? name : "?",
		version != NULL ? version : "?");
	fflush(stdout);
}

static void on_synced(void *arg)
{
	print_event(arg, "synced");
}

static void on_trouble(void *arg, const struct why *why)
{
	struct watched *watched = arg;
	if (why == NULL)
		print_event(watched, "over");
	else
		print_why(watched->path, "trouble", why);
}

static void on_answer(void *arg, enum err err, const struct kube_response *response, const struct why *why)
{
	char *path = arg;
	if (err == ERR_NONE)
		printf("%s answer %u %zu\n", path, response->status, response->body.len);
	else
		print_why(path, "failed", why);
	fflush(stdout);
	mem_free(path);
}

static void watch(struct watcher *watcher, const char *path)
{
	CHECK(watcher->num_watched < WATCHES_MAX);
	struct watched *watched = &watcher->watched[watcher->num_watched++];
	*watched = (struct watched){.watcher = watcher, .path = mem_strdup(path)};
	const struct kube_watch_observer observer = {on_begin, on_object, on_synced, on_trouble, watched};
	watched->watch = kube_watch_start(watcher->client, &(struct kube_watch_options){.path = path}, &observer);
}

static void stop(struct watcher *watcher, const char *path)
{
	for (size_t i = 0; i < watcher->num_watched; i++)
		if (watcher->watched[i].watch != NULL && strcmp(watcher->watched[i].path, path) == 0)
			kube_watch_stop(TAKE_PTR(watcher->watched[i].watch));
}

static void run_command(struct watcher *watcher, char *line)
{
	char *rest = strchr(line, ' ');
	if (rest != NULL)
		*rest++ = '\0';
	if (strcmp(line, "watch") == 0 && rest != NULL) {
		watch(watcher, rest);
	} else if (strcmp(line, "stop") == 0 && rest != NULL) {
		stop(watcher, rest);
	} else if (strcmp(line, "get") == 0 && rest != NULL) {
		kube_request_start(watcher->client, &(struct kube_request_options){.method = "GET", .path = rest},
			on_answer, mem_strdup(rest));
	} else if (strcmp(line, "count") == 0) {
		printf("count %llu %llu %llu\n", (unsigned long long)watcher->num_puts,
			(unsigned long long)watcher->num_deleted, (unsigned long long)watcher->longest_ms);
		fflush(stdout);
		watcher->longest_ms = 0;
	}
}

static void on_input(struct loop_io *io, unsigned is_ready)
{
	struct watcher *watcher = container_of(io, struct watcher, input);
	(void)is_ready;
	ssize_t len = read(0, watcher->line + watcher->line_len, sizeof(watcher->line) - 1 - watcher->line_len);
	if (len <= 0) {
		loop_stop(watcher->loop);
		return;
	}
	watcher->line_len += (size_t)len;
	watcher->line[watcher->line_len] = '\0';
	for (char *end; (end = strchr(watcher->line, '\n')) != NULL;) {
		*end = '\0';
		run_command(watcher, watcher->line);
		watcher->line_len -= (size_t)(end + 1 - watcher->line);
		memmove(watcher->line, end + 1, watcher->line_len + 1);
	}
}

int main(int argc, char **argv)
{
	struct watcher watcher = {.loop = loop_new(&clock_system)};
	_cleanup_(kube_config_done) struct kube_config config = {0};
	struct why why = {0};
	log_open("kube_watcher");
	(void)why_set(&why, ERR_CONFIG, "kube_watcher KUBECONFIG", "give it", "%d arguments are given", argc - 1);
	if (argc != 2 || kube_config_load(argv[1], &config, &why) != ERR_NONE) {
		print_why("kube_watcher", "failed", &why);
		return 1;
	}
	watcher.client = kube_client_new(watcher.loop, &config);
	watcher.ticked_ms = clock_system.mono_ms(&clock_system);
	loop_timer_start(watcher.loop, &watcher.tick, TICK_MS, on_tick);
	loop_io_start(watcher.loop, &watcher.input, 0, LOOP_READ, on_input);
	loop_run(watcher.loop);
	for (size_t i = 0; i < watcher.num_watched; i++) {
		if (watcher.watched[i].watch != NULL)
			kube_watch_stop(watcher.watched[i].watch);
		mem_free(watcher.watched[i].path);
	}
	kube_client_free(watcher.client);
	loop_io_stop(&watcher.input);
	loop_timer_stop(&watcher.tick);
	loop_free(watcher.loop);
	return 0;
}
