/* The whole decision about a token: the API server or its keys, then the pod behind the address. */
#include "base/core/mem.h"
#include "control/kube/jwt.h"
#include "control/kube/kube_attest.h"
#include "control/kube/test_requests.h"
#include "control/kube/test_token.h"
#include "control/kube/token_review.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
/* cmocka requires the headers above */
#include <cmocka.h>

#define OTHER_UID "a1b2c3d4-360f-4911-b911-f104d39d3813"

struct world {
	struct clock_fake clock;
	struct loop *loop;
	struct kube_client *client;
	struct kube_attest *attest;
	struct attest_kubernetes reviewer;
	struct test_signer *signer;
	bool has_pod;
	struct kube_pod_facts pod; /* at 192.0.2.1 */
	struct ip_addr source;
	unsigned num_done;
	enum err err;
	char account[400];
	struct why detail;
};

static bool pod_at(void *arg, const struct ip_addr *ip, struct kube_pod_facts *out)
{
	const struct world *world = arg;
	char text[ADDR_TEXT_MAX];
	if (!world->has_pod || strcmp(ip_addr_format(ip, text), "192.0.2.1") != 0)
		return false;
	*out = world->pod;
	return true;
}

static int set_up(void **state)
{
	struct world *world = mem_new(struct world);
	clock_fake_init(&world->clock, TEST_NOW_S * 1000LL);
	world->loop = loop_new(&world->clock.clock);
	world->client = test_client_new();
	const struct kube_attest_options options = {world->loop, world->client, "handfast", pod_at, world};
	world->attest = kube_attest_new(&options);
	world->reviewer = kube_attest_reviewer(world->attest);
	world->signer = test_signer_new("k1", WEB_SIGNATURE_ES256, 0);
	world->has_pod = true;
	world->pod = (struct kube_pod_facts){"shop", "cart-1", "cart", TEST_UID, false};
	assert_int_equal(ip_addr_parse(SPAN_LITERAL("192.0.2.1"), &world->source), ERR_NONE);
	*state = world;
	return 0;
}

static int tear_down(void **state)
{
	struct world *world = *state;
	kube_attest_free(world->attest);
	test_client_free(world->client);
	loop_free(world->loop);
	test_signer_free(world->signer);
	mem_free(world);
	return 0;
}

static void on_done(void *arg, enum err err, const struct attest_account *account, const struct why *why)
{
	struct world *world = arg;
	world->num_done++;
	world->err = err;
	world->detail = *why;
	snprintf(world->account, sizeof world->account, "%s/%s", account == NULL ? "" : account->namespace_,
		account == NULL ? "" : account->name);
}

static void pass(struct world *world, uint64_t ms)
{
	for (uint64_t passed = 0; passed < ms; passed++) {
		clock_fake_advance(&world->clock, 1);
		loop_run_once(world->loop, false);
	}
}

static void start_token(struct world *world, const char *token)
{
	world->num_done = 0;
	world->reviewer.review(world->reviewer.arg, span_of_str(token), &world->source, on_done, world);
	assert_int_equal(world->num_done, 0); /* never from within */
}

static void start_claims(struct world *world, const struct test_claims *claims)
{
	_cleanup_(mem_freep) char *token = test_signer_token(world->signer, claims);
	start_token(world, token);
}

static void start(struct world *world)
{
	const struct test_claims claims = test_claims();
	start_claims(world, &claims);
}

static void answer_review(struct world *world, const char *pod, const char *uid)
{
	_cleanup_(mem_freep) char *body =
		mem_printf("{\"status\":{\"authenticated\":true,\"user\":{\"username\":\"system:serviceaccount:shop:"
			   "cart\",\"extra\":{"
			   "\"authentication.kubernetes.io/pod-name\":[\"%s\"],\"authentication.kubernetes.io/"
			   "pod-uid\":[\"%s\"]}},"
			   "\"audiences\":[\"handfast\"]}}",
			pod, uid);
	test_client_answer(world->client, TOKEN_REVIEW_PATH, 201, body);
}

