/* Which files of revocation lists are taken, and that a bad one keeps neither its last list nor the others from use. */
#include "control/serve/crl_files.h"

#include "base/core/cleanup.h"
#include "base/net/fd.h"
#include "certs/pem.h"
#include "certs/test_mesh.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
/* cmocka requires the headers above */
#include <cmocka.h>

DEFINE_CLEANUP(struct crl_files *, crl_files_free)

enum { NUM = 2 };
#define DOMAIN "example.org"

static char paths[NUM][40], *list[NUM];
static struct trust_domain domain;

static void write_bytes(size_t i, struct span bytes)
{
	assert_int_equal(fd_write_file(paths[i], bytes, 0600, NULL), ERR_NONE);
}

static void write_list(size_t i, const struct test_cert *issuer, int64_t next_update_s, bool is_pem)
{
	_cleanup_(buf_done) struct buf der = BUF_INIT(8192), pem = BUF_INIT(16384);
	struct test_crl_spec spec = test_crl_spec();
	spec.next_update_s = next_update_s;
	spec.number = next_update_s;
	test_crl_make(&spec, issuer, &der);
	assert_int_equal(pem_encode("X509 CRL", buf_span(&der), &pem), ERR_NONE);
	write_bytes(i, is_pem ? buf_span(&pem) : buf_span(&der));
}

static size_t num_added(struct crl_files *files, const struct test_mesh *mesh)
{
	_cleanup_(bundle_set_unrefp) struct bundle_set *set = bundle_set_new();
	assert_int_equal(bundle_set_add(set, test_mesh_bundle(mesh), NULL), ERR_NONE);
	crl_files_add(files, set);
	return bundle_set_num_crls(set, SPAN_LITERAL(DOMAIN));
}

static int setup(_unused_ void **state)
{
	for (size_t i = 0; i < NUM; i++) {
		(void)snprintf(paths[i], sizeof(paths[i]), "/tmp/hf-lists-XXXXXX");
		fd_close(mkstemp(paths[i]));
		list[i] = paths[i];
	}
	return trust_domain_parse(SPAN_LITERAL(DOMAIN), &domain, NULL) == ERR_NONE ? 0 : -1;
}

static int teardown(_unused_ void **state)
{
	for (size_t i = 0; i < NUM; i++)
		(void)unlink(paths[i]);
	return 0;
}

static void takes_der_and_pem_and_the_next_content(_unused_ void **state)
{
	_cleanup_(test_mesh_freep) struct test_mesh *mesh = test_mesh_new(DOMAIN, TEST_NOW_S);
	struct why why;
	write_list(0, test_mesh_root(mesh), TEST_NOW_S + 100, false);
	write_list(1, test_mesh_intermediate(mesh), TEST_NOW_S + 200, true);
	_cleanup_(crl_files_freep) struct crl_files *files = crl_files_new(list, NUM, &domain);
	assert_int_equal(num_added(files, mesh), 2);
	assert_false(crl_files_poll(files));
	assert_false(crl_files_trouble(files, TEST_NOW_S, &why));
	assert_true(crl_files_trouble(files, TEST_NOW_S + 150, &why)); /* the first one is stale */
	assert_int_equal(why.err, ERR_EXPIRED);
	assert_non_null(strstr(why.got, paths[0]));
	write_list(0, test_mesh_root(mesh), TEST_NOW_S + 300, true);
	assert_true(crl_files_poll(files));
	assert_false(crl_files_trouble(files, TEST_NOW_S + 150, &why));
}

static void D21_a_bad_file_is_named_and_the_others_are_used(_unused_ void **state)
{
	static uint8_t large[CRL_FILE_BYTES_MAX + 1] = {0x30};
	const struct span bad[] = {SPAN_LITERAL(""), SPAN_LITERAL("garbage"), SPAN_LITERAL("\x30\x03\x02\x01\x01"),
		SPAN_LITERAL("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
		span_of(large, sizeof(large))};
	_cleanup_(test_mesh_freep) struct test_mesh *mesh = test_mesh_new(DOMAIN, TEST_NOW_S);
	struct why why;
	write_list(0, test_mesh_root(mesh), TEST_NOW_S + 100, false);
	write_list(1, test_mesh_intermediate(mesh), TEST_NOW_S + 100, false);
	_cleanup_(crl_files_freep) struct crl_files *files = crl_files_new(list, NUM, &domain);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		write_bytes(0, bad[i]);
		assert_false(crl_files_poll(files));
		assert_true(crl_files_trouble(files, TEST_NOW_S, &why));
		assert_non_null(strstr(why.got, paths[0]));
		assert_int_equal(num_added(files, mesh), 2); /* the last usable one stays */
		_cleanup_(crl_files_freep) struct crl_files *fresh = crl_files_new(list, NUM, &domain);
		assert_int_equal(num_added(fresh, mesh), 1);
	}
	assert_int_equal(unlink(paths[0]), 0);
	assert_false(crl_files_poll(files));
	assert_true(crl_files_trouble(files, TEST_NOW_S, &why));
}

/* A root's key is known, so a foreign signature is noticed with the set of bundles. */
static void D21_a_list_with_a_foreign_signature_is_left_out(_unused_ void **state)
{
	_cleanup_(test_mesh_freep) struct test_mesh *mesh = test_mesh_new(DOMAIN, TEST_NOW_S);
	_cleanup_(buf_done) struct buf der = BUF_INIT(8192);
	struct test_crl_spec spec = test_crl_spec();
	struct why why;
	enum err err;
	do { /* the flipped bit may break the form of the signature, which is noticed before */
		_cleanup_(bundle_set_unrefp) struct bundle_set *set = bundle_set_new();
		assert_int_equal(bundle_set_add(set, test_mesh_bundle(mesh), NULL), ERR_NONE);
		spec.has_wrong_signature = true;
		buf_clear(&der);
		test_crl_make(&spec, test_mesh_root(mesh), &der);
		err = bundle_set_add_crl(set, &domain, buf_span(&der), NULL);
	} while (err != ERR_CRYPTO);
	write_bytes(0, buf_span(&der));
	write_list(1, test_mesh_root(mesh), TEST_NOW_S + 100, false);
	_cleanup_(crl_files_freep) struct crl_files *files = crl_files_new(list, NUM, &domain);
	assert_int_equal(num_added(files, mesh), 1);
	assert_true(crl_files_trouble(files, TEST_NOW_S, &why));
	assert_int_equal(why.err, ERR_CRYPTO);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(takes_der_and_pem_and_the_next_content),
		TEST(D21_a_bad_file_is_named_and_the_others_are_used),
		TEST(D21_a_list_with_a_foreign_signature_is_left_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
