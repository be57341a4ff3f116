#include "certs/svid.h"
#include "certs/test_mesh.h"
#include <openssl/sha.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
/* cmocka requires the three headers above */
#include <cmocka.h>

#define WORKLOAD "spiffe://td.test/a"

static struct svid *sound_svid(const struct test_mesh *mesh)
{
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	return test_mesh_svid(mesh, &spec);
}

static void reads_the_fields_of_the_leaf(_unused_ void **state)
{
	_cleanup_(test_mesh_freep) struct test_mesh *mesh = test_mesh_new("td.test", TEST_NOW_S);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	spec.has_serial = true;
	spec.serial = 0x0102030405;
	_cleanup_(svid_unrefp) struct svid *svid = test_mesh_svid(mesh, &spec);
	assert_true(span_eq(spiffe_id_text(svid_id(svid)), SPAN_LITERAL(WORKLOAD)));
	assert_int_equal(svid_not_before_s(svid), spec.not_before_s);
	assert_int_equal(svid_not_after_s(svid), spec.not_after_s);
	assert_true(span_eq(svid_serial(svid), SPAN_LITERAL("\x01\x02\x03\x04\x05")));
	assert_int_equal(svid_num_chain(svid), 2);
}

static void expires_with_the_first_certificate_of_its_chain(_unused_ void **state)
{
	_cleanup_(test_mesh_freep) struct test_mesh *mesh = test_mesh_new("td.test", TEST_NOW_S);
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	spec.not_after_s = TEST_NOW_S + 1000000;
	_cleanup_(svid_unrefp) struct svid *svid = test_mesh_svid(mesh, &spec);
	assert_int_equal(svid_not_after_s(svid), TEST_NOW_S + 3600);
}

static void keeps_the_bytes_and_their_hash(_unused_ void **state)
{
	_cleanup_(test_mesh_freep) struct test_mesh *mesh = test_mesh_new("td.test", TEST_NOW_S);
	_cleanup_(svid_unrefp) struct svid *svid = sound_svid(mesh);
	struct span chain[] = {svid_cert(svid, 0), svid_cert(svid, 1)};
	assert_true(span_eq(chain[1], test_cert_der(test_mesh_intermediate(mesh))));
	uint8_t hash[32];
	svid_digest_chain(chain, 2, hash);
	assert_memory_equal(svid_chain_hash(svid), hash, 32);
	_cleanup_(svid_unrefp) struct svid *same = NULL, *other = sound_svid(mesh);
	assert_int_equal(svid_parse(chain, 2, &same, NULL), ERR_NONE);
	assert_true(svid_eq(svid, same));
	assert_false(svid_eq(svid, other)); /* another key */
}

static void shares_the_bytes_of_equal_certificates(_unused_ void **state)
{
	_cleanup_(test_mesh_freep) struct test_mesh *mesh = test_mesh_new("td.test", TEST_NOW_S);
	_cleanup_(svid_unrefp) struct svid *first = sound_svid(mesh), *second = sound_svid(mesh);
	assert_ptr_equal(svid_get0_buffer(first, 1), svid_get0_buffer(second, 1));
	assert_ptr_not_equal(svid_get0_buffer(first, 0), svid_get0_buffer(second, 0));
}

static void returns_the_leafs_key(_unused_ void **state)
{
	_cleanup_(test_mesh_freep) struct test_mesh *mesh = test_mesh_new("td.test", TEST_NOW_S);
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	struct test_cert_spec spec = test_leaf_spec(WORKLOAD);
	spec.for_key = key;
	_cleanup_(svid_unrefp) struct svid *svid = test_mesh_svid(mesh, &spec);
	_cleanup_(buf_done) struct buf of_key = BUF_INIT(256), of_leaf = BUF_INIT(256);
	assert_int_equal(private_key_public(key, &of_key), ERR_NONE);
	assert_int_equal(svid_public_key(svid, &of_leaf), ERR_NONE);
	assert_true(span_eq(buf_span(&of_key), buf_span(&of_leaf)));
}

