#include "sidecar/workload_api/workload_messages.h"

#include "base/core/cleanup.h"
#include "base/pb/unpack.h"
#include "certs/der.h"
#include "certs/test_mesh.h"
#include "proto/workload/spiffe.pb-c.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the headers above */
#include <cmocka.h>

enum { NOW_S = 1800000000 };
#define ID "spiffe://example.org/app"

static unsigned num_certificates(ProtobufCBinaryData der)
{
	struct span rest = pb_span(der), one;
	unsigned num = 0;
	for (; rest.len > 0; num++)
		assert_true(der_take_first(&rest, &one));
	return num;
}

static ProtobufCMessage *unpacked(
	const ProtobufCMessageDescriptor *type, const struct buf *message, struct pb_arena **arena)
{
	ProtobufCMessage *base = NULL;
	struct why why = {0};
	assert_int_equal(pb_unpack(type, buf_span(message), arena, &base, &why), ERR_NONE);
	return base;
}

/* A workload of example.org that trusts partner.org, too. */
static struct credentials *federated(const struct test_mesh *mesh, const struct test_mesh *partner)
{
	_cleanup_(bundle_set_unrefp) struct bundle_set *bundles = bundle_set_new();
	assert_int_equal(bundle_set_add(bundles, test_mesh_bundle(mesh), NULL), ERR_NONE);
	assert_int_equal(bundle_set_add(bundles, test_mesh_bundle(partner), NULL), ERR_NONE);
	return test_mesh_credentials_until(mesh, ID, NOW_S + 1800, bundles);
}

static void has_the_svid_its_key_and_the_bundles(void **state)
{
	(void)state;
	_cleanup_(test_mesh_freep) struct test_mesh *mesh = test_mesh_new("example.org", NOW_S);
	_cleanup_(test_mesh_freep) struct test_mesh *partner = test_mesh_new("partner.org", NOW_S);
	_cleanup_(credentials_unrefp) struct credentials *credentials = federated(mesh, partner);
	_cleanup_(buf_wipe) struct buf message = BUF_INIT(WORKLOAD_MESSAGE_MAX);
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	assert_int_equal(workload_x509_svid_encode(credentials, &message), ERR_NONE);
	const Handfast__Workload__X509SvidResponse *answer = (const Handfast__Workload__X509SvidResponse *)unpacked(
		&handfast__workload__x509_svid_response__descriptor, &message, &arena);
	assert_int_equal(answer->n_svids, 1);
	const Handfast__Workload__X509Svid *svid = answer->svids[0];
	assert_true(span_eq(pb_span(svid->spiffe_id), SPAN_LITERAL(ID)));
	assert_int_equal(num_certificates(svid->x509_svid), 2);
	assert_true(span_starts_with(pb_span(svid->x509_svid), svid_cert(credentials_svid(credentials), 0)));
	assert_true(span_eq(pb_span(svid->bundle), bundle_root(test_mesh_bundle(mesh), 0)));
	assert_int_equal(svid->hint.len, 0);
	_cleanup_(private_key_unrefp) struct private_key *key = NULL;
	_cleanup_(buf_done) struct buf mine = BUF_INIT(1000), theirs = BUF_INIT(1000);
	assert_int_equal(private_key_parse(pb_span(svid->x509_svid_key), &key, NULL), ERR_NONE);
	assert_int_equal(private_key_public(key, &mine), ERR_NONE);
	assert_int_equal(svid_public_key(credentials_svid(credentials), &theirs), ERR_NONE);
	assert_true(span_eq(buf_span(&mine), buf_span(&theirs)));
	assert_int_equal(answer->n_federated_bundles, 1);
	assert_true(span_eq(pb_span(answer->federated_bundles[0]->key), SPAN_LITERAL("spiffe://partner.org")));
	assert_true(span_eq(pb_span(answer->federated_bundles[0]->value), bundle_root(test_mesh_bundle(partner), 0)));
}

