/* The authority of the operator's is one of certs/test_ca.h. */
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "certs/csr.h"
#include "certs/digest.h"
#include "certs/pem.h"
#include "certs/test_ca.h"
#include "certs/verify.h"
#include "control/issue/authority.h"
#include "control/issue/certificate.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
/* cmocka requires the four above */
#include <cmocka.h>

struct world {
	char parent[64], folder[80], files[3][80];
	struct clock_fake clock;
	struct authority_options options;
	struct authority authority;
	struct private_key *asked;
	struct test_cert *root;
	struct imported imported;
	struct why detail;
};

static void open_authority(struct world *world, enum key_policy policy)
{
	const struct store_mark mark = {.epoch = world->authority.mark.epoch + 1, .incarnation = 77, .revision = 1};
	world->options.policy = policy;
	assert_int_equal(authority_open(&world->authority, &world->options, &world->detail), ERR_NONE);
	assert_int_equal(authority_begin_epoch(&world->authority, &mark, &world->detail), ERR_NONE);
}

static void reopen(struct world *world)
{
	uint64_t epoch = world->authority.mark.epoch;
	authority_done(&world->authority);
	world->authority.mark.epoch = epoch;
	open_authority(world, KEYS_MUST_EXIST);
}

static void ask(struct world *world)
{
	_cleanup_(buf_done) struct buf request = BUF_INIT(4096);
	struct key_pair pair = {0};
	assert_int_equal(authority_request_intermediate(
				 &world->authority, world->authority.mark.epoch, &request, &world->detail),
		ERR_NONE);
	assert_int_equal(key_folder_load(&world->authority.folder, "intermediate-request", &pair, NULL), ERR_NONE);
	if (world->asked != NULL)
		private_key_unref(world->asked);
	world->asked = private_key_ref(pair.key);
	key_pair_done(&pair);
}

static int set_up(void **state)
{
	static const char *const names[] = {"own.pem", "own.key", "root.pem"};
	struct world *world = mem_new(struct world);
	snprintf(world->parent, sizeof world->parent, "/tmp/importXXXXXX");
	assert_non_null(mkdtemp(world->parent));
	snprintf(world->folder, sizeof world->folder, "%s/keys", world->parent);
	for (size_t i = 0; i < 3; i++)
		snprintf(world->files[i], sizeof world->files[i], "%s/%s", world->parent, names[i]);
	clock_fake_init(&world->clock, TEST_NOW_S * 1000LL);
	world->options = (struct authority_options){.folder = world->folder,
		.max_leaf_ttl_s = 600,
		.intermediate_life_s = 7 * 86400,
		.root_life_s = 365 * 86400,
		.own_certificate = world->files[0],
		.own_key = world->files[1],
		.own_root = world->files[2],
		.clock = &world->clock.clock};
	snprintf(world->options.trust_domain.name, sizeof world->options.trust_domain.name, "td.test");
	open_authority(world, KEYS_MAY_BE_MADE);
	struct test_cert_spec root = test_ca_spec("offline root");
	world->root = test_cert_new(&root, NULL);
	ask(world);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	authority_done(&world->authority);
	private_key_unref(world->asked);
	test_cert_free(world->root);
	_cleanup_(mem_freep) char *command = mem_printf("rm -rf %s", world->parent);
	assert_int_equal(system(command), 0);
	mem_free(world);
	return 0;
}

static struct test_cert_spec intermediate_spec(const struct world *world)
{
	struct test_cert_spec spec = test_ca_spec("intermediate");
	spec.for_key = world->asked;
	spec.path_length = 0;
	spec.names[0] = TEST_URI("spiffe://td.test");
	return spec;
}

static void put(struct buf *pem, const struct test_cert *cert)
{
	assert_int_equal(pem_encode("CERTIFICATE", test_cert_der(cert), pem), ERR_NONE);
}

static void digest_of(const struct test_cert *cert, uint8_t out[DIGEST_LEN])
{
	digest_sha256(test_cert_der(cert), out);
}

static enum err import(struct world *world, const struct buf *pem, const uint8_t *root_sha256)
{
	const struct import_request request = {.epoch = world->authority.mark.epoch,
		.pem = buf_span(pem),
		.root_sha256 = span_of(root_sha256, root_sha256 == NULL ? 0 : DIGEST_LEN)};
	return authority_import(&world->authority, &request, &world->imported, &world->detail);
}

static enum err import_below(struct world *world, const struct test_cert_spec *spec, const struct test_cert *root)
{
	_cleanup_(buf_done) struct buf pem = BUF_INIT(IMPORT_MAX);
	_cleanup_(test_cert_freep) struct test_cert *cert = test_cert_new(spec, root);
	put(&pem, cert);
	put(&pem, root);
	return import(world, &pem, NULL);
}

