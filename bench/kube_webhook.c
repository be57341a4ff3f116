/* The injection webhook over TLS and HTTP/2 on loopback, with its client in the same thread: how long reviews of a pod
 * of 13 KB take, one after the other and 32 at once.
 */
#include "base/core/mem.h"
#include "control/kube/test_webhook.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { REVIEWS = 10000, AT_ONCE = WEBHOOK_STREAMS_MAX, POD_LEN = 13000, TEXT_MAX = 65536 };

struct bench {
	struct test_webhook world;
	struct test_client client;
	char text[TEXT_MAX];
	size_t len;
	double took_ms[REVIEWS];
};

static double now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void make_review(struct bench *bench)
{
	char *text = bench->text;
	int len = snprintf(text, TEXT_MAX,
		"{\"kind\":\"AdmissionReview\",\"apiVersion\":\"admission.k8s.io/v1\",\"request\":{\"uid\":\"u\","
		"\"resource\":{\"group\":\"\",\"version\":\"v1\",\"resource\":\"pods\"},\"namespace\":\"shop\","
		"\"operation\":\"CREATE\",\"object\":{\"metadata\":{\"generateName\":\"cart-\"},\"spec\":{"
		"\"containers\":[{\"name\":\"app\",\"image\":\"a\",\"livenessProbe\":{\"httpGet\":{\"port\":80}},"
		"\"env\":[");
	for (unsigned n = 0; len < POD_LEN; n++)
		len += snprintf(text + len, TEXT_MAX - (size_t)len, "%s{\"name\":\"VARIABLE_%u\",\"value\":\"%u\"}",
			n == 0 ? "" : ",", n, n);
	len += snprintf(text + len, TEXT_MAX - (size_t)len, "]}]}}}}");
	bench->len = (size_t)len;
}

static void expect(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "%s\n", what);
	exit(1);
}

/* `num` reviews at once; each takes until its own answer. */
static void round_of(struct bench *bench, size_t num, double *took_ms)
{
	static struct test_call calls[AT_ONCE];
	double start = now_ms();
	size_t num_done = 0;
	for (size_t i = 0; i < num; i++) {
		calls[i] = (struct test_call){.is_held = false};
		took_ms[i] = 0;
		test_call_start(&bench->client, &calls[i], "POST", "/inject", span_of(bench->text, bench->len));
	}
	while (num_done < num) {
		loop_run_once(bench->world.loop, true);
		for (size_t i = 0; i < num; i++)
			if (calls[i].is_closed && took_ms[i] == 0) {
				took_ms[i] = now_ms() - start;
				num_done++;
			}
	}
	for (size_t i = 0; i < num; i++) {
		expect(strcmp(calls[i].status, "200") == 0, "a review was not answered with 200");
		test_call_done(&calls[i]);
	}
}

static int compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;
	return left < right ? -1 : left > right;
}

static void measure(struct bench *bench, size_t at_once)
{
	size_t num = REVIEWS / at_once * at_once;
	double start = now_ms();
	for (size_t i = 0; i < num; i += at_once)
		round_of(bench, at_once, &bench->took_ms[i]);
	double took_ms = now_ms() - start;
	qsort(bench->took_ms, num, sizeof(bench->took_ms[0]), compare);
	printf("%zu at once: p50 %.2f ms, p99 %.2f ms, most %.2f ms, %.0f per second\n", at_once,
		bench->took_ms[num / 2], bench->took_ms[num * 99 / 100], bench->took_ms[num - 1],
		(double)num * 1e3 / took_ms);
}

int main(void)
{
	struct bench *bench = mem_new(struct bench);
	test_webhook_init(&bench->world);
	make_review(bench);
	test_client_init(&bench->world, &bench->client);
	expect(test_webhook_run(&bench->world, bench->client.is_open), "no connection");
	measure(bench, 1);
	measure(bench, AT_ONCE);
	test_client_done(&bench->client);
	test_webhook_done(&bench->world);
	mem_free(bench);
	return 0;
}
