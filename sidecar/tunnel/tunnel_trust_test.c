/* Trust that is withdrawn closes the open tunnels that depend on it, and no other. */
#include "sidecar/tunnel/test_peer.h"
#include "sidecar/tunnel/tunnel_server.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires setjmp, stdarg, stddef and stdint */
#include <cmocka.h>

enum taken_back { ROOT, AUTHORITY_BY_LIST, IDENTITY_BY_BAN };

/* What the server trusts once that was taken back from the peers of the other mesh. */
static struct bundle_set *bundles_without(struct world *world, const struct test_mesh *other, enum taken_back what)
{
	static const struct trust_domain domain = {"other.test"};
	struct bundle_set *bundles = bundle_set_new();
	assert_int_equal(bundle_set_add(bundles, test_mesh_bundle(world->mesh), NULL), ERR_NONE);
	if (what == ROOT)
		return bundles;
	assert_int_equal(bundle_set_add(bundles, test_mesh_bundle(other), NULL), ERR_NONE);
	if (what == IDENTITY_BY_BAN) {
		_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
		assert_int_equal(spiffe_id_parse(SPAN_LITERAL("spiffe://other.test/raw"), &id, NULL), ERR_NONE);
		bundle_set_ban_id(bundles, &id);
		return bundles;
	}
	_cleanup_(buf_done) struct buf der = BUF_INIT(8192);
	struct test_crl_spec spec = test_crl_spec();
	spec.revoked[0] = test_mesh_intermediate(other);
	test_crl_make(&spec, test_mesh_root(other), &der);
	assert_int_equal(bundle_set_add_crl(bundles, &domain, buf_span(&der), NULL), ERR_NONE);
	return bundles;
}

static void server_trusts(struct world *world, struct bundle_set *bundles)
{
	world_set_credentials(
		world, false, test_mesh_credentials_until(world->mesh, SERVER_ID, TEST_NOW_S + 3000, bundles));
}

static struct peer *peer_with_a_stream(struct world *world, struct credentials *credentials)
{
	static const struct h2_header headers[] = {
		PEER_HEADER(":method", "CONNECT"), PEER_HEADER(":authority", "192.0.2.1:80")};
	struct peer *peer = peer_connect(world, credentials);
	struct peer_stream *stream = peer_open(peer, headers, 2, false);
	assert_true(PEER_UNTIL(peer, stream->status == 200));
	return peer;
}

static bool is_served(struct peer *peer, struct far *far)
{
	assert_int_equal(send(far->fd, "x", 1, 0), 1);
	return PEER_UNTIL(peer, buf_len(&peer->streams[0].received) > 0);
}

static void cuts_only_the_tunnels_of(struct world *world, enum taken_back what)
{
	struct test_mesh *other = test_mesh_new("other.test", TEST_NOW_S);
	struct bundle_set *both = bundle_set_new(), *fewer = bundles_without(world, other, what);
	assert_int_equal(bundle_set_add(both, test_mesh_bundle(world->mesh), NULL), ERR_NONE);
	assert_int_equal(bundle_set_add(both, test_mesh_bundle(other), NULL), ERR_NONE);
	server_trusts(world, both);
	struct peer *keeps = peer_with_a_stream(world, world_credentials(world, RAW_ID));
	struct credentials *theirs =
		test_mesh_credentials_until(other, "spiffe://other.test/raw", TEST_NOW_S + 3000, both);
	struct peer *loses = peer_with_a_stream(world, theirs);
	struct far *kept = &world->fars[0], *lost = &world->fars[1];
	server_trusts(world, both); /* a renewal of our own certificate takes nothing back */
	world_run(world, 20);
	assert_false(kept->has_ended || lost->has_ended);
	server_trusts(world, fewer);
	assert_true(PEER_UNTIL(loses, loses->is_lost && lost->has_ended));
	assert_int_equal(lost->end, RELAY_WITHDRAWN);
	assert_false(kept->has_ended);
	assert_true(is_served(keeps, kept));
	peer_free(keeps);
	peer_free(loses);
	bundle_set_unref(both);
	bundle_set_unref(fewer);
	test_mesh_free(other);
}

static void finding_t7_a_withdrawn_root_cuts_the_tunnels_that_stand_on_it_and_no_other(void **state)
{
	cuts_only_the_tunnels_of(*state, ROOT);
}

static void finding_t7_a_revocation_list_cuts_the_tunnels_of_what_it_names_and_no_other(void **state)
{
	cuts_only_the_tunnels_of(*state, AUTHORITY_BY_LIST);
}

static void finding_t7_a_ban_cuts_the_tunnels_of_that_identity_and_no_other(void **state)
{
	cuts_only_the_tunnels_of(*state, IDENTITY_BY_BAN);
}