static enum err activate(struct world *world, const struct test_cert *root)
{
	uint8_t digest[DIGEST_LEN];
	digest_of(root, digest);
	const struct root_request request = {
		.epoch = world->authority.mark.epoch, .sha256 = span_of(digest, DIGEST_LEN)};
	return authority_activate_root(&world->authority, &request, &world->detail);
}

static bool is_leaf_below(struct world *world, const struct test_cert *root)
{
	_cleanup_(buf_done) struct buf spki = BUF_INIT(1024), leaf = BUF_INIT(CERTIFICATE_MAX);
	_cleanup_(bundle_set_unrefp) struct bundle_set *bundles = bundle_set_new();
	_cleanup_(bundle_unrefp) struct bundle *bundle = NULL;
	_cleanup_(svid_unrefp) struct svid *svid = NULL;
	const struct key_pair *pair = &world->authority.intermediate;
	struct span root_der = test_cert_der(root);
	assert_int_equal(private_key_public(world->asked, &spki), ERR_NONE);
	const struct leaf_request request = {
		world->authority.mark.epoch, SPAN_LITERAL("spiffe://td.test/a"), buf_span(&spki), 60};
	assert_int_equal(authority_sign_leaf(&world->authority, &request, &leaf, &world->detail), ERR_NONE);
	assert_int_equal(bundle_new(&world->options.trust_domain, &root_der, 1, &bundle, NULL), ERR_NONE);
	assert_int_equal(bundle_set_add(bundles, bundle, NULL), ERR_NONE);
	const struct span chain[] = {buf_span(&leaf), buf_span(&pair->certificate), buf_span(&pair->above[0])};
	const struct verify_input input = {.chain = chain,
		.num_chain = chain[2].len > 0 ? 3 : 2,
		.bundles = bundles,
		.role = VERIFY_SERVER,
		.now_s = TEST_NOW_S};
	return verify_chain(&input, &svid, NULL) == ERR_NONE;
}

static void a_request_asks_for_an_authority_and_repeats_its_key(void **state)
{
	struct world *world = *state;
	_cleanup_(buf_done) struct buf first = BUF_INIT(4096), again = BUF_INIT(4096);
	_cleanup_(buf_done) struct buf spki = BUF_INIT(1024), spki_again = BUF_INIT(1024);
	uint64_t epoch = world->authority.mark.epoch;
	assert_int_equal(authority_request_intermediate(&world->authority, epoch, &first, NULL), ERR_NONE);
	reopen(world);
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
	struct world *world = *state;
	struct test_cert_spec spec = intermediate_spec(world);
	assert_int_equal(import_below(world, &spec, world->root), ERR_NONE);
	assert_true(span_eq(world->imported.root, test_cert_der(world->root)));
	assert_false(is_leaf_below(world, world->root));
	reopen(world); /* it is durable */
	assert_int_equal(activate(world, world->root), ERR_NONE);
	assert_true(is_leaf_below(world, world->root));
	reopen(world);
	assert_null(world->authority.root.key);
	assert_true(is_leaf_below(world, world->root));
	assert_int_equal(authority_renew_intermediate(&world->authority, world->authority.mark.epoch, &world->detail),
		ERR_DENIED);
}

static void the_next_one_below_the_root_in_use_takes_effect_at_once(void **state)
{
	struct world *world = *state;
	_cleanup_(buf_done) struct buf pem = BUF_INIT(IMPORT_MAX);
	struct test_cert_spec spec = intermediate_spec(world);
	assert_int_equal(import_below(world, &spec, world->root), ERR_NONE);
	assert_int_equal(activate(world, world->root), ERR_NONE);
	struct private_key *first = private_key_ref(world->asked);
	ask(world); /* another key */
	spec = intermediate_spec(world);
	_cleanup_(test_cert_freep) struct test_cert *next = test_cert_new(&spec, world->root);
	put(&pem, next);
	assert_int_equal(import(world, &pem, NULL), ERR_NONE); /* without the root, which is known */
	assert_true(span_eq(buf_span(&world->authority.intermediate.certificate), test_cert_der(next)));
	assert_int_equal(import(world, &pem, NULL), ERR_NONE); /* repeated */
	assert_true(is_leaf_below(world, world->root));
	assert_int_not_equal(certificate_matches(test_cert_der(next), first), ERR_NONE);
	private_key_unref(first);
}

