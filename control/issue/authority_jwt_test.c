#include "base/core/base64url.h"
#include "base/core/mem.h"
#include "certs/web_key.h"
#include "control/issue/test_authority.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
/* cmocka requires the headers above */
#include <cmocka.h>

#define ID "spiffe://td/app"

static enum err signed_for(struct world *world, const char *id, const char *audience, struct buf *token)
{
	const struct jwt_request request = {world->authority.mark.epoch, span_of_str(id), span_of_str(audience)};
	return authority_sign_jwt(&world->authority, &request, token, &world->detail);
}

static void keys(struct world *world, struct buf *now, struct buf *next)
{
	assert_int_equal(authority_jwt_keys(&world->authority, world->authority.mark.epoch, &world->detail), ERR_NONE);
	buf_clear(now);
	buf_clear(next);
	assert_int_equal(buf_append(now, buf_span(&world->authority.jwt.spki)), ERR_NONE);
	assert_int_equal(buf_append(next, buf_span(&world->authority.next_jwt.spki)), ERR_NONE);
}

static void a_token_has_its_claims_and_verifies_by_the_present_key(void **state)
{
	struct world *world = *state;
	_cleanup_(buf_done) struct buf token = BUF_INIT(4096), claims = BUF_INIT(4096), signature = BUF_INIT(100);
	_cleanup_(web_key_freep) struct web_key *key = NULL;
	struct span x, y;
	assert_int_equal(signed_for(world, ID, "a\nb c", &token), ERR_MALFORMED);
	assert_int_equal(signed_for(world, ID, "a\nhttps://b.test/?q=1", &token), ERR_NONE);
	const char *text = buf_cstr(&token), *first = strchr(text, '.'), *second = strrchr(text, '.');
	assert_int_equal(base64url_decode(span_of(first + 1, (size_t)(second - first - 1)), &claims), ERR_NONE);
	assert_string_equal(buf_cstr(&claims), "{\"aud\":[\"a\",\"https://b.test/?q=1\"],\"exp\":1800000300,"
					       "\"iat\":1800000000,\"sub\":\"spiffe://td/app\"}");
	assert_int_equal(base64url_decode(span_of_str(second + 1), &signature), ERR_NONE);
	assert_int_equal(web_key_point_of_spki(buf_span(&world->authority.jwt.spki), &x, &y, &world->detail), ERR_NONE);
	assert_int_equal(web_key_from_p256(x, y, &key, &world->detail), ERR_NONE);
	assert_int_equal(
		web_key_verify(key, span_of(text, (size_t)(second - text)), buf_span(&signature), NULL), ERR_NONE);
	assert_int_equal(web_key_verify(key, span_of(text, (size_t)(second - text - 1)), buf_span(&signature), NULL),
		ERR_CRYPTO);
}

static void other_identities_and_audiences_are_refused(void **state)
{
	struct world *world = *state;
	_cleanup_(buf_done) struct buf token = BUF_INIT(4096);
	_cleanup_(mem_freep) char *long_one = mem_printf("%256s", "");
	memset(long_one, 'a', 256);
	static const char *const audiences[] = {
		"", "\n", "a\n", "\na", "a\"", "a\\", "a b", "\x7f", "1\n2\n3\n4\n5\n6\n7\n8\n9"};
	for (size_t i = 0; i < sizeof(audiences) / sizeof(*audiences); i++)
		assert_int_equal(signed_for(world, ID, audiences[i], &token), ERR_MALFORMED);
	assert_int_equal(signed_for(world, ID, long_one, &token), ERR_MALFORMED);
	assert_int_equal(signed_for(world, "spiffe://other/app", "a", &token), ERR_DENIED);
	assert_int_equal(signed_for(world, "spiffe://td/handfast/control", "a", &token), ERR_DENIED);
	assert_int_equal(signed_for(world, "spiffe://td", "a", &token), ERR_DENIED);
	assert_int_not_equal(signed_for(world, "x", "a", &token), ERR_NONE);
	assert_int_equal(buf_len(&token), 0);
	assert_int_equal(signed_for(world, ID, "1\n2\n3\n4\n5\n6\n7\n8", &token), ERR_NONE);
}

