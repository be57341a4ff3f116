#include "certs/test_world.h"
#include "base/core/check.h"
#include <stdio.h>

void world_trust(struct world *world, const char *trust_domain, const struct test_cert *root)
{
	struct trust_domain domain;
	_cleanup_(bundle_unrefp) struct bundle *bundle = NULL;
	struct span der = root == NULL ? span_of(NULL, 0) : test_cert_der(root);
	CHECK(trust_domain_parse(span_of_str(trust_domain), &domain, NULL) == ERR_NONE);
	CHECK(bundle_new(&domain, &der, root == NULL ? 0 : 1, &bundle, &world->detail) == ERR_NONE);
	CHECK(bundle_set_add(world->bundles, bundle, NULL) == ERR_NONE);
}

void world_init_with(struct world *world, const struct test_cert_spec *root)
{
	*world = (struct world){.root = test_cert_new(root, NULL), .bundles = bundle_set_new()};
	world_trust(world, "td.test", world->root);
}

void world_init(struct world *world)
{
	struct test_cert_spec spec = test_ca_spec("root");
	world_init_with(world, &spec);
}

void world_done(struct world *world)
{
	for (size_t i = 0; i < world->num_made; i++)
		test_cert_free(world->made[i]);
	test_cert_free(world->root);
	bundle_set_unref(world->bundles);
}

struct test_cert *world_make(struct world *world, const struct test_cert_spec *spec, const struct test_cert *issuer)
{
	CHECK(world->num_made < sizeof(world->made) / sizeof(world->made[0]));
	struct test_cert *cert = test_cert_new(spec, issuer);
	world->made[world->num_made++] = cert;
	return cert;
}

void world_send(struct world *world, const struct test_cert *cert)
{
	CHECK(world->num_chain < sizeof(world->chain) / sizeof(world->chain[0]));
	world->chain[world->num_chain++] = test_cert_der(cert);
}

struct verify_input world_input(const struct world *world)
{
	return (struct verify_input){.chain = world->chain,
		.num_chain = world->num_chain,
		.bundles = world->bundles,
		.role = VERIFY_CLIENT,
		.now_s = TEST_NOW_S};
}

enum err world_judge_with(struct world *world, const struct verify_input *input)
{
	_cleanup_(svid_unrefp) struct svid *svid = NULL;
	char text[800];
	world->detail = (struct why){0};
	enum err err = verify_chain(input, &svid, &world->detail);
	if (err != ERR_NONE)
		printf("  %s\n", why_format(&world->detail, text, sizeof(text)));
	CHECK(err == world->detail.err);
	CHECK((svid != NULL) == (err == ERR_NONE));
	return err;
}

enum err world_judge(struct world *world)
{
	struct verify_input input = world_input(world);
	return world_judge_with(world, &input);
}

enum err world_judge_leaf(struct world *world, const struct test_cert_spec *spec)
{
	world_send(world, world_make(world, spec, world->root));
	return world_judge(world);
}

enum err world_judge_below(struct world *world, const struct test_cert_spec *intermediate)
{
	struct test_cert_spec leaf = test_leaf_spec(WORKLOAD);
	struct test_cert *authority = world_make(world, intermediate, world->root);
	world_send(world, world_make(world, &leaf, authority));
	world_send(world, authority);
	return world_judge(world);
}
