/* Benchmark of a pair of sessions on one core: bulk, small messages, handshakes. Run manually, built with --config=opt;
 * it asserts nothing about speed. */
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/tls/test_pair.h"
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

enum { PIECE = 128 * 1024, ROUND = 4 * PIECE };

static double cpu_s(void)
{
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static size_t drain(struct tls_session *session, uint8_t *to, size_t cap)
{
	size_t total = 0, len = 0;
	while (tls_session_read(session, to, cap, &len) == IO_DONE) {
		total += len;
		if (len < cap && !tls_session_has_pending(session))
			break;
	}
	return total;
}

static void carry(struct test_pair *pair, size_t total)
{
	uint8_t *from = mem_zalloc(PIECE), *to = mem_zalloc(PIECE);
	int wide = 4 * 1024 * 1024;
	(void)setsockopt(tls_session_fd(pair->client), SOL_SOCKET, SO_SNDBUFFORCE, &wide, sizeof wide);
	double start = cpu_s();
	size_t received = 0, len = 0;
	while (received < total) {
		for (size_t sent = 0; sent < ROUND; sent += len)
			if (tls_session_write(pair->client, span_of(from, PIECE), &len) != IO_DONE)
				break;
		CHECK(tls_session_flush(pair->client) != IO_FAILED);
		received += drain(pair->server, to, PIECE);
	}
	double took = cpu_s() - start;
	printf("bulk: %.0f MB/s of one core, both ends, %s\n", (double)received / took / 1e6,
		tls_session_cipher(pair->client));
	mem_free(from);
	mem_free(to);
}

static void exchange_small(struct test_pair *pair, size_t times)
{
	double start = cpu_s();
	for (size_t i = 0; i < times; i++) {
		test_send(pair->client, "a request of some forty bytes, as it were");
		test_expect(pair->server, "a request of some forty bytes, as it were");
	}
	printf("small: %.2f us per message, both ends\n", (cpu_s() - start) / (double)times * 1e6);
}

static void shake(struct test_pair *pair, size_t times)
{
	double start = cpu_s();
	for (size_t i = 0; i < times; i++) {
		test_pair_establish(pair);
		tls_session_free(TAKE_PTR(pair->client));
		tls_session_free(TAKE_PTR(pair->server));
	}
	printf("handshake: %.0f us, both ends, chains only parsed\n", (cpu_s() - start) / (double)times * 1e6);
}

int main(void)
{
	void *state = NULL;
	(void)test_pair_setup(&state);
	struct test_pair *pair = state;
	shake(pair, 1000);
	test_pair_establish(pair);
	carry(pair, (size_t)2 * 1000 * 1000 * 1000);
	exchange_small(pair, 200000);
	return test_pair_teardown(&state);
}
