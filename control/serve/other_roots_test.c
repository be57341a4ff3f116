/* Which files of roots are taken, and that a bad one leaves the last good one in use. */
#include "control/serve/other_roots.h"

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

DEFINE_CLEANUP(struct other_roots *, other_roots_free)

static char path[32];
static struct trust_domain domain;

static void write_text(const char *text)
{
	assert_int_equal(fd_write_file(path, span_of_str(text), 0600, NULL), ERR_NONE);
}

static void write_roots(const struct test_mesh *first, const struct test_mesh *second)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT(1 << 16);
	assert_int_equal(pem_encode("CERTIFICATE", bundle_root(test_mesh_bundle(first), 0), &text), ERR_NONE);
	if (second != NULL)
		assert_int_equal(pem_encode("CERTIFICATE", bundle_root(test_mesh_bundle(second), 0), &text), ERR_NONE);
	write_text(buf_cstr(&text));
}

static size_t num_roots(const struct other_roots *roots)
{
	return bundle_num_roots(bundle_set_find(other_roots_bundles(roots), SPAN_LITERAL("example.org")));
}

static int setup(_unused_ void **state)
{
	(void)snprintf(path, sizeof(path), "/tmp/hf-roots-XXXXXX");
	int fd = mkstemp(path);
	fd_close(fd);
	return trust_domain_parse(SPAN_LITERAL("example.org"), &domain, NULL) == ERR_NONE && fd >= 0 ? 0 : -1;
}

static int teardown(_unused_ void **state)
{
	return unlink(path);
}

static void takes_a_file_over_and_its_next_content(_unused_ void **state)
{
	_cleanup_(test_mesh_freep) struct test_mesh *mesh = test_mesh_new("example.org", TEST_NOW_S);
	_cleanup_(test_mesh_freep) struct test_mesh *next = test_mesh_new("example.org", TEST_NOW_S);
	_cleanup_(other_roots_freep) struct other_roots *roots = NULL;
	write_roots(mesh, NULL);
	assert_int_equal(other_roots_new(path, &domain, &roots, NULL), ERR_NONE);
	assert_int_equal(num_roots(roots), 1);
	assert_false(other_roots_poll(roots));
	write_roots(mesh, next);
	assert_true(other_roots_poll(roots));
	assert_int_equal(num_roots(roots), 2);
	assert_false(other_roots_poll(roots));
}

static void W35_a_bad_file_leaves_the_last_roots_in_use(_unused_ void **state)
{
	static const char *const bad[] = {"", "no PEM",
		"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
		"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----\nAA"};
	_cleanup_(test_mesh_freep) struct test_mesh *mesh = test_mesh_new("example.org", TEST_NOW_S);
	_cleanup_(other_roots_freep) struct other_roots *roots = NULL, *none = NULL;
	write_roots(mesh, NULL);
	assert_int_equal(other_roots_new(path, &domain, &roots, NULL), ERR_NONE);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct why why = {0};
		write_text(bad[i]);
		assert_false(other_roots_poll(roots));
		assert_int_equal(num_roots(roots), 1);
		assert_int_not_equal(other_roots_new(path, &domain, &none, &why), ERR_NONE);
		assert_int_not_equal(why.err, ERR_NONE);
		assert_null(none);
	}
	assert_int_equal(unlink(path), 0);
	assert_false(other_roots_poll(roots));
	write_roots(mesh, NULL);
	assert_true(other_roots_poll(roots)); /* it is there again */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(takes_a_file_over_and_its_next_content, setup, teardown),
		cmocka_unit_test_setup_teardown(W35_a_bad_file_leaves_the_last_roots_in_use, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
