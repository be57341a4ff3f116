#include "base/core/shares.h"
#include <setjmp.h>
#include <stdarg.h>
/* cmocka requires the four headers above */
#include <cmocka.h>

enum { INWARD, OUTWARD };

static struct share_key key_of(uint32_t number)
{
	struct ip_addr ip = {.family = AF_INET};
	memcpy(ip.bytes, &number, sizeof number);
	return share_key_of_ip(&ip);
}

static enum share_limit take(struct shares *shares, unsigned class, uint32_t number, uint64_t weight, struct share *out)
{
	struct share_key key = key_of(number);
	return shares_take(shares, class, &key, 1, weight, out);
}

static struct share *to_give_way(struct shares *shares, uint32_t number)
{
	struct share_key key = key_of(number);
	return shares_eviction_candidate(shares, INWARD, &key, 1, 1);
}

static void a_reserve_stays_free_for_its_class(void **state)
{
	(void)state;
	_cleanup_(shares_freep) struct shares *shares = shares_new(&(struct shares_options){
		.capacity = 10, .num_classes = 2, .classes = {{.reserve = 1}, {.reserve = 3}}, .seed = 1});
	struct share in[8] = {0}, out[9] = {0};
	for (uint32_t i = 0; i < 7; i++)
		assert_int_equal(take(shares, INWARD, i, 1, &in[i]), SHARE_LIMIT_NONE);
	assert_int_equal(shares_room(shares, INWARD), 0);
	assert_int_equal(shares_room(shares, OUTWARD), 3);
	assert_int_equal(take(shares, INWARD, 7, 1, &in[7]), SHARE_LIMIT_CAPACITY);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(take(shares, OUTWARD, i, 1, &out[i]), SHARE_LIMIT_NONE);
	assert_int_equal(take(shares, OUTWARD, 3, 1, &out[3]), SHARE_LIMIT_CAPACITY);
	for (uint32_t i = 0; i < 7; i++)
		shares_give(&in[i]);
	/* The other way round: all but the reserved unit. */
	for (uint32_t i = 3; i < 9; i++)
		assert_int_equal(take(shares, OUTWARD, i, 1, &out[i]), SHARE_LIMIT_NONE);
	struct share more = {0};
	assert_int_equal(take(shares, OUTWARD, 9, 1, &more), SHARE_LIMIT_CAPACITY);
	assert_int_equal(take(shares, INWARD, 9, 1, &in[0]), SHARE_LIMIT_NONE);
	shares_give(&in[0]);
	for (uint32_t i = 0; i < 9; i++)
		shares_give(&out[i]);
	assert_int_equal(shares_used(shares, OUTWARD), 0);
}

static void a_class_has_a_maximum(void **state)
{
	(void)state;
	_cleanup_(shares_freep) struct shares *shares = shares_new(
		&(struct shares_options){.capacity = 10, .num_classes = 2, .classes = {{.max = 2}}, .seed = 1});
	struct share a = {0}, b = {0}, c = {0};
	assert_int_equal(take(shares, INWARD, 1, 1, &a), SHARE_LIMIT_NONE);
	assert_int_equal(take(shares, INWARD, 2, 2, &b), SHARE_LIMIT_CLASS);
	assert_int_equal(take(shares, INWARD, 2, 1, &b), SHARE_LIMIT_NONE);
	assert_int_equal(take(shares, INWARD, 3, 1, &c), SHARE_LIMIT_CLASS);
	assert_null(c.shares);
	assert_int_equal(take(shares, OUTWARD, 3, 8, &c), SHARE_LIMIT_NONE);
	shares_give(&a);
	shares_give(&b);
	shares_give(&c);
}

