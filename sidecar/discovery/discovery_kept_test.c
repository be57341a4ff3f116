/* What is kept of discovery comes back as it was, for the same identity and no longer than its SVID. */
#include "base/core/cleanup.h"
#include "base/core/mem.h"
#include "base/pb/unpack.h"
#include "proto/handfast/v1/discovery.pb-c.h"
#include "proto/handfast/v1/kept.pb-c.h"
#include "sidecar/discovery/discovery_client_private.h"
#include "sidecar/discovery/messages.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four headers above before it */
#include <cmocka.h>

#define OWN "spiffe://cluster.local/ns/shop/sa/cart"

struct world {
	struct loop *loop;
	struct discovery_client *client;
	unsigned num_mesh, num_answers;
	struct answer *last[4];
	struct policy *policy;
};

static void on_mesh(void *arg, _unused_ struct mesh_networks *networks, struct policy *policy)
{
	struct world *world = arg;
	world->num_mesh++;
	policy_unref(world->policy);
	world->policy = policy_ref(policy);
}

static void on_answer(void *arg, struct answer *answer)
{
	struct world *world = arg;
	assert_true(world->num_answers < 4);
	world->last[world->num_answers++] = answer;
}

static void world_make(struct world *world)
{
	struct discovery_options options = {.on_mesh = on_mesh, .on_answer = on_answer, .arg = world};
	*world = (struct world){.loop = loop_new(&clock_system)};
	assert_int_equal(trust_domain_parse(SPAN_LITERAL("cluster.local"), &options.own_domain, NULL), ERR_NONE);
	options.loop = world->loop;
	world->client = discovery_client_new(&options);
}

static void world_done(struct world *world)
{
	discovery_client_free(world->client);
	policy_unref(world->policy);
	loop_free(world->loop);
}

static struct addr addr_of(const char *text)
{
	struct addr addr;
	assert_int_equal(addr_parse(span_of_str(text), &addr), ERR_NONE);
	return addr;
}

static struct answer *meshed(void)
{
	const struct addr at = addr_of("192.0.2.9:80");
	struct answer *answer = answer_new(&at, DESTINATION_MESHED, 5, 3);
	static const char *const places[] = {"192.0.2.1:8080", "[2001:db8::1]:8080", "192.0.2.3:8080"};
	answer->num_draining = 1;
	answer->affinity_s = 60;
	answer->reason = mem_strdup("cart");
	answer->endpoints[0].zones[0] = 7;
	answer->endpoints[0].zones[1] = 8;
	for (size_t i = 0; i < 3; i++) {
		answer->endpoints[i].address = addr_of(places[i]);
		assert_int_equal(spiffe_id_parse(SPAN_LITERAL(OWN), &answer->endpoints[i].id, NULL), ERR_NONE);
	}
	return answer;
}

static void append(struct span message, struct buf *out)
{
	Handfast__V1__KeptDestinations part = HANDFAST__V1__KEPT_DESTINATIONS__INIT;
	ProtobufCBinaryData bytes = pb_bytes(message);
	part.id = pb_bytes(SPAN_LITERAL(OWN));
	part.not_after_s = 1000;
	part.messages = &bytes;
	part.n_messages = 1;
	assert_int_equal(pb_pack(&part.base, out), ERR_NONE);
}

static void append_mesh(struct buf *out)
{
	Handfast__V1__DiscoveryDown down = HANDFAST__V1__DISCOVERY_DOWN__INIT;
	Handfast__V1__MeshState mesh = HANDFAST__V1__MESH_STATE__INIT;
	Handfast__V1__Network network = HANDFAST__V1__NETWORK__INIT, *networks[] = {&network};
	Handfast__V1__Policy policy = HANDFAST__V1__POLICY__INIT;
	_cleanup_(buf_done) struct buf bytes = BUF_INIT(4096);
	network.address = pb_bytes(SPAN_LITERAL("\xc0\x00\x02\x00"));
	network.prefix_len = 24;
	policy.default_mode = HANDFAST__V1__INBOUND_MODE__INBOUND_MODE_STRICT;
	mesh.version = 3;
	mesh.networks = networks;
	mesh.n_networks = 1;
	mesh.policy = &policy;
	down.kind_case = HANDFAST__V1__DISCOVERY_DOWN__KIND_MESH;
	down.mesh = &mesh;
	assert_int_equal(pb_pack(&down.base, &bytes), ERR_NONE);
	append(buf_span(&bytes), out);
}

static void append_answer(struct answer *answer, struct buf *out)
{
	_cleanup_(buf_done) struct buf bytes = BUF_INIT(4096);
	assert_int_equal(discovery_answer_encode(answer, &bytes), ERR_NONE);
	append(buf_span(&bytes), out);
	answer_unref(answer);
}

static void kept_make(struct buf *out)
{
	const struct addr plain = addr_of("192.0.2.10:80"), unknown = addr_of("192.0.2.11:80");
	append_mesh(out);
	append_answer(meshed(), out);
	append_answer(answer_new(&plain, DESTINATION_PLAINTEXT, 6, 0), out);
	append_answer(answer_new(&unknown, DESTINATION_UNKNOWN, 7, 0), out);
}

