#include "sidecar/svid/svid_files.h"

#include "base/core/cleanup.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "base/pb/unpack.h"
#include "certs/test_mesh.h"
#include "proto/workload/spiffe.pb-c.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
/* cmocka requires the headers above */
#include <cmocka.h>

enum { NOW_S = 1800000000 };

static char folder[32];

static int make_folder(void **state)
{
	(void)state;
	(void)snprintf(folder, sizeof(folder), "/tmp/svid_files_XXXXXX");
	return mkdtemp(folder) == NULL;
}

static char *path_of(const char *name)
{
	return mem_printf("%s/%s", folder, name);
}

static int remove_folder(void **state)
{
	static const char *const names[] = {SVID_CERT_FILE, SVID_KEY_FILE, SVID_BUNDLE_FILE};
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		_cleanup_(mem_freep) char *path = path_of(names[i]);
		unlink(path);
	}
	return rmdir(folder);
}

static unsigned mode_of(const char *name)
{
	_cleanup_(mem_freep) char *path = path_of(name);
	struct stat found;
	return stat(path, &found) == 0 ? found.st_mode & 0777 : 0;
}

static unsigned num_blocks(const char *name, const char *label)
{
	_cleanup_(mem_freep) char *path = path_of(name), *begin = mem_printf("-----BEGIN %s-----", label);
	_cleanup_(buf_done) struct buf text = BUF_INIT(100000);
	struct why why = {0};
	unsigned num = 0;
	assert_int_equal(fd_read_file(path, 100000, &text, &why), ERR_NONE);
	for (const char *at = buf_cstr(&text); (at = strstr(at, begin)) != NULL; at++)
		num++;
	return num;
}

static void the_digest_is_of_what_the_files_have(void **state)
{
	_cleanup_(test_mesh_freep) struct test_mesh *mesh = test_mesh_new("example.org", NOW_S);
	Handfast__Workload__X509Svid one = HANDFAST__WORKLOAD__X509_SVID__INIT, *all[] = {&one};
	Handfast__Workload__X509SvidResponse answer = HANDFAST__WORKLOAD__X509_SVID_RESPONSE__INIT;
	ProtobufCBinaryData list = pb_bytes(SPAN_LITERAL("a list"));
	uint8_t digests[3][DIGEST_LEN];
	(void)state;
	one.x509_svid = one.bundle = pb_bytes(bundle_root(test_mesh_bundle(mesh), 0));
	answer.n_svids = 1;
	answer.svids = all;
	answer.crl = &list;
	for (unsigned i = 0; i < 3; i++) {
		_cleanup_(buf_done) struct buf message = BUF_INIT(100000);
		struct why why = {0};
		one.x509_svid_key = pb_bytes(i < 2 ? SPAN_LITERAL("a key") : SPAN_LITERAL("another key"));
		answer.n_crl = i == 1 ? 1 : 0;
		assert_int_equal(pb_pack(&answer.base, &message), ERR_NONE);
		assert_int_equal(svid_files_digest(buf_span(&message), digests[i], &why), ERR_NONE);
	}
	assert_memory_equal(digests[0], digests[1], DIGEST_LEN);
	assert_memory_not_equal(digests[0], digests[2], DIGEST_LEN);
}

/* An answer with these parts of a workload of a mesh. */
static enum err written(bool has_svid, struct span key, struct span roots)
{
	_cleanup_(test_mesh_freep) struct test_mesh *mesh = test_mesh_new("example.org", NOW_S);
	_cleanup_(credentials_unrefp) struct credentials *credentials =
		test_mesh_credentials(mesh, "spiffe://example.org/app");
	_cleanup_(buf_done) struct buf chain = BUF_INIT(10000), root = BUF_INIT(10000), message = BUF_INIT(100000);
	const struct svid *svid = credentials_svid(credentials);
	struct why why = {0};
	for (size_t i = 0; i < svid_num_chain(svid); i++)
		assert_int_equal(buf_append(&chain, svid_cert(svid, i)), ERR_NONE);
	assert_int_equal(buf_append(&root, bundle_root(test_mesh_bundle(mesh), 0)), ERR_NONE);
	Handfast__Workload__X509Svid one = HANDFAST__WORKLOAD__X509_SVID__INIT, *all[] = {&one};
	one.x509_svid = pb_bytes(buf_span(&chain));
	one.x509_svid_key = pb_bytes(key);
	one.bundle = pb_bytes(roots.ptr != NULL ? roots : buf_span(&root));
	Handfast__Workload__X509SvidResponse answer = HANDFAST__WORKLOAD__X509_SVID_RESPONSE__INIT;
	answer.n_svids = has_svid ? 1 : 0;
	answer.svids = all;
	assert_int_equal(pb_pack(&answer.base, &message), ERR_NONE);
	return svid_files_write(folder, buf_span(&message), &why);
}

static void writes_three_files_and_only_the_owner_reads_the_key(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) { /* the second time over the first */
		assert_int_equal(written(true, SPAN_LITERAL("a key"), (struct span){0}), ERR_NONE);
		assert_int_equal(num_blocks(SVID_CERT_FILE, "CERTIFICATE"), 2);
		assert_int_equal(num_blocks(SVID_BUNDLE_FILE, "CERTIFICATE"), 1);
		assert_int_equal(num_blocks(SVID_KEY_FILE, "PRIVATE KEY"), 1);
		assert_int_equal(mode_of(SVID_KEY_FILE), 0600);
		assert_int_equal(mode_of(SVID_CERT_FILE), 0644);
	}
}

static void writes_nothing_of_an_answer_that_lacks_a_part(void **state)
{
	struct why why = {0};
	(void)state;
	assert_int_equal(written(false, SPAN_LITERAL("a key"), (struct span){0}), ERR_MALFORMED);
	assert_int_equal(written(true, SPAN_LITERAL(""), (struct span){0}), ERR_MALFORMED);
	assert_int_equal(written(true, SPAN_LITERAL("a key"), SPAN_LITERAL("\x30\x05no")), ERR_MALFORMED);
	assert_int_equal(svid_files_write(folder, SPAN_LITERAL("\xff\xff"), &why), ERR_MALFORMED);
	assert_int_equal(mode_of(SVID_KEY_FILE), 0);
	assert_int_equal(mode_of(SVID_CERT_FILE), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			writes_three_files_and_only_the_owner_reads_the_key, make_folder, remove_folder),
		cmocka_unit_test(the_digest_is_of_what_the_files_have),
		cmocka_unit_test_setup_teardown(
			writes_nothing_of_an_answer_that_lacks_a_part, make_folder, remove_folder),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