static void refuse_review(struct world *world, const char *words)
{
	_cleanup_(mem_freep) char *body = mem_printf("{\"status\":{\"user\":{},\"error\":\"%s\"}}", words);
	test_client_answer(world->client, TOKEN_REVIEW_PATH, 201, body);
}

static void answer_keys(struct world *world)
{
	_cleanup_(mem_freep) char *set = test_signer_set(world->signer);
	test_client_answer(world->client, "/openid/v1/jwks", 200, set);
	test_client_answer(world->client, "/.well-known/openid-configuration", 200, "{\"issuer\":\"" TEST_ISSUER "\"}");
}

static enum err review(struct world *world)
{
	start(world);
	answer_review(world, "cart-1", TEST_UID);
	if (world->num_done == 0)
		pass(world, KUBE_ATTEST_MS + 50);
	assert_int_equal(world->num_done, 1);
	return world->err;
}

static void a_token_from_its_pod_is_its_account(void **state)
{
	struct world *world = *state;
	start(world);
	assert_non_null(strstr(test_client_body(world->client, TOKEN_REVIEW_PATH), "\"audiences\":[\"handfast\"]"));
	answer_review(world, "cart-1", TEST_UID);
	assert_int_equal(world->num_done, 1);
	assert_int_equal(world->err, ERR_NONE);
	assert_string_equal(world->account, "shop/cart");
}

static void W12_what_is_no_token_for_us_does_not_reach_the_api_server(void **state)
{
	struct world *world = *state;
	struct test_claims claims = test_claims();
	claims.audience = "[\"other\"]";
	start_claims(world, &claims);
	pass(world, 1);
	assert_int_equal(world->err, ERR_DENIED);
	assert_non_null(strstr(world->detail.got, "other"));
	_cleanup_(mem_freep) char *huge = mem_printf("%0*d", JWT_MAX + 1, 0);
	const char *garbage[] = {"", "x", "a.b.c", huge};
	for (size_t i = 0; i < sizeof garbage / sizeof *garbage; i++) {
		start_token(world, garbage[i]);
		pass(world, 1);
		assert_int_equal(world->num_done, 1);
		assert_int_equal(world->err, i == 3 ? ERR_TOO_LARGE : ERR_MALFORMED);
	}
	claims = test_claims();
	claims.about = "{\"namespace\":\"shop\",\"serviceaccount\":{\"name\":\"cart\"}}";
	start_claims(world, &claims);
	pass(world, 1);
	assert_int_equal(world->err, ERR_DENIED);
	assert_int_equal(test_client_num_ever(world->client, TOKEN_REVIEW_PATH), 0);
}

static void the_api_servers_refusal_is_final_and_explained(void **state)
{
	struct world *world = *state;
	answer_keys(world);
	start(world);
	refuse_review(world, "[invalid bearer token, service account token has been invalidated]");
	assert_int_equal(world->err, ERR_DENIED);
	assert_non_null(strstr(world->detail.got, "pod shop/cart-1 or its account is gone"));
	start(world);
	refuse_review(world, "[invalid bearer token, serviceaccounts \\\"cart\\\" not found]");
	assert_int_equal(world->err, ERR_DENIED);
	assert_non_null(strstr(world->detail.got, "serviceaccounts \"cart\" not found"));
	struct test_claims claims = test_claims();
	claims.expires_s = TEST_NOW_S - 5;
	start_claims(world, &claims);
	refuse_review(world, "[invalid bearer token, token has expired]");
	assert_int_equal(world->err, ERR_EXPIRED);
	assert_string_equal(world->detail.got, "the token expired 5 s ago");
}