static struct credentials *with_trust(struct credentials *own, struct bundle_set *bundles)
{
	struct credentials *made = NULL;
	const struct epoch epoch = {.incarnation = 1, .counter = 2};
	assert_int_equal(
		credentials_new(credentials_svid(own), credentials_key(own), bundles, epoch, TEST_NOW_S, &made, NULL),
		ERR_NONE);
	return made;
}

/* A partner's bundle is added, another one's identity is banned: SVIDs stay, and so do tunnels of both directions. The
 * last ban concerns them. */
static void a_change_of_trust_alone_leaves_the_tunnels_that_it_does_not_concern(void **state)
{
	struct world *world = *state;
	_cleanup_(test_mesh_freep) struct test_mesh *other = test_mesh_new("other.test", TEST_NOW_S);
	_cleanup_(bundle_set_unrefp) struct bundle_set *more = bundles_without(world, other, IDENTITY_BY_BAN);
	_cleanup_(bundle_set_unrefp) struct bundle_set *banned = bundles_without(world, other, ROOT);
	_cleanup_(credentials_unrefp) struct credentials *client = world_credentials(world, CLIENT_ID);
	_cleanup_(credentials_unrefp) struct credentials *server = world_credentials(world, SERVER_ID);
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
	struct call *calls[2];
	struct far *fars[2];
	world_set_credentials(world, true, credentials_ref(client));
	world_set_credentials(world, false, credentials_ref(server));
	assert_true(world_connect(world, &calls[0], &fars[0]));
	world_set_credentials(world, true, with_trust(client, more));
	world_set_credentials(world, false, with_trust(server, more));
	world_run(world, 20);
	assert_true(world_connect(world, &calls[1], &fars[1]));
	assert_int_equal(world->opened[true] + world->opened[false], 2); /* both on one tunnel */
	for (unsigned i = 0; i < 2; i++)
		assert_true(world_transfer(world, calls[i]->app, fars[i]->fd, 1000));
	assert_int_equal(world->closed[true] + world->closed[false], 0);
	assert_int_equal(spiffe_id_parse(SPAN_LITERAL(CLIENT_ID), &id, NULL), ERR_NONE);
	bundle_set_ban_id(banned, &id);
	world_set_credentials(world, false, with_trust(server, banned));
	assert_true(WORLD_UNTIL(world, fars[0]->has_ended && fars[1]->has_ended));
	assert_int_equal(fars[0]->end, RELAY_WITHDRAWN);
}

/* Decision 053: what was opened below a root that is retired now goes on, and takes nothing new. */
static void a_tunnel_that_a_change_of_trust_leaves_is_judged_by_the_new_trust(void **state)
{
	static const struct trust_domain domain = {"other.test"};
	struct world *world = *state;
	_cleanup_(test_mesh_freep) struct test_mesh *other = test_mesh_new(domain.name, TEST_NOW_S),
						    *next = test_mesh_new(domain.name, TEST_NOW_S);
	const struct span roots[] = {bundle_root(test_mesh_bundle(next), 0), bundle_root(test_mesh_bundle(other), 0)};
	_cleanup_(bundle_set_unrefp) struct bundle_set *both = bundles_without(world, other, ROOT),
						       *retired = bundles_without(world, other, ROOT);
	_cleanup_(bundle_unrefp) struct bundle *rotated = NULL;
	_cleanup_(credentials_unrefp) struct credentials *server = world_credentials(world, SERVER_ID);
	assert_int_equal(bundle_set_add(both, test_mesh_bundle(other), NULL), ERR_NONE);
	assert_int_equal(bundle_new_with_retired(&domain, roots, 2, 1, &rotated, NULL), ERR_NONE);
	assert_int_equal(bundle_set_add(retired, rotated, NULL), ERR_NONE);
	world_set_credentials(world, false, with_trust(server, both));
	struct peer *peer = peer_with_a_stream(
		world, test_mesh_credentials_until(other, "spiffe://other.test/raw", TEST_NOW_S + 3000, both));
	world_set_credentials(world, false, with_trust(server, retired));
	struct peer_stream *late = peer_open_connect(peer);
	assert_true(PEER_UNTIL(peer, late->status == 401 && peer->has_goaway));
	assert_true(is_served(peer, &world->fars[0]));
	peer_free(peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(finding_t7_a_withdrawn_root_cuts_the_tunnels_that_stand_on_it_and_no_other),
		WORLD_TEST(finding_t7_a_revocation_list_cuts_the_tunnels_of_what_it_names_and_no_other),
		WORLD_TEST(finding_t7_a_ban_cuts_the_tunnels_of_that_identity_and_no_other),
		WORLD_TEST(a_change_of_trust_alone_leaves_the_tunnels_that_it_does_not_concern),
		WORLD_TEST(a_tunnel_that_a_change_of_trust_leaves_is_judged_by_the_new_trust),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
