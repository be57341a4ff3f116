#include "base/core/share_key.h"
#include <setjmp.h>
#include <stdarg.h>
/* cmocka requires the four headers above */
#include <cmocka.h>

static struct ip_addr parse(const char *text)
{
	struct ip_addr ip;
	assert_int_equal(ip_addr_parse(span_of_str(text), &ip), ERR_NONE);
	return ip;
}

static void an_ipv6_source_has_keys_for_its_network_and_its_address(void **state)
{
	(void)state;
	struct ip_addr one = parse("2001:db8::1"), neighbor = parse("2001:db8::2"), other = parse("2001:db8:0:1::1");
	struct share_key a[SHARE_SOURCE_KEYS_MAX], b[SHARE_SOURCE_KEYS_MAX], c[SHARE_SOURCE_KEYS_MAX];
	assert_int_equal(share_keys_of_source(&one, a), 2);
	assert_int_equal(share_keys_of_source(&neighbor, b), 2);
	assert_int_equal(share_keys_of_source(&other, c), 2);
	assert_int_equal(a[0].kind, SHARE_KEY_PREFIX64);
	assert_true(share_key_eq(&a[0], &b[0]));
	assert_false(share_key_eq(&a[1], &b[1]));
	assert_false(share_key_eq(&a[0], &c[0]));
	struct share_key network = share_key_of_prefix64(&one);
	assert_true(share_key_eq(&a[0], &network));
}

static void an_ipv4_source_has_one_key(void **state)
{
	(void)state;
	struct ip_addr ip = parse("192.0.2.1");
	struct share_key keys[SHARE_SOURCE_KEYS_MAX], address = share_key_of_ip(&ip),
						      network = share_key_of_prefix64(&ip);
	assert_int_equal(share_keys_of_source(&ip, keys), 1);
	assert_int_equal(keys[0].kind, SHARE_KEY_ADDRESS);
	assert_true(share_key_eq(&keys[0], &address));
	assert_true(share_key_eq(&keys[0], &network));
}

static void a_network_differs_from_its_first_address(void **state)
{
	(void)state;
	struct ip_addr ip = parse("2001:db8::");
	struct share_key address = share_key_of_ip(&ip), network = share_key_of_prefix64(&ip);
	assert_false(share_key_eq(&address, &network));
	assert_true(share_key_hash(&address, 3) != share_key_hash(&network, 3));
	assert_true(share_key_hash(&address, 3) != share_key_hash(&address, 4));
}

static void distinguishes_identities_alone_and_combined_with_a_source(void **state)
{
	(void)state;
	struct ip_addr here = parse("192.0.2.1"), there = parse("192.0.2.2");
	struct share_key a = share_key_of_bytes(SPAN_LITERAL("spiffe://td/a"));
	struct share_key again = share_key_of_bytes(SPAN_LITERAL("spiffe://td/a"));
	struct share_key b = share_key_of_bytes(SPAN_LITERAL("spiffe://td/b"));
	struct share_key a_here = share_key_joined(share_key_of_ip(&here), a);
	struct share_key a_there = share_key_joined(share_key_of_ip(&there), a);
	assert_true(share_key_eq(&a, &again));
	assert_false(share_key_eq(&a, &b));
	assert_int_equal(a_here.kind, SHARE_KEY_IDENTITY);
	assert_false(share_key_eq(&a_here, &a));
	assert_false(share_key_eq(&a_here, &a_there));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_ipv6_source_has_keys_for_its_network_and_its_address),
		cmocka_unit_test(an_ipv4_source_has_one_key),
		cmocka_unit_test(a_network_differs_from_its_first_address),
		cmocka_unit_test(distinguishes_identities_alone_and_combined_with_a_source),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