static void W26_a_token_from_another_pods_address_is_refused(void **state)
{
	struct world *world = *state;
	world->pod = (struct kube_pod_facts){"shop", "pay-1", "pay", OTHER_UID, false};
	assert_int_equal(review(world), ERR_DENIED);
	assert_non_null(strstr(world->detail.got, "192.0.2.1 is the address of shop/pay-1"));
	/* A pod of the same name that came after it. */
	world->pod = (struct kube_pod_facts){"shop", "cart-1", "cart", OTHER_UID, false};
	assert_int_equal(review(world), ERR_DENIED);
	/* The address of no pod: it may be a new one, so not for good. */
	assert_int_equal(ip_addr_parse(SPAN_LITERAL("192.0.2.9"), &world->source), ERR_NONE);
	assert_int_equal(review(world), ERR_UNAVAILABLE);
}

static void W26_the_pod_must_have_the_tokens_account_and_names(void **state)
{
	struct world *world = *state;
	const struct kube_pod_facts pods[] = {{"shop", "cart-1", "pay", TEST_UID, false},
		{"shop", "cart-2", "cart", TEST_UID, false}, {"shop2", "cart-1", "cart", TEST_UID, false}};
	for (size_t i = 0; i < sizeof pods / sizeof *pods; i++) {
		world->pod = pods[i];
		assert_int_equal(review(world), ERR_DENIED);
	}
}

static void a_new_pod_is_waited_for(void **state)
{
	struct world *world = *state;
	world->has_pod = false;
	start(world);
	answer_review(world, "cart-1", TEST_UID);
	pass(world, 100);
	assert_int_equal(world->num_done, 0);
	world->has_pod = true;
	pass(world, 50);
	assert_int_equal(world->num_done, 1);
	assert_int_equal(world->err, ERR_NONE);
}

/* The view has the pod before it, which is being deleted. */
static void the_successor_of_an_address_is_waited_for(void **state)
{
	struct world *world = *state;
	world->pod = (struct kube_pod_facts){"shop", "pay-1", "pay", OTHER_UID, true};
	start(world);
	answer_review(world, "cart-1", TEST_UID);
	pass(world, 100);
	assert_int_equal(world->num_done, 0);
	world->pod = (struct kube_pod_facts){"shop", "cart-1", "cart", TEST_UID, true};
	pass(world, 50);
	assert_int_equal(world->err, ERR_NONE); /* a pod that drains renews */
}

static void the_wait_ends_and_may_be_repeated(void **state)
{
	struct world *world = *state;
	world->has_pod = false;
	assert_int_equal(review(world), ERR_UNAVAILABLE);
	assert_non_null(strstr(world->detail.got, "no pod is known with the address 192.0.2.1"));
	world->has_pod = true;
	assert_int_equal(review(world), ERR_NONE);
}

static void W13_the_review_must_be_of_the_same_pod(void **state)
{
	struct world *world = *state;
	start(world);
	answer_review(world, "cart-1", OTHER_UID);
	assert_int_equal(world->err, ERR_DENIED);
	start(world);
	answer_review(world, "cart-2", TEST_UID);
	assert_int_equal(world->err, ERR_DENIED);
}

static void without_the_api_server_its_keys_decide(void **state)
{
	struct world *world = *state;
	struct why why;
	answer_keys(world);
	start(world);
	test_client_fail(world->client, TOKEN_REVIEW_PATH, ERR_TIMEOUT);
	assert_int_equal(world->err, ERR_NONE);
	assert_true(kube_attest_is_offline(world->attest, &why));
	assert_string_equal(why.got, "no API server");
	/* The next ones do not wait for it. */
	start(world);
	assert_int_equal(test_client_num(world->client, TOKEN_REVIEW_PATH), 0);
	pass(world, 1);
	assert_int_equal(world->err, ERR_NONE);
	/* Then one asks whether it is back. */
	pass(world, KUBE_AWAY_MS);
	assert_int_equal(review(world), ERR_NONE);
	assert_false(kube_attest_is_offline(world->attest, &why));
}

