#include "base/core/mem.h"
#include "base/kube/kube_dial.h"
#include "base/kube/test_client.h"
#include "base/kube/test_folder.h"
#include "certs/pem.h"
#include "certs/test_ca.h"
#include <setjmp.h>
#include <stdarg.h>
/* cmocka requires <setjmp.h> and <stdarg.h> */
#include <cmocka.h>

static void a_server_of_another_authority_is_refused(void **state)
{
	struct test_client *test = *state;
	struct test_server other;
	test_server_init(&other);
	buf_clear(&test->server.config.ca_pem);
	assert_int_equal(buf_append(&test->server.config.ca_pem, buf_span(&other.config.ca_pem)), ERR_NONE);
	struct test_result outcome = {0};
	test_client_get(test, "/a", &outcome);
	assert_true(test_client_await(test, &outcome));
	assert_int_equal(outcome.err, ERR_UNTRUSTED);
	test_server_done(&other);
}

/* --- what is loaded before each handshake --- */

static struct test_cert *make_authority(void)
{
	struct test_cert_spec spec = test_ca_spec("kubernetes");
	return test_cert_new(&spec, NULL);
}

static struct test_cert *make_leaf(const struct test_cert *authority)
{
	struct test_cert_spec spec = test_leaf_spec("");
	spec.names[0] = (struct test_name){TEST_NAME_DNS, SPAN_LITERAL("api.test")};
	return test_cert_new(&spec, authority);
}

static void encode(const struct test_cert *cert, struct buf *out)
{
	buf_init(out, 8192);
	assert_int_equal(pem_encode("CERTIFICATE", test_cert_der(cert), out), ERR_NONE);
}

static bool trusts(const struct web_peer *peer, const struct test_cert *leaf)
{
	_cleanup_(web_roots_freep) struct web_roots *roots = NULL;
	_cleanup_(web_identity_unrefp) struct web_identity *identity = NULL;
	struct span der = test_cert_der(leaf);
	assert_int_equal(peer->load(peer->arg, &roots, &identity, NULL), ERR_NONE);
	assert_null(identity);
	return verify_web_chain(
		       &(struct verify_web_input){
			       .chain = &der, .num_chain = 1, .roots = roots, .name = "api.test", .now_s = TEST_NOW_S},
		       NULL) == ERR_NONE;
}

static void the_file_of_authorities_is_read_anew_for_each_connection(void **state)
{
	const struct test_folder *folder = *state;
	_cleanup_(test_cert_freep) struct test_cert *old = make_authority(), *next = make_authority();
	_cleanup_(test_cert_freep) struct test_cert *of_old = make_leaf(old), *of_next = make_leaf(next);
	_cleanup_(buf_done) struct buf fresh = {0};
	_cleanup_(kube_config_done) struct kube_config config = {.ca_file = test_folder_path(folder, "ca.crt")};
	const struct web_peer peer = kube_dial_peer(&config);
	encode(old, &config.ca_pem);
	encode(next, &fresh);
	assert_true(trusts(&peer, of_old)); /* no file: what was read first holds */
	assert_false(trusts(&peer, of_next));
	test_folder_put(folder, "ca.crt", buf_cstr(&fresh), 0600);
	assert_true(trusts(&peer, of_next));
	assert_false(trusts(&peer, of_old));
}

static void a_file_without_authorities_is_refused_and_not_passed_over(void **state)
{
	const struct test_folder *folder = *state;
	_cleanup_(test_cert_freep) struct test_cert *authority = make_authority();
	_cleanup_(kube_config_done) struct kube_config config = {.ca_file = test_folder_path(folder, "ca.crt")};
	const struct web_peer peer = kube_dial_peer(&config);
	struct web_roots *roots = NULL;
	struct web_identity *identity = NULL;
	struct why why = {0};
	encode(authority, &config.ca_pem);
	test_folder_put(folder, "ca.crt", "no PEM\n", 0600);
	assert_int_equal(peer.load(peer.arg, &roots, &identity, &why), ERR_MALFORMED);
	assert_null(roots);
	assert_null(identity);
	assert_true(why.got[0] != '\0' && why.expected[0] != '\0' && why.fix[0] != '\0');
}

static void a_client_certificate_needs_its_own_key(void **state)
{
	(void)state;
	_cleanup_(test_cert_freep) struct test_cert *authority = make_authority(), *leaf = make_leaf(authority);
	_cleanup_(private_key_unrefp) struct private_key *key = test_cert_key(leaf), *other = private_key_generate();
	_cleanup_(kube_config_done) struct kube_config config = {0};
	const struct web_peer peer = kube_dial_peer(&config);
	encode(authority, &config.ca_pem);
	encode(leaf, &config.client_chain_pem);
	buf_init(&config.client_key_pem, 8192);
	for (int i = 0; i < 2; i++) {
		_cleanup_(web_roots_freep) struct web_roots *roots = NULL;
		_cleanup_(web_identity_unrefp) struct web_identity *identity = NULL;
		_cleanup_(buf_wipe) struct buf der = BUF_INIT(4096);
		struct why why = {0};
		assert_int_equal(private_key_encode(i == 0 ? key : other, &der), ERR_NONE);
		buf_clear(&config.client_key_pem);
		assert_int_equal(pem_encode("PRIVATE KEY", buf_span(&der), &config.client_key_pem), ERR_NONE);
		assert_int_equal(peer.load(peer.arg, &roots, &identity, &why), i == 0 ? ERR_NONE : ERR_KEY_MISMATCH);
		assert_true((identity != NULL) == (i == 0));
		assert_true((roots != NULL) == (i == 0));
		assert_true((why.fix[0] != '\0') == (i == 1));
	}
}

static void the_peer_is_what_the_configuration_names(void **state)
{
	(void)state;
	_cleanup_(kube_config_done) struct kube_config config = {
		.host = mem_strdup("api.test"), .port = 6443, .server_name = mem_strdup("kubernetes")};
	const struct web_peer peer = kube_dial_peer(&config);
	assert_string_equal(peer.host, "api.test");
	assert_int_equal(peer.port, 6443);
	assert_string_equal(peer.server_name, "kubernetes");
	assert_null(peer.verify); /* by roots and name */
	assert_string_equal(peer.texts.listener, "an API server that listens");
	assert_string_equal(peer.texts.address, "an address of the API server");
}

#define CASE(name)        cmocka_unit_test_setup_teardown(name, test_client_set_up, test_client_tear_down)
#define FOLDER_CASE(name) cmocka_unit_test_setup_teardown(name, test_folder_set_up, test_folder_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_server_of_another_authority_is_refused),
		FOLDER_CASE(the_file_of_authorities_is_read_anew_for_each_connection),
		FOLDER_CASE(a_file_without_authorities_is_refused_and_not_passed_over),
		cmocka_unit_test(a_client_certificate_needs_its_own_key),
		cmocka_unit_test(the_peer_is_what_the_configuration_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