/* The root ends in five minutes, and the intermediate that it has signed in an hour. */
static void finding_i4_no_leaf_outlives_an_authority_above_its_issuer(void **state)
{
	struct world *world = *state;
	_cleanup_(buf_done) struct buf spki = BUF_INIT(1024), leaf = BUF_INIT(CERTIFICATE_MAX);
	struct test_cert_spec root_spec = test_ca_spec("short root"), spec = intermediate_spec(world);
	int64_t from, to;
	root_spec.not_after_s = TEST_NOW_S + 300;
	spec.not_after_s = TEST_NOW_S + 3600;
	_cleanup_(test_cert_freep) struct test_cert *root = test_cert_new(&root_spec, NULL);
	assert_int_equal(import_below(world, &spec, root), ERR_NONE);
	assert_int_equal(activate(world, root), ERR_NONE);
	assert_int_equal(private_key_public(world->asked, &spki), ERR_NONE);
	const struct leaf_request request = {
		world->authority.mark.epoch, SPAN_LITERAL("spiffe://td.test/a"), buf_span(&spki), 600};
	assert_int_equal(authority_sign_leaf(&world->authority, &request, &leaf, &world->detail), ERR_NONE);
	assert_int_equal(certificate_validity(buf_span(&leaf), &from, &to), ERR_NONE);
	assert_true(to == TEST_NOW_S + 300);
}

static void a_chain_of_two_authorities_is_sent_as_a_whole(void **state)
{
	struct world *world = *state;
	_cleanup_(buf_done) struct buf pem = BUF_INIT(IMPORT_MAX);
	struct test_cert_spec upper_spec = test_ca_spec("upper"), spec = intermediate_spec(world);
	_cleanup_(test_cert_freep) struct test_cert *upper = test_cert_new(&upper_spec, world->root);
	_cleanup_(test_cert_freep) struct test_cert *cert = test_cert_new(&spec, upper);
	put(&pem, world->root); /* in any order */
	put(&pem, cert);
	put(&pem, upper);
	assert_int_equal(import(world, &pem, NULL), ERR_NONE);
	assert_int_equal(activate(world, world->root), ERR_NONE);
	assert_true(is_leaf_below(world, world->root));
}

