/* The load of the benchmark and its far end.
 *
 *	load serve ADDRESS:PORT
 *	load keepalive|connect|open|idle ADDRESS:PORT [connections=N] [seconds=N] [count=N] [request=BYTES]
 *		[response=BYTES] [rate=N] [downloads=N] [download=BYTES]
 *
 * A bulk download is `keepalive` with count=connections and a large response. The result is one JSON line. */
#include "base/core/mem.h"
#include "bench/load/far_end.h"
#include "bench/load/mode.h"
#include "bench/load/request.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *name;
	mode_fn *run;
} modes[] = {
	{"keepalive", mode_keepalive},
	{"connect", mode_connect},
	{"open", mode_open},
	{"idle", mode_idle},
};

static const struct {
	const char *name;
	size_t offset;
} settings[] = {
	{"connections", offsetof(struct mode_options, connections)},
	{"seconds", offsetof(struct mode_options, seconds)},
	{"count", offsetof(struct mode_options, count)},
	{"request", offsetof(struct mode_options, request_len)},
	{"response", offsetof(struct mode_options, response_len)},
	{"rate", offsetof(struct mode_options, rate)},
	{"downloads", offsetof(struct mode_options, downloads)},
	{"download", offsetof(struct mode_options, download_len)},
};

static bool set(struct mode_options *options, const char *word)
{
	const char *value = strchr(word, '=');
	for (size_t i = 0; value != NULL && i < sizeof(settings) / sizeof(settings[0]); i++) {
		size_t len = strlen(settings[i].name);
		if ((size_t)(value - word) != len || memcmp(word, settings[i].name, len) != 0)
			continue;
		char *end;
		uint64_t number = strtoull(value + 1, &end, 10);
		memcpy((char *)options + settings[i].offset, &number, sizeof(number));
		return value[1] != '\0' && *end == '\0';
	}
	return false;
}

static bool is_sound(const struct mode_options *options)
{
	return options->connections > 0 && options->response_len > 0 && options->rate > 0 &&
	       options->request_len >= sizeof(struct request_header) && options->request_len <= REQUEST_LEN_MAX;
}

static void print_result(const struct mode_result *result)
{
	const struct histogram *latency = &result->latency;
	printf("{\"done\": %llu, \"failed\": %llu, \"bytes\": %llu, \"download_bytes\": %llu, \"seconds\": %.6f, "
	       "\"p50_us\": %llu, \"p99_us\": %llu, \"p999_us\": %llu, \"max_us\": %llu}\n",
		(unsigned long long)result->done, (unsigned long long)result->failed,
		(unsigned long long)result->num_bytes, (unsigned long long)result->download_bytes,
		(double)result->elapsed_us / 1e6, (unsigned long long)histogram_permille(latency, 500),
		(unsigned long long)histogram_permille(latency, 990),
		(unsigned long long)histogram_permille(latency, 999), (unsigned long long)latency->max);
}

static int serve(const struct addr *at)
{
	struct loop *loop = loop_new(&clock_system);
	struct why why = {0};
	if (far_end_start(loop, at, &why) != ERR_NONE) {
		(void)fputs("load: cannot listen there\n", stderr);
		return 69;
	}
	loop_run(loop);
	return 0;
}

static int ask(mode_fn *run, const struct mode_options *options)
{
	struct loop *loop = loop_new(&clock_system);
	struct mode_result *result = mem_new(struct mode_result);
	run(loop, options, result);
	print_result(result);
	mem_free(result);
	loop_free(loop);
	return 0;
}

int main(int argc, char **argv)
{
	struct mode_options options = {
		.connections = 1,
		.seconds = 2,
		.request_len = 128,
		.response_len = 1024,
		.rate = 1000,
		.download_len = 64 << 20,
	};
	bool is_right = argc >= 3 && addr_parse(span_of_str(argv[2]), &options.to) == ERR_NONE;
	for (int i = 3; i < argc; i++)
		is_right = is_right && set(&options, argv[i]);
	if (is_right && is_sound(&options) && strcmp(argv[1], "serve") == 0)
		return serve(&options.to);
	for (size_t i = 0; is_right && is_sound(&options) && i < sizeof(modes) / sizeof(modes[0]); i++)
		if (strcmp(argv[1], modes[i].name) == 0)
			return ask(modes[i].run, &options);
	(void)fputs("usage: load serve|keepalive|connect|open|idle ADDRESS:PORT [NAME=NUMBER..]; see main.c\n", stderr);
	return 64;
}
