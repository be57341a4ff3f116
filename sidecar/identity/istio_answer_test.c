/* What an Istio CA is asked, and which of its answers are taken. */
#include "sidecar/identity/istio_answer.h"

#include "base/core/base64url.h"
#include "base/core/cleanup.h"
#include "base/core/mem.h"
#include "base/pb/unpack.h"
#include "certs/credentials.h"
#include "certs/csr.h"
#include "certs/pem.h"
#include "certs/test_mesh.h"
#include "proto/istio/ca.pb-c.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires the headers above */
#include <cmocka.h>

#define DOMAIN "example.org"
#define ID     "spiffe://example.org/ns/shop/sa/cart"

enum { MAX = 1 << 20, ELEMENTS = 4 };

struct world {
	struct test_mesh *mesh;
	struct trust_domain own;
	struct credentials *credentials; /* for ID */
	struct buf parts[ELEMENTS];
	ProtobufCBinaryData elements[ELEMENTS];
	size_t num;
	struct workload_answer answer;
	struct why detail;
};

static void put(struct world *world, size_t part, struct span der)
{
	if (part >= world->num)
		world->num = part + 1;
	assert_int_equal(pem_encode("CERTIFICATE", der, &world->parts[part]), ERR_NONE);
}

static int make_world(void **state)
{
	static struct world world;
	world = (struct world){.mesh = test_mesh_new(DOMAIN, TEST_NOW_S)};
	assert_int_equal(trust_domain_parse(SPAN_LITERAL(DOMAIN), &world.own, NULL), ERR_NONE);
	world.credentials = test_mesh_credentials(world.mesh, ID);
	for (size_t i = 0; i < ELEMENTS; i++)
		buf_init(&world.parts[i], MAX);
	for (size_t i = 0; i < svid_num_chain(credentials_svid(world.credentials)); i++)
		put(&world, i, svid_cert(credentials_svid(world.credentials), i));
	put(&world, world.num, test_cert_der(test_mesh_root(world.mesh)));
	*state = &world;
	return 0;
}

static int remove_world(void **state)
{
	struct world *world = *state;
	for (size_t i = 0; i < ELEMENTS; i++)
		buf_done(&world->parts[i]);
	credentials_unref(world->credentials);
	workload_answer_done(&world->answer);
	test_mesh_free(world->mesh);
	return 0;
}

static enum err parse(struct world *world, const char *wanted)
{
	const struct workload_choice choice = {.own = &world->own, .wanted = wanted, .now_s = TEST_NOW_S};
	Handfast__Istio__CertificateResponse response = HANDFAST__ISTIO__CERTIFICATE_RESPONSE__INIT;
	_cleanup_(buf_done) struct buf message = BUF_INIT(MAX);
	for (size_t i = 0; i < world->num; i++)
		world->elements[i] = pb_bytes(buf_span(&world->parts[i]));
	response.n_cert_chain = world->num;
	response.cert_chain = world->elements;
	workload_answer_done(&world->answer);
	assert_int_equal(pb_pack(&response.base, &message), ERR_NONE);
	world->detail = (struct why){0};
	enum err err = istio_answer_parse(
		buf_span(&message), credentials_key(world->credentials), &choice, &world->answer, &world->detail);
	assert_int_equal(world->detail.err, err);
	if (err != ERR_NONE)
		assert_null(world->answer.svid);
	return err;
}

static void makes_valid_credentials_of_an_answer(void **state)
{
	struct world *world = *state;
	_cleanup_(credentials_unrefp) struct credentials *made = NULL;
	assert_int_equal(parse(world, ID), ERR_NONE);
	assert_int_equal(credentials_new(world->answer.svid, world->answer.key, world->answer.bundles,
				 (struct epoch){1, 1}, TEST_NOW_S, &made, NULL),
		ERR_NONE);
	assert_string_equal(credentials_id(made)->text, ID);
	assert_int_equal(bundle_set_num(world->answer.bundles), 1);
	assert_int_equal(world->answer.num_skipped, 0);
}

static void leaves_out_roots_at_the_end_of_the_chain(void **state)
{
	struct world *world = *state;
	put(world, 1, test_cert_der(test_mesh_root(world->mesh)));
	assert_int_equal(parse(world, ID), ERR_NONE);
	assert_int_equal(svid_num_chain(world->answer.svid), 2);
}