static void refuses_every_cut_of_a_leaf(_unused_ void **state)
{
	_cleanup_(test_mesh_freep) struct test_mesh *mesh = test_mesh_new("td.test", TEST_NOW_S);
	_cleanup_(svid_unrefp) struct svid *svid = sound_svid(mesh), *out = NULL;
	struct span whole = svid_cert(svid, 0);
	for (size_t len = 0; len < whole.len; len++) {
		struct span cut = span_of(whole.ptr, len);
		assert_int_equal(svid_parse(&cut, 1, &out, NULL), ERR_MALFORMED);
	}
	assert_null(out);
}

static void survives_every_flipped_byte(_unused_ void **state)
{
	_cleanup_(test_mesh_freep) struct test_mesh *mesh = test_mesh_new("td.test", TEST_NOW_S);
	_cleanup_(svid_unrefp) struct svid *svid = sound_svid(mesh);
	struct span whole = svid_cert(svid, 0);
	uint8_t copy[2048];
	memcpy(copy, whole.ptr, whole.len);
	for (size_t i = 0; i < whole.len; i++) {
		for (unsigned mask = 1; mask < 256; mask = mask * 2 + 1) {
			_cleanup_(svid_unrefp) struct svid *odd = NULL;
			struct why why = {0};
			copy[i] ^= (uint8_t)mask;
			struct span der = span_of(copy, whole.len);
			enum err err = svid_parse(&der, 1, &odd, &why);
			assert_int_equal(err, why.err);
			copy[i] ^= (uint8_t)mask;
		}
	}
}

#define NUM_REFS 20000

static void *take_and_drop(void *svid)
{
	for (int i = 0; i < NUM_REFS; i++)
		svid_unref(svid_ref(svid));
	return NULL;
}

static void counts_references_from_many_threads(_unused_ void **state)
{
	_cleanup_(test_mesh_freep) struct test_mesh *mesh = test_mesh_new("td.test", TEST_NOW_S);
	_cleanup_(svid_unrefp) struct svid *svid = sound_svid(mesh);
	pthread_t threads[4];
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_and_drop, svid), 0);
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(svid_num_chain(svid), 2);
}

/* Parsed certificates are kept for a while: a chain reads the same before and after many others. */
static void a_chain_reads_the_same_after_many_others(_unused_ void **state)
{
	struct test_cert_spec root_spec = test_ca_spec("root");
	struct test_cert *root = test_cert_new(&root_spec, NULL), *leaves[20];
	struct svid *first[20];
	for (size_t i = 0; i < 20; i++) {
		char id[64];
		snprintf(id, sizeof id, "spiffe://td.test/workload-%zu", i);
		struct test_cert_spec spec = test_leaf_spec(id);
		leaves[i] = test_cert_new(&spec, root);
		const struct span chain[] = {test_cert_der(leaves[i]), test_cert_der(root)};
		assert_int_equal(svid_parse(chain, 2, &first[i], NULL), ERR_NONE);
	}
	for (size_t i = 0; i < 20; i++) {
		const struct span chain[] = {test_cert_der(leaves[i]), test_cert_der(root)};
		_cleanup_(svid_unrefp) struct svid *again = NULL;
		assert_int_equal(svid_parse(chain, 2, &again, NULL), ERR_NONE);
		assert_true(svid_eq(again, first[i]) && spiffe_id_eq(svid_id(again), svid_id(first[i])));
		svid_unref(first[i]);
		test_cert_free(leaves[i]);
	}
	test_cert_free(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_the_fields_of_the_leaf),
		cmocka_unit_test(expires_with_the_first_certificate_of_its_chain),
		cmocka_unit_test(keeps_the_bytes_and_their_hash),
		cmocka_unit_test(shares_the_bytes_of_equal_certificates),
		cmocka_unit_test(returns_the_leafs_key),
		cmocka_unit_test(refuses_every_cut_of_a_leaf),
		cmocka_unit_test(survives_every_flipped_byte),
		cmocka_unit_test(counts_references_from_many_threads),
		cmocka_unit_test(a_chain_reads_the_same_after_many_others),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
