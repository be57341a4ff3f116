#include "sidecar/workload_api/jwt_svid.h"

#include "base/core/base64url.h"
#include "base/core/cleanup.h"
#include "base/core/mem.h"
#include "certs/private_key.h"
#include "certs/test_mesh.h"
#include "certs/web_key.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
/* cmocka requires the headers above */
#include <cmocka.h>

enum { NOW_S = 1800000000 };
#define ID     "spiffe://example.org/app"
#define CLAIMS "{\"aud\":[\"b\",\"a\"],\"exp\":1800000100,\"iat\":1800000000,\"sub\":\"" ID "\"}"

struct world {
	struct test_mesh *mesh, *partner;
	struct bundle_set *bundles;
	struct private_key *key;
	char kid[WEB_KEY_ID_LEN + 1];
};

static int make_world(void **state)
{
	struct world *world = mem_new(struct world);
	_cleanup_(buf_done) struct buf spki = BUF_INIT(200);
	const struct trust_domain domain = {"example.org"};
	world->mesh = test_mesh_new("example.org", NOW_S);
	world->partner = test_mesh_new("partner.org", NOW_S);
	world->bundles = bundle_set_new();
	assert_int_equal(bundle_set_add(world->bundles, test_mesh_bundle(world->mesh), NULL), ERR_NONE);
	assert_int_equal(bundle_set_add(world->bundles, test_mesh_bundle(world->partner), NULL), ERR_NONE);
	world->key = private_key_generate();
	assert_int_equal(private_key_public(world->key, &spki), ERR_NONE);
	assert_int_equal(
		bundle_set_add_jwt_key(world->bundles, &domain, (struct span){0}, buf_span(&spki), NULL), ERR_NONE);
	web_key_id_of_spki(buf_span(&spki), world->kid);
	*state = world;
	return 0;
}

static int remove_world(void **state)
{
	struct world *world = *state;
	private_key_unref(world->key);
	bundle_set_unref(world->bundles);
	test_mesh_free(world->mesh);
	test_mesh_free(world->partner);
	mem_free(world);
	return 0;
}

static enum err judged(struct world *world, const char *header, const char *claims, const char *audience)
{
	_cleanup_(buf_done) struct buf token = BUF_INIT(20000);
	_cleanup_(jwt_svid_done) struct jwt_svid svid = {0};
	uint8_t signature[PRIVATE_KEY_ES256_LEN];
	struct why why = {0};
	assert_int_equal(base64url_encode(span_of_str(header), &token), ERR_NONE);
	assert_int_equal(buf_append_str(&token, "."), ERR_NONE);
	assert_int_equal(base64url_encode(span_of_str(claims), &token), ERR_NONE);
	assert_int_equal(private_key_sign_es256(world->key, buf_span(&token), signature), ERR_NONE);
	assert_int_equal(buf_append_str(&token, "."), ERR_NONE);
	assert_int_equal(base64url_encode(span_of(signature, sizeof(signature)), &token), ERR_NONE);
	enum err err = jwt_svid_validate(buf_span(&token), span_of_str(audience), world->bundles, NOW_S, &svid, &why);
	assert_int_equal(err, why.err);
	if (err == ERR_NONE)
		assert_non_null(strstr(claims, svid.id.text));
	return err;
}

static enum err with_header(struct world *world, const char *format)
{
	char header[256];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	(void)snprintf(header, sizeof(header), format, world->kid);
#pragma GCC diagnostic pop
	return judged(world, header, CLAIMS, "a");
}

static enum err with_claims(struct world *world, const char *claims)
{
	char header[256];
	(void)snprintf(header, sizeof(header), "{\"alg\":\"ES256\",\"kid\":\"%s\"}", world->kid);
	return judged(world, header, claims, "a");
}

static void accepts_a_token_for_the_audience(void **state)
{
	struct world *world = *state;
	assert_int_equal(with_claims(world, CLAIMS), ERR_NONE);
	assert_int_equal(with_claims(world, "{\"aud\":\"a\",\"exp\":1800000001,\"sub\":\"" ID "\"}"), ERR_NONE);
	assert_int_equal(with_claims(world, "{\"aud\":\"a\",\"exp\":1800000000.5,\"iat\":1.7999e9,\"sub\":\"" ID "\"}"),
		ERR_NONE);
	assert_int_equal(with_header(world, "{\"alg\":\"ES256\",\"kid\":\"%s\",\"typ\":\"JOSE\"}"), ERR_NONE);
}