static void takes_a_leaf_and_its_chain_in_one_element(void **state)
{
	struct world *world = *state;
	assert_int_equal(buf_append(&world->parts[0], buf_span(&world->parts[1])), ERR_NONE);
	buf_clear(&world->parts[1]);
	assert_int_equal(parse(world, ID), ERR_NONE);
	assert_int_equal(svid_num_chain(world->answer.svid), 2);
}

static void takes_several_roots_and_leaves_out_one_that_is_none(void **state)
{
	struct world *world = *state;
	_cleanup_(test_mesh_freep) struct test_mesh *next = test_mesh_new(DOMAIN, TEST_NOW_S);
	put(world, 2, test_cert_der(test_mesh_root(next)));
	put(world, 2, test_cert_der(test_mesh_intermediate(next)));
	assert_int_equal(parse(world, ID), ERR_NONE);
	const struct bundle *bundle = bundle_set_find(world->answer.bundles, SPAN_LITERAL(DOMAIN));
	assert_int_equal(bundle_num_roots(bundle), 2);
	assert_int_equal(world->answer.num_skipped, 1);
}

static void refuses_another_identity_than_was_asked_for(void **state)
{
	struct world *world = *state;
	assert_int_equal(parse(world, ID "-2"), ERR_WRONG_PEER);
	assert_non_null(strstr(world->detail.got, ID));
}

static void refuses_an_answer_without_roots_or_without_a_leaf(void **state)
{
	struct world *world = *state;
	world->num = 1;
	assert_int_equal(parse(world, ID), ERR_NO_BUNDLE);
	world->num = 0;
	assert_int_equal(parse(world, ID), ERR_NO_BUNDLE);
	world->num = 3;
	buf_clear(&world->parts[2]);
	assert_int_equal(parse(world, ID), ERR_NO_BUNDLE);
	put(world, 2, test_cert_der(test_mesh_root(world->mesh)));
	buf_clear(&world->parts[0]);
	buf_clear(&world->parts[1]);
	assert_int_equal(parse(world, ID), ERR_MALFORMED);
}

static void refuses_what_is_no_pem_and_what_is_too_long(void **state)
{
	struct world *world = *state;
	for (unsigned i = 0; i < SVID_CHAIN_MAX; i++)
		put(world, 1, test_cert_der(test_mesh_intermediate(world->mesh)));
	assert_int_equal(parse(world, ID), ERR_TOO_LARGE);
	for (unsigned i = 0; i < BUNDLE_ROOTS_MAX; i++)
		put(world, 1, test_cert_der(test_mesh_root(world->mesh)));
	assert_int_equal(parse(world, ID), ERR_TOO_LARGE);
	buf_clear(&world->parts[0]);
	assert_int_equal(
		buf_append_str(&world->parts[0], "-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n"),
		ERR_NONE);
	assert_int_equal(parse(world, ID), ERR_MALFORMED);
}

static void refuses_what_is_no_message(void **state)
{
	struct world *world = *state;
	const struct workload_choice choice = {.own = &world->own, .wanted = ID};
	_cleanup_(buf_done) struct buf large = BUF_INIT(ISTIO_ANSWER_MAX + 1);
	uint8_t *room;
	struct private_key *key = credentials_key(world->credentials);
	assert_int_equal(istio_answer_parse(SPAN_LITERAL("\xff\xff\xff"), key, &choice, &world->answer, &world->detail),
		ERR_MALFORMED);
	assert_int_equal(buf_reserve(&large, ISTIO_ANSWER_MAX + 1, &room), ERR_NONE);
	memset(room, 0, ISTIO_ANSWER_MAX + 1);
	buf_commit(&large, ISTIO_ANSWER_MAX + 1);
	assert_int_equal(
		istio_answer_parse(buf_span(&large), key, &choice, &world->answer, &world->detail), ERR_TOO_LARGE);
}

/* --- the request --- */

