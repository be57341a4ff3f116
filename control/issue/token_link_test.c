/* The test is the other end of the socket: its answers are there before they are wanted. */
#include "base/core/check.h"
#include "certs/test_ca.h"
#include "control/issue/token_link.h"
#include "control/pkcs11/token_wire.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
/* cmocka requires the four above */
#include <cmocka.h>

struct world {
	struct token_link link;
	int far;
	struct private_key *key;
};

static int set_up(void **state)
{
	static struct world world;
	const struct timeval wait = {.tv_usec = 50000};
	struct test_cert_spec spec = test_ca_spec("root");
	_cleanup_(test_cert_freep) struct test_cert *cert = test_cert_new(&spec, NULL);
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait), 0);
	world = (struct world){.link = {.fd = pair[0]}, .far = pair[1]};
	assert_int_equal(token_link_key(&world.link, test_cert_der(cert), &world.key, NULL), ERR_NONE);
	*state = &world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	private_key_unref(world->key);
	close(world->link.fd);
	if (world->far >= 0)
		close(world->far);
	return 0;
}

static void put_answer(const struct world *world, uint64_t id, bool is_signed, const void *bytes, size_t len)
{
	uint8_t message[sizeof(struct token_answer_header) + 512];
	const struct token_answer_header header = {.id = id, .is_signed = is_signed, .len = (uint32_t)len};
	memcpy(message, &header, sizeof header);
	memcpy(message + sizeof header, bytes, len);
	assert_int_equal(send(world->far, message, sizeof header + len, 0), (ssize_t)(sizeof header + len));
}

static enum err sign(struct world *world)
{
	_cleanup_(buf_done) struct buf signature = BUF_INIT(256);
	return private_key_sign(world->key, SPAN_LITERAL("message"), &signature);
}

static void a_digest_goes_out_and_its_signature_comes_back(void **state)
{
	struct world *world = *state;
	static const uint8_t signature[64] = {1, [32] = 2};
	uint8_t request[512];
	put_answer(world, 1, true, signature, sizeof signature);
	assert_int_equal(sign(world), ERR_NONE);
	assert_int_equal(
		recv(world->far, request, sizeof request, 0), (ssize_t)sizeof(struct token_request_header) + 32);
}

static void an_answer_to_what_timed_out_is_passed_over(void **state)
{
	struct world *world = *state;
	static const uint8_t signature[64] = {1, [32] = 2};
	assert_int_equal(sign(world), ERR_CRYPTO);
	assert_int_equal(world->link.trouble.err, ERR_TIMEOUT);
	put_answer(world, 1, true, "late", 4);
	put_answer(world, 2, true, signature, sizeof signature);
	assert_int_equal(sign(world), ERR_NONE);
}

static void the_reason_of_the_token_is_kept(void **state)
{
	struct world *world = *state;
	static const char text[] = "C_Sign: error 0x32; expected: a token; fix: plug it in";
	put_answer(world, 1, false, text, sizeof text - 1);
	assert_int_equal(sign(world), ERR_CRYPTO);
	assert_string_equal(world->link.trouble.got, "C_Sign: error 0x32");
	assert_string_equal(world->link.trouble.fix, "plug it in");
}

static void C42_a_signature_of_another_length_or_an_end_is_an_error(void **state)
{
	struct world *world = *state;
	static const uint8_t bytes[512] = {1};
	put_answer(world, 1, true, bytes, 63);
	assert_int_equal(sign(world), ERR_CRYPTO);
	put_answer(world, 2, true, bytes, 512);
	assert_int_equal(sign(world), ERR_CRYPTO);
	close(world->far);
	world->far = -1;
	assert_int_equal(sign(world), ERR_CRYPTO);
	assert_int_equal(world->link.trouble.err, ERR_UNAVAILABLE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_digest_goes_out_and_its_signature_comes_back),
		TEST(an_answer_to_what_timed_out_is_passed_over),
		TEST(the_reason_of_the_token_is_kept),
		TEST(C42_a_signature_of_another_length_or_an_end_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
