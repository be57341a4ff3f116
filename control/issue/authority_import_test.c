/* An intermediate below a root of the operator's. What is refused: authority_import_refused_test.c. */
#include "base/net/fd.h"
#include "certs/csr.h"
#include "certs/pem.h"
#include "control/issue/certificate.h"
#include "control/issue/test_importing.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the three above */
#include <cmocka.h>

static void a_request_asks_for_an_authority_and_repeats_its_key(void **state)
{
	struct importing *world = *state;
	_cleanup_(buf_done) struct buf first = BUF_INIT(4096), again = BUF_INIT(4096);
	_cleanup_(buf_done) struct buf spki = BUF_INIT(1024), spki_again = BUF_INIT(1024);
	uint64_t epoch = world->authority.mark.epoch;
	assert_int_equal(authority_request_intermediate(&world->authority, epoch, &first, NULL), ERR_NONE);
	importing_reopen(world);
	epoch = world->authority.mark.epoch;
	assert_int_equal(authority_request_intermediate(&world->authority, epoch, &again, NULL), ERR_NONE);
	assert_int_equal(csr_parse(buf_span(&first), &spki, NULL), ERR_NONE);
	assert_int_equal(csr_parse(buf_span(&again), &spki_again, NULL), ERR_NONE);
	assert_true(span_eq(buf_span(&spki), buf_span(&spki_again)));
	static const char constraints[] =
		"\x30\x12\x06\x03\x55\x1d\x13\x01\x01\xff\x04\x08\x30\x06\x01\x01\xff\x02\x01";
	struct span der = buf_span(&first);
	assert_non_null(memmem(der.ptr, der.len, constraints, sizeof constraints - 1));
	assert_non_null(memmem(der.ptr, der.len, "spiffe://td.test", 16));
}

static void an_imported_intermediate_is_used_when_its_root_is_activated(void **state)
{
	struct importing *world = *state;
	struct test_cert_spec spec = importing_intermediate(world);
	assert_int_equal(importing_take_below(world, &spec, world->root), ERR_NONE);
	assert_true(span_eq(world->imported.root, test_cert_der(world->root)));
	assert_false(importing_is_leaf_below(world, world->root));
	importing_reopen(world); /* it is durable */
	assert_int_equal(importing_activate(world, world->root), ERR_NONE);
	assert_true(importing_is_leaf_below(world, world->root));
	importing_reopen(world);
	assert_null(world->authority.root.key);
	assert_true(importing_is_leaf_below(world, world->root));
	assert_int_equal(authority_renew_intermediate(&world->authority, world->authority.mark.epoch, &world->detail),
		ERR_DENIED);
}

static void the_next_one_below_the_root_in_use_takes_effect_at_once(void **state)
{
	struct importing *world = *state;
	_cleanup_(buf_done) struct buf pem = BUF_INIT(IMPORT_MAX);
	struct test_cert_spec spec = importing_intermediate(world);
	assert_int_equal(importing_take_below(world, &spec, world->root), ERR_NONE);
	assert_int_equal(importing_activate(world, world->root), ERR_NONE);
	struct private_key *first = private_key_ref(world->asked);
	importing_ask(world); /* another key */
	spec = importing_intermediate(world);
	_cleanup_(test_cert_freep) struct test_cert *next = test_cert_new(&spec, world->root);
	importing_put(&pem, next);
	assert_int_equal(importing_take(world, &pem, NULL), ERR_NONE); /* without the root, which is known */
	assert_true(span_eq(buf_span(&world->authority.intermediate.certificate), test_cert_der(next)));
	assert_int_equal(importing_take(world, &pem, NULL), ERR_NONE); /* repeated */
	assert_true(importing_is_leaf_below(world, world->root));
	assert_int_not_equal(certificate_matches(test_cert_der(next), first), ERR_NONE);
	private_key_unref(first);
}

