#include "certs/test_mesh.h"
#include "certs/verify.h"
#include <openssl/sha.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the three headers above */
#include <cmocka.h>

#define CONTROL "spiffe://td.test/handfast/control"

struct server {
	struct test_cert *root, *leaf;
	struct span chain[2];
	uint8_t pin[1][32];
	struct spiffe_id expected;
	struct verify_bootstrap_input input;
};

static void server_done(struct server *server)
{
	test_cert_free(server->root);
	test_cert_free(server->leaf);
	spiffe_id_done(&server->expected);
}

static void server_init(struct server *server, const struct test_cert_spec *leaf)
{
	struct test_cert_spec root = test_ca_spec("bootstrap root");
	*server = (struct server){.root = test_cert_new(&root, NULL)};
	server->leaf = test_cert_new(leaf, server->root);
	server->chain[0] = test_cert_der(server->leaf);
	server->chain[1] = test_cert_der(server->root);
	SHA256(server->chain[1].ptr, server->chain[1].len, server->pin[0]);
	assert_int_equal(spiffe_id_parse(SPAN_LITERAL(CONTROL), &server->expected, NULL), ERR_NONE);
	server->input = (struct verify_bootstrap_input){.chain = server->chain,
		.num_chain = 2,
		.pins = (const uint8_t(*)[32])server->pin,
		.num_pins = 1,
		.expected = &server->expected,
		.now_s = TEST_NOW_S};
}

static enum err judge(const struct server *server)
{
	struct why why = {0};
	enum err err = verify_bootstrap_chain(&server->input, &why);
	assert_int_equal(err, why.err);
	return err;
}

static void accepts_the_control_plane_below_the_pinned_root(_unused_ void **state)
{
	_cleanup_(server_done) struct server server;
	struct test_cert_spec spec = test_leaf_spec(CONTROL);
	server_init(&server, &spec);
	assert_int_equal(judge(&server), ERR_NONE);
}

static void C15_refuses_a_root_that_is_not_pinned(_unused_ void **state)
{
	_cleanup_(server_done) struct server server;
	struct test_cert_spec spec = test_leaf_spec(CONTROL);
	server_init(&server, &spec);
	server.pin[0][31] ^= 1;
	assert_int_equal(judge(&server), ERR_UNTRUSTED);
	server.input.num_pins = 0;
	assert_int_equal(judge(&server), ERR_UNTRUSTED);
}

static void C15_refuses_a_chain_without_the_root(_unused_ void **state)
{
	_cleanup_(server_done) struct server server;
	struct test_cert_spec spec = test_leaf_spec(CONTROL);
	server_init(&server, &spec);
	server.input.num_chain = 1;
	assert_int_equal(judge(&server), ERR_UNTRUSTED);
}

/* The pinned root is public: an attacker can send it with another leaf. */
static void C15_refuses_another_leaf_with_the_pinned_root(_unused_ void **state)
{
	_cleanup_(server_done) struct server server, stranger;
	struct test_cert_spec spec = test_leaf_spec(CONTROL);
	server_init(&server, &spec);
	server_init(&stranger, &spec);
	server.chain[0] = stranger.chain[0];
	assert_int_equal(judge(&server), ERR_UNTRUSTED);
}

static void C15_refuses_a_pinned_leaf(_unused_ void **state)
{
	_cleanup_(server_done) struct server server;
	struct test_cert_spec spec = test_leaf_spec(CONTROL);
	server_init(&server, &spec);
	SHA256(server.chain[0].ptr, server.chain[0].len, server.pin[0]);
	assert_int_equal(judge(&server), ERR_UNTRUSTED);
}

static void C15_refuses_a_workloads_identity(_unused_ void **state)
{
	static const char *const ids[] = {"spiffe://td.test/a", "spiffe://td.test/handfast/control/a",
		"spiffe://other.test/handfast/control", "spiffe://td.test/handfast"};
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		_cleanup_(server_done) struct server server;
		struct test_cert_spec spec = test_leaf_spec(ids[i]);
		server_init(&server, &spec);
		assert_int_equal(judge(&server), ERR_WRONG_PEER);
	}
}

static void accepts_not_yet_valid_chains_so_that_a_slow_clock_can_be_corrected(_unused_ void **state)
{
	_cleanup_(server_done) struct server server;
	struct test_cert_spec spec = test_leaf_spec(CONTROL);
	server_init(&server, &spec);
	server.input.now_s = TEST_NOW_S - 10000000;
	assert_int_equal(judge(&server), ERR_NONE);
}

static void refuses_expired_chains(_unused_ void **state)
{
	_cleanup_(server_done) struct server server;
	struct test_cert_spec spec = test_leaf_spec(CONTROL);
	spec.not_after_s = TEST_NOW_S - 1;
	server_init(&server, &spec);
	assert_int_equal(judge(&server), ERR_EXPIRED);
	server.input.now_s = TEST_NOW_S + 10000000; /* the root has expired too */
	assert_int_equal(judge(&server), ERR_EXPIRED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_the_control_plane_below_the_pinned_root),
		cmocka_unit_test(C15_refuses_a_root_that_is_not_pinned),
		cmocka_unit_test(C15_refuses_a_chain_without_the_root),
		cmocka_unit_test(C15_refuses_another_leaf_with_the_pinned_root),
		cmocka_unit_test(C15_refuses_a_pinned_leaf),
		cmocka_unit_test(C15_refuses_a_workloads_identity),
		cmocka_unit_test(accepts_not_yet_valid_chains_so_that_a_slow_clock_can_be_corrected),
		cmocka_unit_test(refuses_expired_chains),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