static void each_kind_of_key_has_a_cap(void **state)
{
	(void)state;
	_cleanup_(shares_freep) struct shares *shares = shares_new(&(struct shares_options){.capacity = 100,
		.num_classes = 1,
		.classes = {{.caps = {[SHARE_KEY_ADDRESS] = 2, [SHARE_KEY_PREFIX64] = 3}}},
		.seed = 1});
	struct ip_addr ip = {.family = AF_INET6, .bytes = {0x20, 0x01, 0x0d, 0xb8}};
	struct share_key keys[2];
	struct share a = {0}, b = {0}, c = {0}, d = {0};
	size_t num = share_keys_of_source(&ip, keys);
	assert_int_equal(shares_take(shares, INWARD, keys, num, 1, &a), SHARE_LIMIT_NONE);
	assert_int_equal(shares_take(shares, INWARD, keys, num, 1, &b), SHARE_LIMIT_NONE);
	assert_int_equal(shares_take(shares, INWARD, keys, num, 1, &c), SHARE_LIMIT_ADDRESS);
	ip.bytes[15] = 1;
	num = share_keys_of_source(&ip, keys);
	assert_int_equal(shares_take(shares, INWARD, keys, num, 1, &c), SHARE_LIMIT_NONE);
	assert_int_equal(shares_take(shares, INWARD, keys, num, 1, &d), SHARE_LIMIT_PREFIX64);
	assert_ptr_equal(shares_eviction_candidate(shares, INWARD, keys, num, 1), &a);
	assert_int_equal(shares_used_by(shares, INWARD, &keys[0]), 3);
	assert_int_equal(shares_used_by(shares, INWARD, &keys[1]), 1);
	shares_give(&a);
	shares_give(&b);
	shares_give(&c);
	assert_int_equal(shares_used_by(shares, INWARD, &keys[0]), 0);
}

static void evicts_the_oldest_share_of_the_heaviest_key(void **state)
{
	(void)state;
	_cleanup_(shares_freep) struct shares *shares =
		shares_new(&(struct shares_options){.capacity = 8, .num_classes = 1, .seed = 1});
	struct share heavy[5] = {0}, light[3] = {0};
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(take(shares, INWARD, i + 1, 1, &light[i]), SHARE_LIMIT_NONE);
	for (uint32_t i = 0; i < 5; i++)
		assert_int_equal(take(shares, INWARD, 9, 1, &heavy[i]), SHARE_LIMIT_NONE);
	assert_ptr_equal(to_give_way(shares, 10), &heavy[0]);
	assert_ptr_equal(to_give_way(shares, 1), &heavy[0]);
	assert_null(to_give_way(shares, 9)); /* it is itself the heaviest */
	shares_give(&heavy[0]);
	assert_ptr_equal(to_give_way(shares, 10), &heavy[1]);
	shares_give(&heavy[2]);
	shares_give(&heavy[1]);
	assert_ptr_equal(shares_oldest_of_heaviest(shares, INWARD), &heavy[3]);
	shares_give(&heavy[3]);
	assert_null(to_give_way(shares, 10)); /* each key has one unit */
	shares_give(&heavy[4]);
	for (uint32_t i = 0; i < 3; i++)
		shares_give(&light[i]);
	assert_null(shares_oldest_of_heaviest(shares, INWARD));
}

static void a_key_at_its_cap_evicts_its_own_oldest_share(void **state)
{
	(void)state;
	_cleanup_(shares_freep) struct shares *shares = shares_new(&(struct shares_options){
		.capacity = 100, .num_classes = 1, .classes = {{.caps = {[SHARE_KEY_ADDRESS] = 2}}}, .seed = 1});
	struct share a = {0}, b = {0}, c = {0};
	assert_int_equal(take(shares, INWARD, 1, 1, &a), SHARE_LIMIT_NONE);
	assert_int_equal(take(shares, INWARD, 1, 1, &b), SHARE_LIMIT_NONE);
	assert_int_equal(take(shares, INWARD, 1, 1, &c), SHARE_LIMIT_ADDRESS);
	assert_ptr_equal(to_give_way(shares, 1), &a);
	shares_give(&a);
	shares_give(&b);
}

