/* Which answers of a Workload API are taken, and which parts of one are left out. */
#include "sidecar/identity/workload_answer.h"

#include "base/core/cleanup.h"
#include "base/pb/unpack.h"
#include "certs/credentials.h"
#include "certs/test_mesh.h"
#include "proto/workload/spiffe.pb-c.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires the headers above */
#include <cmocka.h>

#define DOMAIN "example.org"
#define ID     "spiffe://example.org/app"
#define OTHER  "spiffe://example.org/other"

enum { MAX = 1 << 20, SVIDS = 3 };

struct world {
	struct test_mesh *mesh, *partner;
	struct trust_domain own;
	struct credentials *credentials[SVIDS]; /* for ID, for OTHER, and for the partner's workload */
	struct buf chains[SVIDS], keys[SVIDS], roots, partner_roots, message;
	Handfast__Workload__X509Svid svids[SVIDS], *svid_list[SVIDS];
	Handfast__Workload__BundleEntry entry, *entries[1];
	Handfast__Workload__X509SvidResponse response;
	struct workload_answer answer;
	struct why detail;
};

static void put_root(const struct test_mesh *mesh, struct buf *out)
{
	buf_init(out, MAX);
	assert_int_equal(buf_append(out, bundle_root(test_mesh_bundle(mesh), 0)), ERR_NONE);
}

static void put_svid(struct world *world, size_t i, const struct test_mesh *mesh, const char *id)
{
	world->credentials[i] = test_mesh_credentials(mesh, id);
	const struct svid *svid = credentials_svid(world->credentials[i]);
	buf_init(&world->chains[i], MAX);
	buf_init(&world->keys[i], MAX);
	for (size_t at = 0; at < svid_num_chain(svid); at++)
		assert_int_equal(buf_append(&world->chains[i], svid_cert(svid, at)), ERR_NONE);
	assert_int_equal(private_key_encode(credentials_key(world->credentials[i]), &world->keys[i]), ERR_NONE);
	handfast__workload__x509_svid__init(&world->svids[i]);
	world->svids[i].spiffe_id = pb_bytes(span_of_str(id));
	world->svids[i].x509_svid = pb_bytes(buf_span(&world->chains[i]));
	world->svids[i].x509_svid_key = pb_bytes(buf_span(&world->keys[i]));
	world->svids[i].bundle = pb_bytes(buf_span(&world->roots));
	world->svid_list[i] = &world->svids[i];
}

static int make_world(void **state)
{
	static struct world world;
	world = (struct world){
		.mesh = test_mesh_new(DOMAIN, TEST_NOW_S), .partner = test_mesh_new("partner.org", TEST_NOW_S)};
	assert_int_equal(trust_domain_parse(SPAN_LITERAL(DOMAIN), &world.own, NULL), ERR_NONE);
	put_root(world.mesh, &world.roots);
	put_root(world.partner, &world.partner_roots);
	put_svid(&world, 0, world.mesh, ID);
	put_svid(&world, 1, world.mesh, OTHER);
	put_svid(&world, 2, world.partner, "spiffe://partner.org/app");
	handfast__workload__bundle_entry__init(&world.entry);
	world.entry.key = pb_bytes(SPAN_LITERAL("spiffe://partner.org"));
	world.entry.value = pb_bytes(buf_span(&world.partner_roots));
	world.entries[0] = &world.entry;
	handfast__workload__x509_svid_response__init(&world.response);
	world.response.n_svids = 2;
	world.response.svids = world.svid_list;
	world.response.n_federated_bundles = 1;
	world.response.federated_bundles = world.entries;
	buf_init(&world.message, MAX);
	*state = &world;
	return 0;
}

static int remove_world(void **state)
{
	struct world *world = *state;
	for (size_t i = 0; i < SVIDS; i++) {
		credentials_unref(world->credentials[i]);
		buf_done(&world->chains[i]);
		buf_wipe(&world->keys[i]);
	}
	buf_done(&world->roots);
	buf_done(&world->partner_roots);
	buf_wipe(&world->message);
	workload_answer_done(&world->answer);
	test_mesh_free(world->mesh);
	test_mesh_free(world->partner);
	return 0;
}

static enum err parse(struct world *world, const char *wanted, const struct spiffe_id *present)
{
	const struct workload_choice choice = {.own = &world->own, .wanted = wanted, .present = present};
	buf_clear(&world->message);
	workload_answer_done(&world->answer);
	assert_int_equal(pb_pack(&world->response.base, &world->message), ERR_NONE);
	world->detail = (struct why){0};
	enum err err = workload_answer_parse(buf_span(&world->message), &choice, &world->answer, &world->detail);
	assert_int_equal(world->detail.err, err);
	if (err != ERR_NONE)
		assert_null(world->answer.svid);
	return err;
}