/* By the order of the file: what is wrong is the intermediate, or the authority above it, wherever it stands. */
static void expect_named(struct world *world, const struct test_cert *const certs[3], const char *got)
{
	static const unsigned turns[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
	for (size_t i = 0; i < 6; i++) {
		_cleanup_(buf_done) struct buf pem = BUF_INIT(IMPORT_MAX);
		for (size_t at = 0; at < 3; at++)
			if (certs[turns[i][at]] != NULL)
				put(&pem, certs[turns[i][at]]);
		assert_int_not_equal(import(world, &pem, NULL), ERR_NONE);
		if (strstr(world->detail.got, got) == NULL)
			fail_msg("%s", world->detail.got);
		assert_null(strstr(world->detail.got, "of the chain"));
	}
}

static void names_the_certificate_that_is_wrong_in_each_order(void **state)
{
	struct world *world = *state;
	struct test_cert_spec upper_spec = test_ca_spec("upper"), spec = intermediate_spec(world);
	_cleanup_(test_cert_freep) struct test_cert *upper = test_cert_new(&upper_spec, world->root);
	_cleanup_(test_cert_freep) struct test_cert *good = test_cert_new(&spec, upper);
	const struct test_cert *without_root[] = {good, upper, NULL}, *without_upper[] = {good, NULL, world->root};
	expect_named(world, without_root, "the file has the authority 'upper'");
	expect_named(world, without_upper, "the file has the intermediate 'intermediate'");
	spec.key_usage = TEST_KU_DIGITAL_SIGNATURE;
	_cleanup_(test_cert_freep) struct test_cert *weak = test_cert_new(&spec, upper);
	const struct test_cert *with_weak[] = {weak, upper, world->root};
	expect_named(world, with_weak, "the intermediate 'intermediate'");
	spec = intermediate_spec(world);
	upper_spec.key_usage = TEST_KU_DIGITAL_SIGNATURE;
	_cleanup_(test_cert_freep) struct test_cert *weak_upper = test_cert_new(&upper_spec, world->root);
	_cleanup_(test_cert_freep) struct test_cert *below = test_cert_new(&spec, weak_upper);
	const struct test_cert *with_weak_upper[] = {below, weak_upper, world->root};
	expect_named(world, with_weak_upper, "the authority above it 'upper'");
}

/* Each is refused with its reason, and nothing changes. */
static void C40_a_chain_that_no_sidecar_would_accept_is_refused(void **state)
{
	struct world *world = *state;
	const struct test_cert_spec good = intermediate_spec(world);
	struct test_cert_spec bad[7] = {good, good, good, good, good, good, good};
	const enum err expected[] = {
		ERR_NOT_SVID, ERR_NOT_SVID, ERR_UNTRUSTED, ERR_NOT_SVID, ERR_EXPIRED, ERR_NOT_FOUND, ERR_NOT_YET_VALID};
	bad[0].is_ca = false;
	bad[0].path_length = -1;
	bad[1].key_usage = TEST_KU_DIGITAL_SIGNATURE;
	bad[2].permitted[0] = TEST_URI("other.test");
	bad[3].names[0] = TEST_URI("spiffe://other.test");
	bad[4].not_after_s = TEST_NOW_S + 30;
	bad[5].for_key = NULL; /* of another control plane */
	bad[6].not_before_s = TEST_NOW_S + 600;
	for (size_t i = 0; i < 7; i++) {
		assert_int_equal(import_below(world, &bad[i], world->root), expected[i]);
		assert_true(world->detail.fix[0] != 0 && world->detail.expected[0] != 0);
	}
	struct test_cert_spec flat = test_ca_spec("flat root");
	flat.path_length = 0;
	_cleanup_(test_cert_freep) struct test_cert *flat_root = test_cert_new(&flat, NULL);
	assert_int_equal(import_below(world, &good, flat_root), ERR_UNTRUSTED);
	assert_int_equal(activate(world, world->root), ERR_NOT_FOUND);
	assert_int_equal(import_below(world, &good, world->root), ERR_NONE);
}

static void C40_an_incomplete_or_endless_chain_is_refused(void **state)
{
	struct world *world = *state;
	_cleanup_(buf_done) struct buf pem = BUF_INIT(IMPORT_MAX);
	const struct test_cert_spec spec = intermediate_spec(world);
	_cleanup_(test_cert_freep) struct test_cert *cert = test_cert_new(&spec, world->root);
	assert_int_equal(import(world, &pem, NULL), ERR_MALFORMED);
	put(&pem, cert);
	assert_int_equal(import(world, &pem, NULL), ERR_UNTRUSTED); /* the root is missing */
	for (unsigned i = 0; i < 9; i++) {
		struct test_cert_spec other = test_ca_spec("other");
		_cleanup_(test_cert_freep) struct test_cert *more = test_cert_new(&other, NULL);
		put(&pem, more);
	}
	assert_int_equal(import(world, &pem, NULL), ERR_LIMIT);
}

static void another_root_than_that_of_the_rotation_is_refused(void **state)
{
	struct world *world = *state;
	_cleanup_(buf_done) struct buf pem = BUF_INIT(IMPORT_MAX);
	const struct test_cert_spec spec = intermediate_spec(world);
	const uint8_t other[DIGEST_LEN] = {1};
	uint8_t own[DIGEST_LEN];
	digest_of(world->root, own);
	_cleanup_(test_cert_freep) struct test_cert *cert = test_cert_new(&spec, world->root);
	put(&pem, cert);
	put(&pem, world->root);
	assert_int_equal(import(world, &pem, other), ERR_EXISTS);
	assert_int_equal(activate(world, world->root), ERR_NOT_FOUND);
	assert_int_equal(import(world, &pem, own), ERR_NONE);
	world->authority.mark.epoch++; /* C17: a request of an older issuer */
	const struct import_request old = {.epoch = world->authority.mark.epoch - 1, .pem = buf_span(&pem)};
	assert_int_equal(authority_import(&world->authority, &old, &world->imported, &world->detail), ERR_CONFLICT);
}

static void write_file(const char *path, const char *label, struct span der)
{
	_cleanup_(buf_wipe) struct buf pem = BUF_INIT(IMPORT_MAX);
	assert_int_equal(pem_encode(label, der, &pem), ERR_NONE);
	assert_int_equal(fd_write_file(path, buf_span(&pem), 0600, NULL), ERR_NONE);
}

static enum err import_files(struct world *world)
{
	const struct import_request request = {.epoch = world->authority.mark.epoch};
	return authority_import_files(&world->authority, &request, &world->imported, &world->detail);
}

static void key_and_certificates_come_from_files(void **state)
{
	struct world *world = *state;
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
	assert_int_equal(activate(world, world->root), ERR_NONE);
	assert_true(is_leaf_below(world, world->root));
	assert_int_equal(import_files(world), ERR_NONE); /* unchanged */
	_cleanup_(test_cert_freep) struct test_cert *other = test_cert_new(&spec, world->root);
	write_file(world->files[0], "CERTIFICATE", test_cert_der(other)); /* its key is not there yet */
	assert_int_equal(import_files(world), ERR_NOT_FOUND);
	assert_true(is_leaf_below(world, world->root));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_request_asks_for_an_authority_and_repeats_its_key),
		TEST(an_imported_intermediate_is_used_when_its_root_is_activated),
		TEST(the_next_one_below_the_root_in_use_takes_effect_at_once),
		TEST(finding_i4_no_leaf_outlives_an_authority_above_its_issuer),
		TEST(a_chain_of_two_authorities_is_sent_as_a_whole),
		TEST(names_the_certificate_that_is_wrong_in_each_order),
		TEST(C40_a_chain_that_no_sidecar_would_accept_is_refused),
		TEST(C40_an_incomplete_or_endless_chain_is_refused),
		TEST(another_root_than_that_of_the_rotation_is_refused),
		TEST(key_and_certificates_come_from_files),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