/* The root ends in five minutes, and the intermediate that it has signed in an hour. */
static void finding_i4_no_leaf_outlives_an_authority_above_its_issuer(void **state)
{
	struct importing *world = *state;
	_cleanup_(buf_done) struct buf spki = BUF_INIT(1024), leaf = BUF_INIT(CERTIFICATE_MAX);
	struct test_cert_spec root_spec = test_ca_spec("short root"), spec = importing_intermediate(world);
	int64_t from, to;
	root_spec.not_after_s = TEST_NOW_S + 300;
	spec.not_after_s = TEST_NOW_S + 3600;
	_cleanup_(test_cert_freep) struct test_cert *root = test_cert_new(&root_spec, NULL);
	assert_int_equal(importing_take_below(world, &spec, root), ERR_NONE);
	assert_int_equal(importing_activate(world, root), ERR_NONE);
	assert_int_equal(private_key_public(world->asked, &spki), ERR_NONE);
	const struct leaf_request request = {
		world->authority.mark.epoch, SPAN_LITERAL("spiffe://td.test/a"), buf_span(&spki), 600};
	assert_int_equal(authority_sign_leaf(&world->authority, &request, &leaf, &world->detail), ERR_NONE);
	assert_int_equal(certificate_validity(buf_span(&leaf), &from, &to), ERR_NONE);
	assert_true(to == TEST_NOW_S + 300);
}

static void a_chain_of_two_authorities_is_sent_as_a_whole(void **state)
{
	struct importing *world = *state;
	_cleanup_(buf_done) struct buf pem = BUF_INIT(IMPORT_MAX);
	struct test_cert_spec upper_spec = test_ca_spec("upper"), spec = importing_intermediate(world);
	_cleanup_(test_cert_freep) struct test_cert *upper = test_cert_new(&upper_spec, world->root);
	_cleanup_(test_cert_freep) struct test_cert *cert = test_cert_new(&spec, upper);
	importing_put(&pem, world->root); /* in any order */
	importing_put(&pem, cert);
	importing_put(&pem, upper);
	assert_int_equal(importing_take(world, &pem, NULL), ERR_NONE);
	assert_int_equal(importing_activate(world, world->root), ERR_NONE);
	assert_true(importing_is_leaf_below(world, world->root));
}

static void write_file(const char *path, const char *label, struct span der)
{
	_cleanup_(buf_wipe) struct buf pem = BUF_INIT(IMPORT_MAX);
	assert_int_equal(pem_encode(label, der, &pem), ERR_NONE);
	assert_int_equal(fd_write_file(path, buf_span(&pem), 0600, NULL), ERR_NONE);
}

static enum err import_files(struct importing *world)
{
	const struct import_request request = {.epoch = world->authority.mark.epoch};
	return authority_import_files(&world->authority, &request, &world->imported, &world->detail);
}

static void key_and_certificates_come_from_files(void **state)
{
	struct importing *world = *state;
	_cleanup_(buf_wipe) struct buf pkcs8 = BUF_INIT(1024);
	struct test_cert_spec spec = test_ca_spec("intermediate");
	spec.path_length = 0;
	_cleanup_(test_cert_freep) struct test_cert *cert = test_cert_new(&spec, world->root);
	_cleanup_(private_key_unrefp) struct private_key *key = test_cert_key(cert);
	assert_int_equal(import_files(world), ERR_NOT_FOUND); /* none is there */
	assert_int_equal(private_key_encode(key, &pkcs8), ERR_NONE);
	write_file(world->files[0], "CERTIFICATE", test_cert_der(cert));
	write_file(world->files[1], "EC PRIVATE KEY", buf_span(&pkcs8));
	write_file(world->files[2], "CERTIFICATE", test_cert_der(world->root));
	assert_int_equal(import_files(world), ERR_MALFORMED);
	write_file(world->files[1], "PRIVATE KEY", buf_span(&pkcs8));
	assert_int_equal(import_files(world), ERR_NONE);
	assert_int_equal(importing_activate(world, world->root), ERR_NONE);
	assert_true(importing_is_leaf_below(world, world->root));
	assert_int_equal(import_files(world), ERR_NONE); /* unchanged */
	_cleanup_(test_cert_freep) struct test_cert *other = test_cert_new(&spec, world->root);
	write_file(world->files[0], "CERTIFICATE", test_cert_der(other)); /* its key is not there yet */
	assert_int_equal(import_files(world), ERR_NOT_FOUND);
	assert_true(importing_is_leaf_below(world, world->root));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IMPORTING_TEST(a_request_asks_for_an_authority_and_repeats_its_key),
		IMPORTING_TEST(an_imported_intermediate_is_used_when_its_root_is_activated),
		IMPORTING_TEST(the_next_one_below_the_root_in_use_takes_effect_at_once),
		IMPORTING_TEST(finding_i4_no_leaf_outlives_an_authority_above_its_issuer),
		IMPORTING_TEST(a_chain_of_two_authorities_is_sent_as_a_whole),
		IMPORTING_TEST(key_and_certificates_come_from_files),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