static void passes_revocation_lists_on(void **state)
{
	static const struct trust_domain domain = {"example.org"};
	(void)state;
	_cleanup_(test_mesh_freep) struct test_mesh *mesh = test_mesh_new("example.org", NOW_S);
	_cleanup_(bundle_set_unrefp) struct bundle_set *bundles = bundle_set_new();
	_cleanup_(buf_done) struct buf list = BUF_INIT(8192);
	_cleanup_(buf_wipe) struct buf svid = BUF_INIT(WORKLOAD_MESSAGE_MAX), all = BUF_INIT(WORKLOAD_MESSAGE_MAX);
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL, *other = NULL;
	struct test_crl_spec spec = test_crl_spec();
	test_crl_make(&spec, test_mesh_root(mesh), &list);
	assert_int_equal(bundle_set_add(bundles, test_mesh_bundle(mesh), NULL), ERR_NONE);
	assert_int_equal(bundle_set_add_crl(bundles, &domain, buf_span(&list), NULL), ERR_NONE);
	_cleanup_(credentials_unrefp) struct credentials *credentials =
		test_mesh_credentials_until(mesh, ID, NOW_S + 1800, bundles);
	assert_int_equal(workload_x509_svid_encode(credentials, &svid), ERR_NONE);
	assert_int_equal(workload_x509_bundles_encode(credentials, &all), ERR_NONE);
	const Handfast__Workload__X509SvidResponse *one = (const Handfast__Workload__X509SvidResponse *)unpacked(
		&handfast__workload__x509_svid_response__descriptor, &svid, &arena);
	const Handfast__Workload__X509BundlesResponse *two = (const Handfast__Workload__X509BundlesResponse *)unpacked(
		&handfast__workload__x509_bundles_response__descriptor, &all, &other);
	assert_true(one->n_crl == 1 && span_eq(pb_span(one->crl[0]), buf_span(&list)));
	assert_true(two->n_crl == 1 && span_eq(pb_span(two->crl[0]), buf_span(&list)));
}

static void has_the_bundles_of_all_trust_domains(void **state)
{
	(void)state;
	_cleanup_(test_mesh_freep) struct test_mesh *mesh = test_mesh_new("example.org", NOW_S);
	_cleanup_(test_mesh_freep) struct test_mesh *partner = test_mesh_new("partner.org", NOW_S);
	_cleanup_(credentials_unrefp) struct credentials *credentials = federated(mesh, partner);
	_cleanup_(buf_done) struct buf message = BUF_INIT(WORKLOAD_MESSAGE_MAX);
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	assert_int_equal(workload_x509_bundles_encode(credentials, &message), ERR_NONE);
	const Handfast__Workload__X509BundlesResponse *answer =
		(const Handfast__Workload__X509BundlesResponse *)unpacked(
			&handfast__workload__x509_bundles_response__descriptor, &message, &arena);
	assert_int_equal(answer->n_bundles, 2);
	assert_int_equal(num_certificates(answer->bundles[0]->value), 1);
}

static void a_retired_root_is_not_shown(void **state)
{
	(void)state;
	_cleanup_(test_mesh_freep) struct test_mesh *mesh = test_mesh_new("example.org", NOW_S);
	_cleanup_(test_mesh_freep) struct test_mesh *former = test_mesh_new("example.org", NOW_S);
	_cleanup_(bundle_set_unrefp) struct bundle_set *bundles = bundle_set_new();
	_cleanup_(bundle_unrefp) struct bundle *bundle = NULL;
	const struct span roots[] = {bundle_root(test_mesh_bundle(mesh), 0), bundle_root(test_mesh_bundle(former), 0)};
	struct trust_domain domain = {"example.org"};
	assert_int_equal(bundle_new_with_retired(&domain, roots, 2, 1, &bundle, NULL), ERR_NONE);
	assert_int_equal(bundle_set_add(bundles, bundle, NULL), ERR_NONE);
	_cleanup_(credentials_unrefp) struct credentials *credentials =
		test_mesh_credentials_until(mesh, ID, NOW_S + 1800, bundles);
	_cleanup_(buf_done) struct buf message = BUF_INIT(WORKLOAD_MESSAGE_MAX);
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	assert_int_equal(workload_x509_bundles_encode(credentials, &message), ERR_NONE);
	const Handfast__Workload__X509BundlesResponse *answer =
		(const Handfast__Workload__X509BundlesResponse *)unpacked(
			&handfast__workload__x509_bundles_response__descriptor, &message, &arena);
	assert_true(span_eq(pb_span(answer->bundles[0]->value), roots[0]));
}

static void an_answer_that_does_not_fit_is_an_error(void **state)
{
	(void)state;
	_cleanup_(test_mesh_freep) struct test_mesh *mesh = test_mesh_new("example.org", NOW_S);
	_cleanup_(credentials_unrefp) struct credentials *credentials = test_mesh_credentials(mesh, ID);
	_cleanup_(buf_done) struct buf message = BUF_INIT(100);
	assert_int_equal(workload_x509_svid_encode(credentials, &message), ERR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(has_the_svid_its_key_and_the_bundles),
		cmocka_unit_test(has_the_bundles_of_all_trust_domains),
		cmocka_unit_test(passes_revocation_lists_on),
		cmocka_unit_test(a_retired_root_is_not_shown),
		cmocka_unit_test(an_answer_that_does_not_fit_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
