#include "base/core/mem.h"
#include "control/kube/kube_keys.h"
#include "control/kube/test_requests.h"
#include "control/kube/test_token.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the headers above */
#include <cmocka.h>

#define ISSUER_PATH "/.well-known/openid-configuration"
#define KEYS_PATH   "/openid/v1/jwks"

struct world {
	struct clock_fake clock;
	struct loop *loop;
	struct kube_client *client;
	struct kube_keys *keys;
	struct test_signer *first, *second;
};

static int set_up(void **state)
{
	struct world *world = mem_new(struct world);
	clock_fake_init(&world->clock, TEST_NOW_S * 1000LL);
	world->loop = loop_new(&world->clock.clock);
	world->client = test_client_new();
	world->keys = kube_keys_new(world->loop, world->client);
	world->first = test_signer_new("k1", WEB_SIGNATURE_ES256, 0);
	world->second = test_signer_new("k2", WEB_SIGNATURE_RS256, 2048);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	kube_keys_free(world->keys);
	test_client_free(world->client);
	loop_free(world->loop);
	test_signer_free(world->first);
	test_signer_free(world->second);
	mem_free(world);
	return 0;
}

static void pass(struct world *world, uint64_t ms)
{
	for (uint64_t passed = 0; passed < ms + 20; passed += 20) {
		clock_fake_advance(&world->clock, 20);
		loop_run_once(world->loop, false);
	}
}

static void answer_keys(struct world *world, const struct test_signer *signer)
{
	_cleanup_(mem_freep) char *set = test_signer_set(signer);
	test_client_answer(world->client, KEYS_PATH, 200, set);
}

static void answer_issuer(struct world *world)
{
	test_client_answer(world->client, ISSUER_PATH, 200, "{\"issuer\":\"" TEST_ISSUER "\",\"jwks_uri\":\"x\"}");
}

static enum err check_claims(struct world *world, const struct test_signer *signer, const struct test_claims *claims)
{
	_cleanup_(jwt_done) struct jwt jwt = {0};
	_cleanup_(mem_freep) char *token = test_signer_token(signer, claims);
	assert_int_equal(jwt_parse(span_of_str(token), &jwt, NULL), ERR_NONE);
	return kube_keys_check(world->keys, &jwt, NULL);
}

static enum err check(struct world *world, const struct test_signer *signer)
{
	const struct test_claims claims = test_claims();
	return check_claims(world, signer, &claims);
}

static void keys_and_issuer_are_fetched_at_the_start(void **state)
{
	struct world *world = *state;
	assert_string_equal(test_client_accept(world->client, KEYS_PATH), "application/jwk-set+json");
	assert_int_equal(check(world, world->first), ERR_UNAVAILABLE);
	answer_keys(world, world->first);
	assert_int_equal(check(world, world->first), ERR_UNAVAILABLE); /* the issuer is not known yet */
	answer_issuer(world);
	assert_int_equal(check(world, world->first), ERR_NONE);
}

static void W12_a_token_of_another_cluster_or_time_is_refused(void **state)
{
	struct world *world = *state;
	struct test_claims claims = test_claims();
	answer_keys(world, world->first);
	answer_issuer(world);
	claims.issuer = "https://other.test";
	assert_int_equal(check_claims(world, world->first, &claims), ERR_DENIED);
	claims = test_claims();
	claims.expires_s = TEST_NOW_S;
	assert_int_equal(check_claims(world, world->first, &claims), ERR_EXPIRED);
	claims = test_claims();
	claims.not_before_s = TEST_NOW_S + 61;
	assert_int_equal(check_claims(world, world->first, &claims), ERR_NOT_YET_VALID);
	struct test_signer *forger = test_signer_new("k1", WEB_SIGNATURE_ES256, 0);
	assert_int_equal(check(world, forger), ERR_CRYPTO);
	test_signer_free(forger);
}

static void an_unknown_key_is_fetched_at_most_once_per_ten_seconds(void **state)
{
	struct world *world = *state;
	answer_keys(world, world->first);
	answer_issuer(world);
	/* Just fetched: the answer is final. */
	assert_int_equal(check(world, world->second), ERR_DENIED);
	pass(world, KUBE_KEYS_LEAST_MS);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(check(world, world->second), ERR_UNAVAILABLE);
	assert_int_equal(test_client_num_ever(world->client, KEYS_PATH), 2);
	/* The API server has rotated its keys. */
	answer_keys(world, world->second);
	assert_int_equal(check(world, world->second), ERR_NONE);
	assert_int_equal(check(world, world->first), ERR_DENIED);
	assert_int_equal(test_client_num_ever(world->client, KEYS_PATH), 2);
	answer_issuer(world);
}

static void keys_stay_while_the_api_server_is_away(void **state)
{
	struct world *world = *state;
	answer_keys(world, world->first);
	answer_issuer(world);
	pass(world, KUBE_KEYS_EACH_MS);
	assert_int_equal(test_client_num(world->client, KEYS_PATH), 1);
	test_client_fail(world->client, KEYS_PATH, ERR_REFUSED);
	test_client_answer(world->client, ISSUER_PATH, 200, "{}");
	assert_int_equal(check(world, world->first), ERR_NONE);
	pass(world, KUBE_KEYS_LEAST_MS);
	test_client_answer(world->client, KEYS_PATH, 406, "{\"kind\":\"Status\"}");
	test_client_answer(world->client, ISSUER_PATH, 403, "{\"issuer\":\"x\"}");
	pass(world, KUBE_KEYS_LEAST_MS);
	test_client_answer(world->client, KEYS_PATH, 200, "{\"keys\":[]}");
	test_client_fail(world->client, ISSUER_PATH, ERR_TIMEOUT);
	assert_int_equal(check(world, world->first), ERR_NONE);
	/* Unknown keys wait for the API server, whatever the rate of requests. */
	assert_int_equal(check(world, world->second), ERR_UNAVAILABLE);
	pass(world, KUBE_KEYS_LEAST_MS);
	assert_int_equal(test_client_num_ever(world->client, KEYS_PATH), 5);
	answer_keys(world, world->second);
	answer_issuer(world);
	assert_int_equal(check(world, world->second), ERR_NONE);
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(keys_and_issuer_are_fetched_at_the_start),
		WORLD_TEST(W12_a_token_of_another_cluster_or_time_is_refused),
		WORLD_TEST(an_unknown_key_is_fetched_at_most_once_per_ten_seconds),
		WORLD_TEST(keys_stay_while_the_api_server_is_away),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