static void a_key_is_shown_for_a_week_before_it_signs(void **state)
{
	struct world *world = *state;
	_cleanup_(buf_done) struct buf now = BUF_INIT(200), next = BUF_INIT(200), former = BUF_INIT(200),
				       shown = BUF_INIT(200);
	keys(world, &now, &next);
	assert_false(span_eq(buf_span(&now), buf_span(&next)));
	for (unsigned week = 0; week < 3; week++) {
		buf_clear(&shown);
		assert_int_equal(buf_append(&shown, buf_span(&next)), ERR_NONE);
		clock_fake_advance(&world->clock, (JWT_KEY_LIFE_S - 10) * 1000ULL);
		keys(world, &former, &next);
		assert_true(span_eq(buf_span(&former), buf_span(&now)));
		assert_true(span_eq(buf_span(&next), buf_span(&shown)));
		clock_fake_advance(&world->clock, 20 * 1000);
		keys(world, &now, &next);
		assert_true(span_eq(buf_span(&now), buf_span(&shown)));
		assert_false(span_eq(buf_span(&next), buf_span(&shown)));
	}
}

static void a_restart_keeps_the_keys_and_a_crash_in_a_change_loses_none(void **state)
{
	struct world *world = *state;
	_cleanup_(buf_done) struct buf now = BUF_INIT(200), next = BUF_INIT(200), again = BUF_INIT(200),
				       other = BUF_INIT(200);
	keys(world, &now, &next);
	world_restart(world);
	keys(world, &again, &other);
	assert_true(span_eq(buf_span(&again), buf_span(&now)) && span_eq(buf_span(&other), buf_span(&next)));
	/* After the first of the two writes of a change. */
	assert_int_equal(
		key_folder_save(&world->authority.folder, "jwt", &world->authority.next_jwt.pair, NULL), ERR_NONE);
	world_restart(world);
	keys(world, &again, &other);
	assert_true(span_eq(buf_span(&again), buf_span(&next)));
	assert_false(span_eq(buf_span(&other), buf_span(&next)));
}

/* The folder cannot be written: as on a full disk. */
static void finding_i11_without_room_for_the_next_key_the_present_one_signs(void **state)
{
	struct world *world = *state;
	_cleanup_(mem_freep) char *moved = mem_printf("%s.moved", world->folder);
	_cleanup_(buf_done) struct buf now = BUF_INIT(200), next = BUF_INIT(200), later = BUF_INIT(200),
				       token = BUF_INIT(4096);
	keys(world, &now, &next);
	assert_int_equal(rename(world->folder, moved), 0);
	clock_fake_advance(&world->clock, (JWT_KEY_LIFE_S + 10) * 1000ULL);
	assert_int_equal(signed_for(world, ID, "a", &token), ERR_NONE);
	assert_true(span_eq(buf_span(&world->authority.jwt.spki), buf_span(&now)));
	assert_true(span_eq(buf_span(&world->authority.next_jwt.spki), buf_span(&next)));
	assert_int_equal(rename(moved, world->folder), 0);
	clock_fake_advance(&world->clock, 61 * 1000);
	keys(world, &now, &later);
	assert_true(span_eq(buf_span(&now), buf_span(&next)));
	assert_false(span_eq(buf_span(&later), buf_span(&next)));
}

static void C17_an_older_issuer_signs_no_token(void **state)
{
	struct world *world = *state;
	_cleanup_(buf_done) struct buf token = BUF_INIT(4096);
	const struct jwt_request request = {world->authority.mark.epoch - 1, SPAN_LITERAL(ID), SPAN_LITERAL("a")};
	assert_int_equal(authority_sign_jwt(&world->authority, &request, &token, &world->detail), ERR_CONFLICT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WORLD_TEST(a_token_has_its_claims_and_verifies_by_the_present_key),
		WORLD_TEST(other_identities_and_audiences_are_refused),
		WORLD_TEST(a_key_is_shown_for_a_week_before_it_signs),
		WORLD_TEST(a_restart_keeps_the_keys_and_a_crash_in_a_change_loses_none),
		WORLD_TEST(finding_i11_without_room_for_the_next_key_the_present_one_signs),
		WORLD_TEST(C17_an_older_issuer_signs_no_token),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