/* A partner names its keys itself, and signs for its own trust domain alone. */
static void accepts_a_partners_token_by_the_name_of_its_key(void **state)
{
	struct world *world = *state;
	const struct trust_domain partner = {"partner.org"};
	const char *header = "{\"alg\":\"ES256\",\"kid\":\"key-7\"}";
	_cleanup_(buf_done) struct buf spki = BUF_INIT(200), keys = BUF_INIT(1024);
	assert_int_equal(private_key_public(world->key, &spki), ERR_NONE);
	assert_int_equal(bundle_set_add_jwt_key(world->bundles, &partner, SPAN_LITERAL("a\"b"), buf_span(&spki), NULL),
		ERR_MALFORMED);
	assert_int_equal(bundle_set_add_jwt_key(world->bundles, &partner, SPAN_LITERAL("key-7"), buf_span(&spki), NULL),
		ERR_NONE);
	assert_int_equal(
		judged(world, header, "{\"aud\":\"a\",\"exp\":1800000100,\"sub\":\"spiffe://partner.org/x\"}", "a"),
		ERR_NONE);
	assert_int_equal(judged(world, header, CLAIMS, "a"), ERR_NOT_FOUND);
	assert_int_equal(jwt_svid_keys_encode(world->bundles, SPAN_LITERAL("partner.org"), &keys), ERR_NONE);
	assert_non_null(strstr(buf_cstr(&keys), "\"kid\":\"key-7\""));
}

static void W12_refuses_other_algorithms_types_and_keys(void **state)
{
	struct world *world = *state;
	assert_int_equal(with_header(world, "{\"alg\":\"none\",\"kid\":\"%s\"}"), ERR_UNSUPPORTED);
	assert_int_equal(with_header(world, "{\"alg\":\"HS256\",\"kid\":\"%s\"}"), ERR_UNSUPPORTED);
	assert_int_equal(with_header(world, "{\"alg\":\"RS256\",\"kid\":\"%s\"}"), ERR_UNSUPPORTED);
	assert_int_equal(with_header(world, "{\"kid\":\"%s\"}"), ERR_UNSUPPORTED);
	assert_int_equal(with_header(world, "{\"alg\":\"ES256\",\"kid\":\"%s\",\"crit\":[]}"), ERR_UNSUPPORTED);
	assert_int_equal(with_header(world, "{\"alg\":\"ES256\",\"kid\":\"%s\",\"typ\":\"JWE\"}"), ERR_UNSUPPORTED);
	assert_int_equal(with_header(world, "{\"alg\":\"ES256\",\"kid\":\"%sx\"}"), ERR_NOT_FOUND);
	assert_int_equal(with_header(world, "{\"alg\":\"ES256\"}"), ERR_NOT_FOUND);
	assert_int_equal(with_header(world, "[]"), ERR_MALFORMED);
	private_key_unref(world->key);
	world->key = private_key_generate();
	assert_int_equal(with_claims(world, CLAIMS), ERR_CRYPTO);
}