static void makes_valid_credentials_of_the_first_svid(void **state)
{
	struct world *world = *state;
	_cleanup_(credentials_unrefp) struct credentials *made = NULL;
	assert_int_equal(parse(world, NULL, NULL), ERR_NONE);
	const struct workload_answer *answer = &world->answer;
	assert_int_equal(credentials_new(answer->svid, answer->key, answer->bundles, (struct epoch){1, 1}, TEST_NOW_S,
				 &made, NULL),
		ERR_NONE);
	assert_string_equal(credentials_id(made)->text, ID);
	assert_int_equal(bundle_set_num(answer->bundles), 2);
	assert_non_null(bundle_set_find(answer->bundles, SPAN_LITERAL("partner.org")));
	assert_int_equal(answer->num_skipped, 0);
}

static void takes_the_wanted_one_then_the_one_in_use(void **state)
{
	struct world *world = *state;
	assert_int_equal(parse(world, OTHER, NULL), ERR_NONE);
	assert_string_equal(svid_id(world->answer.svid)->text, OTHER);
	assert_int_equal(parse(world, NULL, credentials_id(world->credentials[1])), ERR_NONE);
	assert_string_equal(svid_id(world->answer.svid)->text, OTHER);
	assert_int_equal(parse(world, ID, credentials_id(world->credentials[1])), ERR_NONE);
	assert_string_equal(svid_id(world->answer.svid)->text, ID);
	world->response.n_svids = 1; /* the one in use has been withdrawn */
	assert_int_equal(parse(world, NULL, credentials_id(world->credentials[1])), ERR_NONE);
	assert_string_equal(svid_id(world->answer.svid)->text, ID);
}

static void W34_refuses_an_answer_without_the_wanted_one(void **state)
{
	struct world *world = *state;
	assert_int_equal(parse(world, "spiffe://example.org/third", NULL), ERR_NOT_FOUND);
	assert_non_null(strstr(world->detail.got, ID));
	world->response.n_svids = 0;
	assert_int_equal(parse(world, NULL, NULL), ERR_MALFORMED);
}

static void W34_refuses_another_trust_domain_and_names_both(void **state)
{
	struct world *world = *state;
	world->svid_list[0] = &world->svids[2];
	assert_int_equal(parse(world, NULL, NULL), ERR_WRONG_PEER);
	assert_non_null(strstr(world->detail.got, "partner.org"));
	assert_non_null(strstr(world->detail.got, "trust_domain is example.org"));
}

static void W34_refuses_a_name_that_is_not_the_certificates(void **state)
{
	struct world *world = *state;
	world->svids[0].spiffe_id = pb_bytes(SPAN_LITERAL("spiffe://example.org/admin"));
	assert_int_equal(parse(world, NULL, NULL), ERR_MALFORMED);
}

static void W34_refuses_a_chain_that_is_too_long_or_cut(void **state)
{
	struct world *world = *state;
	_cleanup_(buf_done) struct buf three = BUF_INIT(MAX);
	for (int i = 0; i < 3; i++)
		assert_int_equal(buf_append(&three, buf_span(&world->chains[0])), ERR_NONE);
	world->svids[0].x509_svid = pb_bytes(buf_span(&three));
	assert_int_equal(parse(world, NULL, NULL), ERR_TOO_LARGE);
	struct span whole = buf_span(&world->chains[0]);
	world->svids[0].x509_svid = pb_bytes(span_of(whole.ptr, whole.len - 1));
	assert_int_equal(parse(world, NULL, NULL), ERR_MALFORMED);
	world->svids[0].x509_svid = (ProtobufCBinaryData){0};
	assert_int_not_equal(parse(world, NULL, NULL), ERR_NONE);
}

static void W34_refuses_a_key_that_does_not_parse(void **state)
{
	struct world *world = *state;
	world->svids[0].x509_svid_key = pb_bytes(SPAN_LITERAL("no key"));
	assert_int_equal(parse(world, NULL, NULL), ERR_WEAK_KEY);
	assert_non_null(strstr(world->detail.fix, "ec-p256"));
}

/* The key of another certificate is found by credentials_new(). */
static void W34_another_certificates_key_makes_no_credentials(void **state)
{
	struct world *world = *state;
	_cleanup_(credentials_unrefp) struct credentials *made = NULL;
	world->svids[0].x509_svid_key = world->svids[1].x509_svid_key;
	assert_int_equal(parse(world, NULL, NULL), ERR_NONE);
	assert_int_equal(credentials_new(world->answer.svid, world->answer.key, world->answer.bundles,
				 (struct epoch){1, 1}, TEST_NOW_S, &made, NULL),
		ERR_KEY_MISMATCH);
}