static void asks_with_the_key_the_identity_and_the_lifetime(void **state)
{
	struct world *world = *state;
	_cleanup_(buf_done) struct buf message = BUF_INIT(MAX), spki = BUF_INIT(512), own = BUF_INIT(512);
	_cleanup_(pb_arena_freep) struct pb_arena *arena = NULL;
	struct pem_block block = {0};
	ProtobufCMessage *base;
	assert_int_equal(istio_request_encode(credentials_key(world->credentials), credentials_id(world->credentials),
				 3600, &message),
		ERR_NONE);
	assert_int_equal(
		pb_unpack(&handfast__istio__certificate_request__descriptor, buf_span(&message), &arena, &base, NULL),
		ERR_NONE);
	const Handfast__Istio__CertificateRequest *request = (const Handfast__Istio__CertificateRequest *)base;
	assert_int_equal(request->validity_duration, 3600);
	struct span pem = pb_span(request->csr);
	assert_int_equal(pem_next(&pem, &block), ERR_NONE);
	assert_string_equal(block.label, "CERTIFICATE REQUEST");
	assert_int_equal(csr_parse(span_of(block.der, block.der_len), &spki, NULL), ERR_NONE);
	assert_int_equal(private_key_public(credentials_key(world->credentials), &own), ERR_NONE);
	assert_true(span_eq(buf_span(&spki), buf_span(&own)));
	pem_block_done(&block);
}

static enum err identity_of(struct world *world, const char *claims, struct spiffe_id *out)
{
	_cleanup_(buf_done) struct buf token = BUF_INIT(MAX);
	assert_int_equal(base64url_encode(SPAN_LITERAL("{\"alg\":\"RS256\"}"), &token), ERR_NONE);
	assert_int_equal(buf_append_str(&token, "."), ERR_NONE);
	assert_int_equal(base64url_encode(span_of_str(claims), &token), ERR_NONE);
	assert_int_equal(buf_append_str(&token, ".c2ln"), ERR_NONE);
	return istio_token_identity(buf_span(&token), &world->own, out, &world->detail);
}

static void a_service_accounts_token_names_the_identity(void **state)
{
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
	assert_int_equal(
		identity_of(*state, "{\"aud\":[\"istio-ca\"],\"sub\":\"system:serviceaccount:shop:cart\"}", &id),
		ERR_NONE);
	assert_string_equal(id.text, ID);
}

static void other_tokens_name_none(void **state)
{
	struct world *world = *state;
	static const char *const claims[] = {"{}", "[]", "{\"sub\":7}", "{\"sub\":\"system:serviceaccount:shop\"}",
		"{\"sub\":\"system:node:a:b\"}", "{\"sub\":\"system:serviceaccount:shop:\"}",
		"{\"sub\":\"system:serviceaccount:shop:a:b\"}", "{\"sub\":\"system:serviceaccount:a/b:cart\"}{",
		"{\"sub\":\"system:serviceaccount::cart\"}", "{\"sub\":\"system:serviceaccount:..:cart\"}"};
	struct spiffe_id id = {0};
	for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++)
		assert_int_equal(identity_of(world, claims[i], &id), ERR_MALFORMED);
	assert_int_equal(istio_token_identity(SPAN_LITERAL("opaque"), &world->own, &id, &world->detail), ERR_MALFORMED);
	assert_non_null(strstr(world->detail.fix, "identity.spiffe_id"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(makes_valid_credentials_of_an_answer, make_world, remove_world),
		cmocka_unit_test_setup_teardown(leaves_out_roots_at_the_end_of_the_chain, make_world, remove_world),
		cmocka_unit_test_setup_teardown(takes_a_leaf_and_its_chain_in_one_element, make_world, remove_world),
		cmocka_unit_test_setup_teardown(
			takes_several_roots_and_leaves_out_one_that_is_none, make_world, remove_world),
		cmocka_unit_test_setup_teardown(refuses_another_identity_than_was_asked_for, make_world, remove_world),
		cmocka_unit_test_setup_teardown(
			refuses_an_answer_without_roots_or_without_a_leaf, make_world, remove_world),
		cmocka_unit_test_setup_teardown(refuses_what_is_no_pem_and_what_is_too_long, make_world, remove_world),
		cmocka_unit_test_setup_teardown(refuses_what_is_no_message, make_world, remove_world),
		cmocka_unit_test_setup_teardown(
			asks_with_the_key_the_identity_and_the_lifetime, make_world, remove_world),
		cmocka_unit_test_setup_teardown(a_service_accounts_token_names_the_identity, make_world, remove_world),
		cmocka_unit_test_setup_teardown(other_tokens_name_none, make_world, remove_world),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
