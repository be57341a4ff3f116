#include "base/tls/key_exchange.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static void expect_list(struct key_exchange_list list, const enum key_exchange *items, unsigned num)
{
	assert_int_equal(list.num, num);
	for (unsigned i = 0; i < num; i++)
		assert_int_equal(list.items[i], items[i]);
}

static void profiles_have_their_groups_best_first(void **state)
{
	(void)state;
	static const enum key_exchange all[] = {
		KEY_EXCHANGE_X25519MLKEM768, KEY_EXCHANGE_X25519, KEY_EXCHANGE_P256, KEY_EXCHANGE_P384};
	static const enum key_exchange fips[] = {KEY_EXCHANGE_X25519MLKEM768, KEY_EXCHANGE_P256, KEY_EXCHANGE_P384};
	expect_list(key_exchange_profile_list(KEY_EXCHANGE_DEFAULT), all, 4);
	expect_list(key_exchange_profile_list(KEY_EXCHANGE_FIPS_GROUPS), fips, 3);
	expect_list(key_exchange_profile_list(KEY_EXCHANGE_PQ_ONLY), all, 1);
}

static void a_name_leads_to_its_group_and_back(void **state)
{
	(void)state;
	for (unsigned i = 0; i < NUM_KEY_EXCHANGES; i++)
		assert_int_equal(key_exchange_by_name(span_of_str(key_exchange_name((enum key_exchange)i))), i);
	for (unsigned i = 0; i < NUM_KEY_EXCHANGES; i++)
		assert_int_equal(key_exchange_by_group_id(key_exchange_group_id((enum key_exchange)i)), i);
	assert_int_equal(key_exchange_by_group_id(0), NUM_KEY_EXCHANGES);
	assert_string_equal(key_exchange_name(NUM_KEY_EXCHANGES), "none");
	assert_int_equal(key_exchange_by_name(span_of_str("P-521")), NUM_KEY_EXCHANGES);
	assert_int_equal(key_exchange_by_name(span_of_str("none")), NUM_KEY_EXCHANGES);
}

static void a_list_takes_each_known_group_once(void **state)
{
	(void)state;
	struct key_exchange_list list = {0};
	struct why why = {0};
	static const enum key_exchange items[] = {KEY_EXCHANGE_P384, KEY_EXCHANGE_X25519};
	assert_int_equal(key_exchange_add(&list, "P-384", &why), ERR_NONE);
	assert_int_equal(key_exchange_add(&list, "X25519", &why), ERR_NONE);
	assert_int_equal(key_exchange_add(&list, "P-384", &why), ERR_CONFIG);
	assert_string_equal(why.got, "P-384 is given twice");
	assert_int_equal(key_exchange_add(&list, "x25519", &why), ERR_CONFIG);
	assert_string_equal(why.got, "the group is 'x25519'");
	assert_int_equal(key_exchange_add(&list, "", &why), ERR_CONFIG);
	expect_list(list, items, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(profiles_have_their_groups_best_first),
		cmocka_unit_test(a_name_leads_to_its_group_and_back),
		cmocka_unit_test(a_list_takes_each_known_group_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
