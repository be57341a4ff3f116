/* The injection webhook over TLS on loopback, with its client in another process, as the API server is: how long
 * reviews of a pod of 13 KB take, one after the other and 32 at once, and what a review costs the webhook.
 *
 *     kube_webhook [http1|http2 AT_ONCE REVIEWS]
 *
 * HTTP/1.1 has a connection per review at once, HTTP/2 one connection. Instructions per review: the difference between
 * two runs of `valgrind --tool=callgrind --trace-children=no` with other numbers of reviews, divided by theirs.
 */
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/net/socket.h"
#include "base/rpc/transport.h"
#include "control/kube/test_webhook.h"
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { REVIEWS = 10000, AT_ONCE = WEBHOOK_STREAMS_MAX, POD_LEN = 13000, TEXT_MAX = 65536, ANSWER_MAX = 1 << 20 };

struct bench;

/* A connection with HTTP/1.1 and its one request. */
struct caller {
	struct bench *bench;
	struct transport *transport;
	struct loop_io io;
	struct span to_send;
	struct buf received;
	bool is_done;
};

struct bench {
	struct test_webhook world;
	struct test_client client;
	struct test_call calls[AT_ONCE];
	struct tls_context *http1;
	struct caller callers[AT_ONCE];
	char text[TEXT_MAX], request[2 * TEXT_MAX];
	struct span body;
	double *took_ms;
};

static double ms_of(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static double now_ms(void)
{
	return ms_of(CLOCK_MONOTONIC);
}

static void expect(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "%s\n", what);
	exit(1);
}

static size_t number_of(const char *digits)
{
	size_t number = 0;
	for (; *digits >= '0' && *digits <= '9'; digits++)
		number = number * 10 + (size_t)(*digits - '0');
	return number;
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
	bench->body = span_of(text, (size_t)len);
	snprintf(bench->request, sizeof(bench->request),
		"POST /inject?timeout=5s HTTP/1.1\r\nHost: handfast-webhook\r\nContent-Length: %d\r\n\r\n%s", len,
		text);
}

/* --- HTTP/1.1 --- */

static enum err on_verify(
	void *arg, const struct span *chain, size_t num_chain, struct svid **out_svid, struct why *why)
{
	(void)arg, (void)chain, (void)num_chain, (void)out_svid, (void)why;
	return ERR_NONE;
}

static bool is_whole(struct caller *caller)
{
	const char *text = buf_cstr(&caller->received), *end = strstr(text, "\r\n\r\n");
	const char *length = strstr(text, "Content-Length: ");
	if (end == NULL)
		return false;
	expect(strncmp(text, "HTTP/1.1 200 ", 13) == 0 && length != NULL, "a review was not answered with 200");
	return buf_len(&caller->received) == (size_t)(end + 4 - text) + number_of(length + 16);
}

static bool advance(struct caller *caller)
{
	size_t len = 0;
	while (caller->to_send.len > 0 && transport_write(caller->transport, caller->to_send, &len) == IO_DONE)
		caller->to_send = span_from(caller->to_send, len);
	if (transport_flush(caller->transport) != IO_DONE || caller->to_send.len > 0)
		return false;
	uint8_t bytes[16384];
	while (transport_read(caller->transport, bytes, sizeof(bytes), &len) == IO_DONE)
		CHECK(buf_append(&caller->received, span_of(bytes, len)) == ERR_NONE);
	caller->is_done = is_whole(caller);
	return true;
}

static void on_ready(struct loop_io *io, unsigned ready)
{
	struct caller *caller = container_of(io, struct caller, io);
	(void)ready;
	if (!caller->is_done)
		loop_io_set_interest(io, advance(caller) ? LOOP_READ : LOOP_READ | LOOP_WRITE);
}

static void dial(struct bench *bench, struct caller *caller)
{
	struct tls_session *session = NULL;
	int fd = -1;
	*caller = (struct caller){.bench = bench, .received = BUF_INIT(ANSWER_MAX)};
	CHECK(socket_connect(&bench->world.at, &(struct socket_connect_options){0}, &fd) == ERR_NONE);
	CHECK(tls_session_new(&(struct tls_session_options){.context = bench->http1,
				      .scratch = bench->world.scratch,
				      .fd = fd,
				      .on_verify = on_verify},
		      &session, NULL) == ERR_NONE);
	caller->transport = transport_new_tls(session);
	while (transport_handshake(caller->transport) != IO_DONE)
		(void)poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, -1);
	caller->is_done = true;
	loop_io_start(bench->world.loop, &caller->io, fd, LOOP_READ, on_ready);
}