static void refuses_other_audiences_times_and_subjects(void **state)
{
	static const struct {
		const char *claims;
		enum err err;
	} rows[] = {
		{"{\"aud\":[\"b\"],\"exp\":1800000100,\"sub\":\"" ID "\"}", ERR_DENIED},
		{"{\"aud\":[],\"exp\":1800000100,\"sub\":\"" ID "\"}", ERR_DENIED},
		{"{\"exp\":1800000100,\"sub\":\"" ID "\"}", ERR_DENIED},
		{"{\"aud\":[\"a\"],\"exp\":1800000000,\"sub\":\"" ID "\"}", ERR_EXPIRED},
		{"{\"aud\":[\"a\"],\"sub\":\"" ID "\"}", ERR_MALFORMED},
		{"{\"aud\":[\"a\"],\"exp\":1800000000.0,\"sub\":\"" ID "\"}", ERR_EXPIRED},
		{"{\"aud\":[\"a\"],\"exp\":1800000100,\"nbf\":1800000030.5,\"sub\":\"" ID "\"}", ERR_NOT_YET_VALID},
		{"{\"aud\":[\"a\"],\"exp\":\"1800000100\",\"sub\":\"" ID "\"}", ERR_MALFORMED},
		{"{\"aud\":[\"a\"],\"exp\":1800000100,\"nbf\":1800000060,\"sub\":\"" ID "\"}", ERR_NOT_YET_VALID},
		{"{\"aud\":[\"a\"],\"exp\":1800000100,\"iat\":1800000060,\"sub\":\"" ID "\"}", ERR_NOT_YET_VALID},
		{"{\"aud\":[\"a\"],\"exp\":1800000100}", ERR_MALFORMED},
		{"{\"aud\":[\"a\"],\"exp\":1800000100,\"sub\":\"spiffe://Example.org/app\"}", ERR_MALFORMED},
		{"{\"aud\":[\"a\"],\"exp\":1800000100,\"sub\":\"spiffe://unknown.org/app\"}", ERR_NO_BUNDLE},
		/* Its trust domain is trusted, and has no such key. */
		{"{\"aud\":[\"a\"],\"exp\":1800000100,\"sub\":\"spiffe://partner.org/app\"}", ERR_NOT_FOUND},
		{"{\"aud\":[\"a\"],\"aud\":[\"b\"],\"exp\":1800000100,\"sub\":\"" ID "\"}", ERR_MALFORMED},
		{"null", ERR_MALFORMED},
	};
	struct world *world = *state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_int_equal(with_claims(world, rows[i].claims), rows[i].err);
}

static void refuses_what_is_no_token(void **state)
{
	static const char *const texts[] = {"", ".", "..", "a.b", "a.b.c.d", "e30.e30.", "e30.e30.x", "!.e30.e30"};
	struct world *world = *state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct jwt_svid svid = {0};
		struct why why = {0};
		assert_int_not_equal(
			jwt_svid_validate(span_of_str(texts[i]), SPAN_LITERAL("a"), world->bundles, NOW_S, &svid, &why),
			ERR_NONE);
		assert_null(svid.claims);
	}
}

static void refuses_a_banned_identity(void **state)
{
	struct world *world = *state;
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
	assert_int_equal(spiffe_id_parse(SPAN_LITERAL(ID), &id, NULL), ERR_NONE);
	bundle_set_ban_id(world->bundles, &id);
	assert_int_equal(with_claims(world, CLAIMS), ERR_REVOKED);
}

static void writes_the_keys_of_a_trust_domain(void **state)
{
	struct world *world = *state;
	_cleanup_(buf_done) struct buf some = BUF_INIT(4096), none = BUF_INIT(4096);
	assert_int_equal(jwt_svid_keys_encode(world->bundles, SPAN_LITERAL("example.org"), &some), ERR_NONE);
	json_t *set = json_loads(buf_cstr(&some), 0, NULL);
	const json_t *key = json_array_get(json_object_get(set, "keys"), 0);
	assert_string_equal(json_string_value(json_object_get(key, "kid")), world->kid);
	assert_string_equal(json_string_value(json_object_get(key, "use")), "jwt-svid");
	assert_int_equal(json_string_length(json_object_get(key, "x")), 43);
	json_decref(set);
	assert_int_equal(jwt_svid_keys_encode(world->bundles, SPAN_LITERAL("partner.org"), &none), ERR_NONE);
	assert_string_equal(buf_cstr(&none), "{\"keys\":[]}");
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, make_world, remove_world)
int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(accepts_a_token_for_the_audience),
		IN_WORLD(accepts_a_partners_token_by_the_name_of_its_key),
		IN_WORLD(W12_refuses_other_algorithms_types_and_keys),
		IN_WORLD(refuses_other_audiences_times_and_subjects),
		IN_WORLD(refuses_what_is_no_token),
		IN_WORLD(refuses_a_banned_identity),
		IN_WORLD(writes_the_keys_of_a_trust_domain),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