static void any_other_status_is_no_answer_about_the_token(void **state)
{
	struct world *world = *state;
	const unsigned statuses[] = {200, 401, 403, 429, 500, 503};
	answer_keys(world);
	for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
		start(world);
		test_client_answer(world->client, TOKEN_REVIEW_PATH, statuses[i], "{\"status\":\"Failure\"}");
		assert_int_equal(world->num_done, 1);
		assert_int_equal(world->err, ERR_NONE);
		pass(world, KUBE_AWAY_MS);
	}
	start(world);
	test_client_answer(world->client, TOKEN_REVIEW_PATH, 201, "garbage");
	assert_int_equal(world->err, ERR_NONE);
}

static void W12_offline_tokens_are_checked_whole(void **state)
{
	struct world *world = *state;
	struct test_claims claims = test_claims();
	answer_keys(world);
	claims.expires_s = TEST_NOW_S;
	start_claims(world, &claims);
	test_client_fail(world->client, TOKEN_REVIEW_PATH, ERR_REFUSED);
	assert_int_equal(world->err, ERR_EXPIRED);
	struct test_signer *forger = test_signer_new("k1", WEB_SIGNATURE_ES256, 0);
	claims = test_claims();
	_cleanup_(mem_freep) char *forged = test_signer_token(forger, &claims);
	test_signer_free(forger);
	start_token(world, forged);
	pass(world, 1);
	assert_int_equal(world->err, ERR_CRYPTO);
	world->pod.uid = OTHER_UID; /* offline too */
	start(world);
	pass(world, 1);
	assert_int_equal(world->err, ERR_DENIED);
}

static void without_api_server_and_keys_the_sidecar_tries_again(void **state)
{
	struct world *world = *state;
	start(world);
	test_client_fail(world->client, TOKEN_REVIEW_PATH, ERR_UNAVAILABLE);
	assert_int_equal(world->num_done, 0);
	pass(world, KUBE_ATTEST_MS + 50);
	assert_int_equal(world->err, ERR_UNAVAILABLE);
	assert_non_null(strstr(world->detail.got, "the token's key k1 is unknown"));
	start(world);
	pass(world, 1);
	assert_int_equal(world->num_done, 0);
	answer_keys(world);
	pass(world, 50);
	assert_int_equal(world->err, ERR_NONE);
}

static void many_at_once_are_limited_and_all_answered_at_the_end(void **state)
{
	struct world *world = *state;
	world->has_pod = false;
	start(world);
	test_client_fail(world->client, TOKEN_REVIEW_PATH, ERR_REFUSED);
	for (unsigned i = 1; i < KUBE_ATTEST_MAX; i++)
		start(world);
	start(world);
	loop_run_once(world->loop, false);
	assert_int_equal(world->num_done, 1);
	assert_int_equal(world->err, ERR_LIMIT);
	const struct kube_attest_options options = {world->loop, world->client, "handfast", pod_at, world};
	kube_attest_free(world->attest);
	assert_int_equal(world->num_done, 1 + KUBE_ATTEST_MAX);
	assert_int_equal(world->err, ERR_CLOSED);
	world->attest = kube_attest_new(&options);
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(a_token_from_its_pod_is_its_account),
		WORLD_TEST(W12_what_is_no_token_for_us_does_not_reach_the_api_server),
		WORLD_TEST(the_api_servers_refusal_is_final_and_explained),
		WORLD_TEST(W26_a_token_from_another_pods_address_is_refused),
		WORLD_TEST(W26_the_pod_must_have_the_tokens_account_and_names),
		WORLD_TEST(a_new_pod_is_waited_for),
		WORLD_TEST(the_successor_of_an_address_is_waited_for),
		WORLD_TEST(the_wait_ends_and_may_be_repeated),
		WORLD_TEST(W13_the_review_must_be_of_the_same_pod),
		WORLD_TEST(without_the_api_server_its_keys_decide),
		WORLD_TEST(any_other_status_is_no_answer_about_the_token),
		WORLD_TEST(W12_offline_tokens_are_checked_whole),
		WORLD_TEST(without_api_server_and_keys_the_sidecar_tries_again),
		WORLD_TEST(many_at_once_are_limited_and_all_answered_at_the_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
