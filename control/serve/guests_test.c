/* Whom the roots of another authority let in: none that the mesh has banned or revoked. */
#include "control/serve/serve_private.h"

#include "base/core/mem.h"
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

#define DOMAIN "example.org"
#define GUEST  "spiffe://" DOMAIN "/guest"

struct guest_world {
	struct serve *serve; /* zeroed but for the roots */
	struct test_mesh *own, *other;
	struct svid *guest; /* of `other` */
	char path[32];
};

static int set_up(void **state)
{
	struct guest_world *world = mem_new(struct guest_world);
	struct trust_domain domain;
	const struct test_cert_spec spec = test_leaf_spec(GUEST);
	_cleanup_(buf_done) struct buf pem = BUF_INIT(16384);
	world->own = test_mesh_new(DOMAIN, TEST_NOW_S);
	world->other = test_mesh_new(DOMAIN, TEST_NOW_S);
	world->guest = test_mesh_svid(world->other, &spec);
	world->serve = mem_new(struct serve);
	(void)snprintf(world->path, sizeof world->path, "/tmp/hf-guests-XXXXXX");
	fd_close(mkstemp(world->path));
	assert_int_equal(pem_encode("CERTIFICATE", bundle_root(test_mesh_bundle(world->other), 0), &pem), ERR_NONE);
	assert_int_equal(fd_write_file(world->path, buf_span(&pem), 0600, NULL), ERR_NONE);
	assert_int_equal(trust_domain_parse(SPAN_LITERAL(DOMAIN), &domain, NULL), ERR_NONE);
	assert_int_equal(other_roots_new(world->path, &domain, &world->serve->options.other_roots, NULL), ERR_NONE);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct guest_world *world = *state;
	other_roots_free(world->serve->options.other_roots);
	mem_free(world->serve);
	svid_unref(world->guest);
	test_mesh_free(world->own);
	test_mesh_free(world->other);
	(void)unlink(world->path);
	mem_free(world);
	return 0;
}

/* mesh: what the mesh trusts, bans and has revoked. */
static enum err judge(const struct guest_world *world, const struct bundle_set *mesh)
{
	struct span chain[4];
	_cleanup_(svid_unrefp) struct svid *svid = NULL;
	size_t num = svid_num_chain(world->guest);
	for (size_t i = 0; i < num; i++)
		chain[i] = svid_cert(world->guest, i);
	const struct verify_input input = {
		.chain = chain, .num_chain = num, .bundles = mesh, .role = VERIFY_CLIENT, .now_s = TEST_NOW_S};
	assert_int_not_equal(verify_chain(&input, &svid, NULL), ERR_NONE); /* it is none of the mesh */
	return guests_verify(world->serve, &input, &svid);
}

static struct bundle_set *mesh_of(const struct guest_world *world)
{
	struct bundle_set *mesh = bundle_set_new();
	assert_int_equal(bundle_set_add(mesh, test_mesh_bundle(world->own), NULL), ERR_NONE);
	return mesh;
}

static void W35_a_guest_comes_by_the_other_roots_alone(void **state)
{
	struct guest_world *world = *state;
	_cleanup_(bundle_set_unrefp) struct bundle_set *mesh = mesh_of(world);
	assert_int_equal(judge(world, mesh), ERR_NONE);
	struct other_roots *roots = TAKE_PTR(world->serve->options.other_roots);
	assert_int_equal(judge(world, mesh), ERR_UNTRUSTED);
	world->serve->options.other_roots = roots;
}

static void W35_a_ban_of_the_mesh_holds_for_guests(void **state)
{
	struct guest_world *world = *state;
	_cleanup_(bundle_set_unrefp) struct bundle_set *mesh = mesh_of(world);
	bundle_set_ban_id(mesh, svid_id(world->guest));
	assert_int_equal(judge(world, mesh), ERR_REVOKED);
}

static void W35_a_serial_that_the_mesh_has_revoked_holds_for_guests_and_their_authorities(void **state)
{
	struct guest_world *world = *state;
	for (size_t i = 0; i < svid_num_chain(world->guest); i++) {
		_cleanup_(bundle_set_unrefp) struct bundle_set *mesh = mesh_of(world);
		struct sidecar_serial serial;
		assert_int_equal(certificate_serial(svid_cert(world->guest, i), serial.bytes, &serial.len), ERR_NONE);
		assert_int_equal(bundle_set_revoke(mesh, span_of(serial.bytes, serial.len)), ERR_NONE);
		assert_int_equal(judge(world, mesh), ERR_REVOKED);
	}
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(W35_a_guest_comes_by_the_other_roots_alone),
		CASE(W35_a_ban_of_the_mesh_holds_for_guests),
		CASE(W35_a_serial_that_the_mesh_has_revoked_holds_for_guests_and_their_authorities),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