static void a_share_grows_and_shrinks_within_the_limits(void **state)
{
	(void)state;
	_cleanup_(shares_freep) struct shares *shares = shares_new(&(struct shares_options){.capacity = 1000,
		.num_classes = 2,
		.classes = {{.caps = {[SHARE_KEY_ADDRESS] = 600}}, {.reserve = 100}},
		.seed = 1});
	struct share a = {0}, b = {0};
	assert_int_equal(take(shares, INWARD, 1, 10, &a), SHARE_LIMIT_NONE);
	assert_int_equal(take(shares, INWARD, 2, 20, &b), SHARE_LIMIT_NONE);
	assert_int_equal(shares_resize(&a, 601), SHARE_LIMIT_ADDRESS);
	assert_int_equal(shares_resize(&a, 600), SHARE_LIMIT_NONE);
	assert_int_equal(shares_resize(&b, 301), SHARE_LIMIT_CAPACITY);
	assert_int_equal(shares_resize(&b, 300), SHARE_LIMIT_NONE);
	assert_ptr_equal(shares_oldest_of_heaviest(shares, INWARD), &a);
	assert_int_equal(shares_resize(&a, 1), SHARE_LIMIT_NONE);
	assert_ptr_equal(shares_oldest_of_heaviest(shares, INWARD), &b);
	assert_int_equal(shares_used(shares, INWARD), 301);
	shares_give(&a);
	shares_give(&b);
	shares_give(&b);
	assert_int_equal(shares_used(shares, INWARD), 0);
}

/* Compared with a simple counter: many keys come and go, the table grows, no unit is lost. */
static void counts_like_a_simple_table(void **state)
{
	(void)state;
	enum { NUM_SHARES = 3000, KEYS = 500 };
	static struct share held[NUM_SHARES];
	static uint32_t keys[NUM_SHARES], counts[KEYS];
	_cleanup_(shares_freep) struct shares *shares =
		shares_new(&(struct shares_options){.capacity = NUM_SHARES, .num_classes = 1, .seed = 99});
	uint32_t random = 1;
	for (uint32_t turn = 0; turn < 60000; turn++) {
		random = random * 1664525 + 1013904223;
		uint32_t at = (random >> 8) % NUM_SHARES;
		if (held[at].shares != NULL) {
			counts[keys[at]]--;
			shares_give(&held[at]);
		} else {
			keys[at] = (random >> 16) % KEYS;
			assert_int_equal(take(shares, INWARD, keys[at], 1, &held[at]), SHARE_LIMIT_NONE);
			counts[keys[at]]++;
		}
	}
	uint32_t most = 0, total = 0;
	for (uint32_t i = 0; i < KEYS; i++) {
		struct share_key key = key_of(i);
		assert_int_equal(shares_used_by(shares, INWARD, &key), counts[i]);
		most = counts[i] > most ? counts[i] : most;
		total += counts[i];
	}
	assert_int_equal(shares_used(shares, INWARD), total);
	struct share *heaviest = shares_oldest_of_heaviest(shares, INWARD);
	assert_true(counts[keys[heaviest - held]] == most || most > 16);
	for (uint32_t i = 0; i < NUM_SHARES; i++)
		shares_give(&held[i]);
	assert_null(shares_oldest_of_heaviest(shares, INWARD));
}

static void every_limit_has_a_label_and_a_text(void **state)
{
	(void)state;
	for (unsigned i = 0; i < NUM_SHARE_LIMITS; i++) {
		assert_true(strlen(share_limit_label((enum share_limit)i)) > 0);
		assert_true(strlen(share_limit_text((enum share_limit)i)) > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reserve_stays_free_for_its_class),
		cmocka_unit_test(a_class_has_a_maximum),
		cmocka_unit_test(each_kind_of_key_has_a_cap),
		cmocka_unit_test(evicts_the_oldest_share_of_the_heaviest_key),
		cmocka_unit_test(a_key_at_its_cap_evicts_its_own_oldest_share),
		cmocka_unit_test(a_share_grows_and_shrinks_within_the_limits),
		cmocka_unit_test(counts_like_a_simple_table),
		cmocka_unit_test(every_limit_has_a_label_and_a_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