static void start_http1(struct bench *bench, size_t i)
{
	struct caller *caller = &bench->callers[i];
	buf_clear(&caller->received);
	caller->is_done = false;
	caller->to_send = span_of_str(bench->request);
	on_ready(&caller->io, LOOP_WRITE);
}

static bool is_done_http1(struct bench *bench, size_t i)
{
	return bench->callers[i].is_done;
}

/* --- HTTP/2 --- */

static void start_http2(struct bench *bench, size_t i)
{
	test_call_start(&bench->client, &bench->calls[i], "POST", "/inject", bench->body);
}

static bool is_done_http2(struct bench *bench, size_t i)
{
	struct test_call *call = &bench->calls[i];
	if (!call->stream.is_closed)
		return false;
	expect(strcmp(call->status, "200") == 0, "a review was not answered with 200");
	test_call_done(call);
	return true;
}

/* --- measuring --- */

struct way {
	const char *name;
	void (*start)(struct bench *bench, size_t i);
	bool (*is_done)(struct bench *bench, size_t i); /* once true, it is not asked again */
};

static const struct way ways[] = {{"http2", start_http2, is_done_http2}, {"http1", start_http1, is_done_http1}};

/* `num` reviews at once; each takes until its own answer. */
static void round_of(struct bench *bench, const struct way *way, size_t num, double *took_ms)
{
	double start = now_ms();
	size_t num_done = 0;
	for (size_t i = 0; i < num; i++) {
		took_ms[i] = 0;
		way->start(bench, i);
	}
	while (num_done < num) { /* an answer may have come before the first round */
		for (size_t i = 0; i < num; i++)
			if (took_ms[i] == 0 && way->is_done(bench, i)) {
				took_ms[i] = now_ms() - start;
				num_done++;
			}
		if (num_done < num)
			loop_run_once(bench->world.loop, true);
	}
}

static int compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;
	return left < right ? -1 : left > right;
}

static void measure(struct bench *bench, const struct way *way, size_t at_once, size_t reviews)
{
	size_t num = reviews / at_once * at_once;
	clockid_t webhook;
	CHECK(clock_getcpuclockid(getppid(), &webhook) == 0);
	bench->took_ms = mem_zalloc(num * sizeof(double));
	double start = now_ms(), start_webhook = ms_of(webhook), start_client = ms_of(CLOCK_PROCESS_CPUTIME_ID);
	for (size_t i = 0; i < num; i += at_once)
		round_of(bench, way, at_once, &bench->took_ms[i]);
	double took_ms = now_ms() - start, webhook_ms = ms_of(webhook) - start_webhook;
	double client_ms = ms_of(CLOCK_PROCESS_CPUTIME_ID) - start_client;
	qsort(bench->took_ms, num, sizeof(bench->took_ms[0]), compare);
	printf("%s, %zu at once: p50 %.2f ms, p99 %.2f ms, most %.2f ms, %.0f per second, a review costs the webhook "
	       "%.3f ms of a "
	       "processor, the client %.3f ms\n",
		way->name, at_once, bench->took_ms[num / 2], bench->took_ms[num * 99 / 100], bench->took_ms[num - 1],
		(double)num * 1e3 / took_ms, webhook_ms / (double)num, client_ms / (double)num);
	mem_free(TAKE_PTR(bench->took_ms));
}

/* The client's process: a loop and contexts of its own. */
static void run_client(struct bench *bench, int argc, char **argv)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	bench->world.loop = loop_new(&bench->world.clock.clock);
	bench->http1 = tls_context_new(&(struct tls_context_options){.role = TLS_CLIENT, .alpn = "http/1.1"});
	test_client_init(&bench->world, &bench->client);
	while (!bench->client.is_open)
		loop_run_once(bench->world.loop, true);
	for (size_t i = 0; i < AT_ONCE; i++)
		dial(bench, &bench->callers[i]);
	if (argc == 4) {
		size_t at_once = number_of(argv[2]), reviews = number_of(argv[3]);
		expect(at_once >= 1 && at_once <= AT_ONCE && reviews >= at_once,
			"1 to 32 at once, and no fewer reviews");
		measure(bench, &ways[strcmp(argv[1], "http1") == 0], at_once, reviews);
		return;
	}
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		measure(bench, &ways[i], 1, REVIEWS);
		measure(bench, &ways[i], AT_ONCE, REVIEWS);
	}
}

int main(int argc, char **argv)
{
	struct bench *bench = mem_new(struct bench);
	int status = 0;
	test_webhook_init(&bench->world);
	make_review(bench);
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		run_client(bench, argc, argv);
		fflush(stdout);
		_exit(0);
	}
	while (waitpid(child, &status, WNOHANG) == 0)
		loop_run_once(bench->world.loop, true); /* the end of the connections ends it */
	test_webhook_done(&bench->world);
	mem_free(bench);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
