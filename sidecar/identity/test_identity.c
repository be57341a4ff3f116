#include "sidecar/identity/test_identity.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void on_credentials(void *arg, struct credentials *credentials)
{
	struct world *world = arg;
	world->num_published += credentials != NULL;
	world->num_withdrawn += credentials == NULL;
	world->last = credentials;
}

static void on_time(_unused_ void *arg, _unused_ const struct trusted_time *time)
{
}

static void on_outage(void *arg)
{
	((struct world *)arg)->num_outages++;
}

void world_begin(struct world *world, const char *domain, bool keeps_svid)
{
	struct identity_options *options = &world->client.options;
	*options = (struct identity_options){.loop = world->loop,
		.keeps_svid = keeps_svid,
		.on_credentials = on_credentials,
		.on_time = on_time,
		.on_outage = on_outage,
		.arg = world};
	CHECK(trust_domain_parse(span_of_str(domain), &options->trust_domain, NULL) == ERR_NONE);
	CHECK(state_folder_open(world->folder, &options->state, NULL) == ERR_NONE);
	renew_init(&world->client.renew);
	identity_kept_load(&world->client);
}

void world_end(struct world *world)
{
	struct identity_client *client = &world->client;
	credentials_unref(client->credentials);
	bundle_set_unref(client->retained_bans);
	kept_identity_done(&client->earlier);
	buf_done(&client->trust_encoded);
	state_folder_free(client->options.state);
	*client = (struct identity_client){0};
	world->last = NULL;
	world->num_published = 0;
}

int world_setup(void **state)
{
	struct world *world = mem_new(struct world);
	clock_fake_init(&world->clock, TEST_NOW_S * 1000);
	world->loop = loop_new(&world->clock.clock);
	(void)snprintf(world->folder, sizeof(world->folder), "/tmp/hf-identity-XXXXXX");
	CHECK(mkdtemp(world->folder) != NULL);
	world->mesh = test_mesh_new(DOMAIN, TEST_NOW_S);
	world_begin(world, DOMAIN, true);
	*state = world;
	return 0;
}

int world_teardown(void **state)
{
	static const char *const files[] = {"attestation.key", "enrolled", "identity"};
	struct world *world = *state;
	char path[64];
	world_end(world);
	test_mesh_free(world->mesh);
	loop_free(world->loop);
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", world->folder, files[i]);
		unlink(path);
	}
	rmdir(world->folder);
	mem_free(world);
	return 0;
}

bool world_bans(const struct world *world, const char *text)
{
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
	CHECK(spiffe_id_parse(span_of_str(text), &id, NULL) == ERR_NONE);
	return world->last != NULL && bundle_set_is_banned(credentials_bundles(world->last), &id);
}
