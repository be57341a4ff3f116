#include "control/issue/test_importing.h"
#include "base/core/mem.h"
#include "certs/digest.h"
#include "certs/pem.h"
#include "certs/verify.h"
#include "control/issue/certificate.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka requires the four above */
#include <cmocka.h>

static void open_authority(struct importing *world, enum key_policy policy)
{
	const struct store_mark mark = {.epoch = world->authority.mark.epoch + 1, .incarnation = 77, .revision = 1};
	world->options.policy = policy;
	assert_int_equal(authority_open(&world->authority, &world->options, &world->detail), ERR_NONE);
	assert_int_equal(authority_begin_epoch(&world->authority, &mark, &world->detail), ERR_NONE);
}

void importing_reopen(struct importing *world)
{
	uint64_t epoch = world->authority.mark.epoch;
	authority_done(&world->authority);
	world->authority.mark.epoch = epoch;
	open_authority(world, KEYS_MUST_EXIST);
}

void importing_ask(struct importing *world)
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

int importing_set_up(void **state)
{
	static const char *const names[] = {"own.pem", "own.key", "root.pem"};
	struct importing *world = mem_new(struct importing);
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
	importing_ask(world);
	*state = world;
	return 0;
}

int importing_tear_down(void **state)
{
	struct importing *world = *state;
	authority_done(&world->authority);
	private_key_unref(world->asked);
	test_cert_free(world->root);
	_cleanup_(mem_freep) char *command = mem_printf("rm -rf %s", world->parent);
	assert_int_equal(system(command), 0);
	mem_free(world);
	return 0;
}

struct test_cert_spec importing_intermediate(const struct importing *world)
{
	struct test_cert_spec spec = test_ca_spec("intermediate");
	spec.for_key = world->asked;
	spec.path_length = 0;
	spec.names[0] = TEST_URI("spiffe://td.test");
	return spec;
}

void importing_put(struct buf *pem, const struct test_cert *cert)
{
	assert_int_equal(pem_encode("CERTIFICATE", test_cert_der(cert), pem), ERR_NONE);
}

void importing_digest(const struct test_cert *cert, uint8_t out[DIGEST_LEN])
{
	digest_sha256(test_cert_der(cert), out);
}

enum err importing_take(struct importing *world, const struct buf *pem, const uint8_t *root_sha256)
{
	const struct import_request request = {.epoch = world->authority.mark.epoch,
		.pem = buf_span(pem),
		.root_sha256 = span_of(root_sha256, root_sha256 == NULL ? 0 : DIGEST_LEN)};
	return authority_import(&world->authority, &request, &world->imported, &world->detail);
}

enum err importing_take_below(struct importing *world, const struct test_cert_spec *spec, const struct test_cert *root)
{
	_cleanup_(buf_done) struct buf pem = BUF_INIT(IMPORT_MAX);
	_cleanup_(test_cert_freep) struct test_cert *cert = test_cert_new(spec, root);
	importing_put(&pem, cert);
	importing_put(&pem, root);
	return importing_take(world, &pem, NULL);
}

enum err importing_activate(struct importing *world, const struct test_cert *root)
{
	uint8_t digest[DIGEST_LEN];
	importing_digest(root, digest);
	const struct root_request request = {
		.epoch = world->authority.mark.epoch, .sha256 = span_of(digest, DIGEST_LEN)};
	return authority_activate_root(&world->authority, &request, &world->detail);
}

bool importing_is_leaf_below(struct importing *world, const struct test_cert *root)
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