static void check(const struct world *world)
{
	assert_int_equal(world->num_mesh, 1);
	assert_int_equal(world->num_answers, 3);
	assert_int_equal(policy_mode(world->policy, 80), INBOUND_STRICT);
	assert_int_equal(world->last[0]->kind, DESTINATION_UNKNOWN);
	assert_int_equal(world->last[1]->kind, DESTINATION_PLAINTEXT);
	const struct answer *answer = world->last[2]; /* the one used last is the last */
	assert_int_equal(answer->kind, DESTINATION_MESHED);
	assert_int_equal(answer->num_endpoints, 3);
	assert_int_equal(answer->num_draining, 1);
	assert_int_equal(answer->affinity_s, 60);
	assert_string_equal(answer->reason, "cart");
	const struct addr second = addr_of("[2001:db8::1]:8080");
	assert_true(addr_eq(&answer->endpoints[1].address, &second));
	assert_string_equal(answer->endpoints[2].id.text, OWN);
	static const uint32_t zones[ENDPOINT_ZONES_MAX] = {7, 8};
	assert_memory_equal(answer->endpoints[0].zones, zones, sizeof(zones));
	assert_int_equal(answer->endpoints[1].zones[0], 0);
}

static void what_was_kept_comes_back_and_is_kept_again(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf first = BUF_INIT(65536), second = BUF_INIT(65536);
	struct world world;
	const struct kept_for for_ = {SPAN_LITERAL(OWN), 1000};
	world_make(&world);
	assert_int_equal(discovery_client_keep(world.client, &for_, &second), ERR_NONE);
	assert_int_equal(buf_len(&second), 0); /* nothing yet */
	kept_make(&first);
	assert_int_equal(discovery_client_take_kept(world.client, buf_span(&first), for_.id, 999, NULL), ERR_NONE);
	check(&world);
	assert_int_equal(discovery_client_keep(world.client, &for_, &second), ERR_NONE);
	world_done(&world);
	world_make(&world);
	assert_int_equal(discovery_client_take_kept(world.client, buf_span(&second), for_.id, 999, NULL), ERR_NONE);
	check(&world);
	assert_int_equal(discovery_client_num_subscriptions(world.client), 3);
	world_done(&world);
}

static void what_does_not_fit_is_left_out(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf first = BUF_INIT(65536), second = BUF_INIT(200);
	struct world world;
	const struct kept_for for_ = {SPAN_LITERAL(OWN), 1000};
	world_make(&world);
	kept_make(&first);
	assert_int_equal(discovery_client_take_kept(world.client, buf_span(&first), for_.id, 0, NULL), ERR_NONE);
	assert_int_equal(discovery_client_keep(world.client, &for_, &second), ERR_NONE);
	world_done(&world);
	world_make(&world);
	assert_int_equal(discovery_client_take_kept(world.client, buf_span(&second), for_.id, 0, NULL), ERR_NONE);
	assert_int_equal(world.num_mesh, 1);
	assert_true(world.num_answers < 3);
	world_done(&world);
}

static void another_identity_its_end_and_other_bytes_are_refused(_unused_ void **state)
{
	_cleanup_(buf_done) struct buf all = BUF_INIT(65536);
	struct world world;
	const struct span own = SPAN_LITERAL(OWN), other = SPAN_LITERAL("spiffe://cluster.local/other");
	struct why why;
	world_make(&world);
	kept_make(&all);
	assert_int_equal(discovery_client_take_kept(world.client, buf_span(&all), other, 0, &why), ERR_WRONG_PEER);
	assert_int_equal(discovery_client_take_kept(world.client, buf_span(&all), own, 1000, &why), ERR_EXPIRED);
	append_mesh(&all); /* a second one */
	assert_int_equal(discovery_client_take_kept(world.client, buf_span(&all), own, 0, &why), ERR_MALFORMED);
	append(SPAN_LITERAL("\xff"), &all);
	assert_int_equal(discovery_client_take_kept(world.client, buf_span(&all), own, 0, &why), ERR_MALFORMED);
	assert_int_equal(world.num_mesh + world.num_answers, 0);
	world_done(&world);
}

/* Else the file would have the policy of before it. */
static void a_mesh_state_that_is_too_large_to_keep_is_not_as_if_there_were_none(_unused_ void **state)
{
	static const uint8_t large[MESH_KEPT_MAX + 1];
	_cleanup_(buf_done) struct buf out = BUF_INIT(2 * MESH_KEPT_MAX);
	struct world world;
	const struct kept_for for_ = {SPAN_LITERAL(OWN), 1000};
	world_make(&world);
	discovery_kept_mesh(world.client, SPAN_LITERAL("small"));
	assert_int_equal(discovery_client_keep(world.client, &for_, &out), ERR_NONE);
	assert_true(buf_len(&out) > 0);
	buf_clear(&out);
	discovery_kept_mesh(world.client, (struct span){large, sizeof large});
	assert_int_equal(discovery_client_keep(world.client, &for_, &out), ERR_LIMIT);
	assert_int_equal(buf_len(&out), 0);
	discovery_kept_mesh(world.client, SPAN_LITERAL("small"));
	assert_int_equal(discovery_client_keep(world.client, &for_, &out), ERR_NONE);
	assert_true(buf_len(&out) > 0);
	world_done(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_kept_comes_back_and_is_kept_again),
		cmocka_unit_test(what_does_not_fit_is_left_out),
		cmocka_unit_test(a_mesh_state_that_is_too_large_to_keep_is_not_as_if_there_were_none),
		cmocka_unit_test(another_identity_its_end_and_other_bytes_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