static void a_bad_root_or_bundle_leaves_the_others(void **state)
{
	struct world *world = *state;
	_cleanup_(buf_done) struct buf mixed = BUF_INIT(MAX);
	assert_int_equal(buf_append(&mixed, svid_cert(credentials_svid(world->credentials[0]), 0)), ERR_NONE);
	assert_int_equal(buf_append(&mixed, buf_span(&world->roots)), ERR_NONE);
	assert_int_equal(buf_append_str(&mixed, "tail"), ERR_NONE);
	world->svids[0].bundle = pb_bytes(buf_span(&mixed)); /* a leaf, the root, garbage */
	world->entry.key = pb_bytes(SPAN_LITERAL("spiffe://Partner.org/path"));
	assert_int_equal(parse(world, NULL, NULL), ERR_NONE);
	const struct bundle *own = bundle_set_find(world->answer.bundles, SPAN_LITERAL(DOMAIN));
	assert_int_equal(bundle_num_roots(own), 1);
	assert_int_equal(bundle_set_num(world->answer.bundles), 1);
	assert_int_equal(world->answer.num_skipped, 3);
	assert_int_not_equal(world->answer.skipped.err, ERR_NONE);
	world->entry.key = pb_bytes(SPAN_LITERAL("spiffe://" DOMAIN)); /* the own domain, given as a foreign one */
	assert_int_equal(parse(world, NULL, NULL), ERR_NONE);
	assert_int_equal(bundle_set_num(world->answer.bundles), 1);
}

static void lists_are_added_and_a_bad_one_is_left_out(void **state)
{
	struct world *world = *state;
	_cleanup_(buf_done) struct buf list = BUF_INIT(8192);
	struct test_crl_spec spec = test_crl_spec();
	struct revocation_lists lists;
	test_crl_make(&spec, test_mesh_root(world->mesh), &list);
	ProtobufCBinaryData crls[] = {pb_bytes(SPAN_LITERAL("garbage")), pb_bytes(buf_span(&list))};
	world->response.n_crl = 2;
	world->response.crl = crls;
	assert_int_equal(parse(world, NULL, NULL), ERR_NONE);
	bundle_set_lists(world->answer.bundles, TEST_NOW_S, &lists);
	assert_true(lists.num == 1 && lists.num_skipped == 1);
}

/* A root that is missing after its end goes on for its connections; one that is missing before has been withdrawn. */
static void a_root_that_has_ended_is_retired(void **state)
{
	struct world *world = *state;
	_cleanup_(test_mesh_freep) struct test_mesh *next = test_mesh_new(DOMAIN, TEST_NOW_S);
	_cleanup_(buf_done) struct buf roots = BUF_INIT(MAX);
	struct workload_choice choice = {.own = &world->own, .bundles = test_mesh_bundles(world->mesh)};
	assert_int_equal(buf_append(&roots, bundle_root(test_mesh_bundle(next), 0)), ERR_NONE);
	world->svids[0].bundle = pb_bytes(buf_span(&roots));
	assert_int_equal(pb_pack(&world->response.base, &world->message), ERR_NONE);
	static const struct {
		int64_t now_s;
		size_t num_all;
	} cases[] = {{TEST_NOW_S, 1}, {TEST_NOW_S + 3600, 2}};
	for (size_t i = 0; i < 2; i++) {
		choice.now_s = cases[i].now_s;
		workload_answer_done(&world->answer);
		assert_int_equal(
			workload_answer_parse(buf_span(&world->message), &choice, &world->answer, NULL), ERR_NONE);
		const struct bundle *own = bundle_set_find(world->answer.bundles, SPAN_LITERAL(DOMAIN));
		assert_int_equal(bundle_num_roots(own), 1);
		assert_int_equal(bundle_num_all(own), cases[i].num_all);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_world, remove_world)
	const struct CMUnitTest tests[] = {
		TEST(makes_valid_credentials_of_the_first_svid),
		TEST(takes_the_wanted_one_then_the_one_in_use),
		TEST(W34_refuses_an_answer_without_the_wanted_one),
		TEST(W34_refuses_another_trust_domain_and_names_both),
		TEST(W34_refuses_a_name_that_is_not_the_certificates),
		TEST(W34_refuses_a_chain_that_is_too_long_or_cut),
		TEST(W34_refuses_a_key_that_does_not_parse),
		TEST(W34_another_certificates_key_makes_no_credentials),
		TEST(a_bad_root_or_bundle_leaves_the_others),
		TEST(a_root_that_has_ended_is_retired),
		TEST(lists_are_added_and_a_bad_one_is_left_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
