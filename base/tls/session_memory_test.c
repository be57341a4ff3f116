/* The memory of an idle session, part of the documented 8 KB per pair of proxies. */
#include "base/core/mem.h"
#include "base/tls/test_pair.h"
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
/* cmocka requires <setjmp.h> and <stdarg.h> */
#include <cmocka.h>

enum { NUM_PAIRS = 64, IDLE_MAX = 4096 };

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { HAS_MALLINFO = 0 };
#else
enum { HAS_MALLINFO = 1 };
#endif

static size_t heap_in_use(void)
{
	struct mallinfo2 info = mallinfo2();
	return info.uordblks + info.hblkhd;
}

static void use(struct test_pair *pair)
{
	uint8_t *bulk = mem_zalloc(100000);
	size_t len = 0, total = 0;
	assert_int_equal(tls_session_write(pair->client, span_of(bulk, 100000), &len), IO_DONE);
	while (total < 100000) {
		(void)!tls_session_flush(pair->client);
		if (tls_session_read(pair->server, bulk, 100000, &len) == IO_DONE)
			total += len;
	}
	test_send(pair->server, "thanks");
	test_expect(pair->client, "thanks");
	mem_free(bulk);
}

static void an_idle_session_uses_little_memory(void **state)
{
	if (!HAS_MALLINFO)
		skip();
	struct test_pair *pair = *state;
	struct tls_session *clients[NUM_PAIRS], *servers[NUM_PAIRS];
	test_pair_establish(pair); /* allocates what exists once per process: error queue, pool, spare blocks */
	use(pair);
	tls_session_free(TAKE_PTR(pair->client));
	tls_session_free(TAKE_PTR(pair->server));
	size_t before = heap_in_use();
	for (size_t i = 0; i < NUM_PAIRS; i++) {
		test_pair_establish(pair);
		use(pair);
		clients[i] = TAKE_PTR(pair->client);
		servers[i] = TAKE_PTR(pair->server);
	}
	size_t both = (heap_in_use() - before) / NUM_PAIRS;
	for (size_t i = 0; i < NUM_PAIRS; i++)
		tls_session_free(clients[i]);
	size_t server_alone = (heap_in_use() - before) / NUM_PAIRS;
	for (size_t i = 0; i < NUM_PAIRS; i++)
		tls_session_free(servers[i]);
	printf("heap of an idle session: client %zu, server %zu bytes\n", both - server_alone, server_alone);
	assert_true(both - server_alone <= IDLE_MAX);
	assert_true(server_alone <= IDLE_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			an_idle_session_uses_little_memory, test_pair_setup, test_pair_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
