#include "base/core/addr.h"
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires the four headers above */
#include <cmocka.h>

static void reads_and_writes_addresses(_unused_ void **state)
{
	static const char *const texts[] = {"192.0.2.1:80", "[2001:db8::1]:65535", "[::]:1", "0.0.0.0:9"};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct addr addr;
		char out[ADDR_TEXT_MAX];
		assert_int_equal(addr_parse(span_of_str(texts[i]), &addr), ERR_NONE);
		assert_string_equal(addr_format(&addr, out), texts[i]);
	}
}

static void writes_ipv4_as_inet_ntop_does(void **state)
{
	(void)state;
	static const uint8_t values[] = {0, 1, 9, 10, 99, 100, 199, 255};
	for (size_t i = 0; i < sizeof(values); i++) {
		struct ip_addr ip = {.family = AF_INET,
			.bytes = {values[i], values[(i + 3) % 8], values[(i + 5) % 8], values[(i + 6) % 8]}};
		char ours[ADDR_TEXT_MAX], theirs[INET_ADDRSTRLEN];
		assert_string_equal(ip_addr_format(&ip, ours), inet_ntop(AF_INET, ip.bytes, theirs, sizeof(theirs)));
	}
}

static void refuses_every_other_spelling(_unused_ void **state)
{
	static const char *const texts[] = {"", ":", ":80", "192.0.2.1", "192.0.2.1:", "192.0.2.1:0", "192.0.2.1:080",
		"192.0.2.1:65536", "192.0.2.1:+80", "192.0.2.1: 80", "192.0.2.1:80 ", "192.0.2.01:80", "192.0.2:80",
		"192.0.2.256:80", "0x7f.0.0.1:80", "[192.0.2.1]:80", "2001:db8::1:80", "[2001:db8::1]",
		"[2001:db8::1]80", "[2001:db8::1:80", "2001:db8::1]:80", "[]:80", "[fe80::1%eth0]:80", "[[::1]]:80",
		"localhost:80", "192.0.2.1:99999999999999999999", "[::1]::80"};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct addr addr = {.port = 7};
		if (addr_parse(span_of_str(texts[i]), &addr) != ERR_MALFORMED)
			fail_msg("expected a refusal of '%s'", texts[i]);
		assert_int_equal(addr.port, 7);
	}
}

static void refuses_an_embedded_nul(_unused_ void **state)
{
	struct ip_addr ip;
	struct addr addr;
	assert_int_equal(ip_addr_parse(SPAN_LITERAL("192.0.2.1\0evil"), &ip), ERR_MALFORMED);
	assert_int_equal(addr_parse(SPAN_LITERAL("192.0.2.1\0:80"), &addr), ERR_MALFORMED);
}

static void converts_v4_mapped_addresses_in_every_constructor(_unused_ void **state)
{
	static const uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff, [12] = 192, [13] = 0, [14] = 2, [15] = 1};
	struct ip_addr plain, ip;
	assert_int_equal(ip_addr_parse(SPAN_LITERAL("192.0.2.1"), &plain), ERR_NONE);
	assert_int_equal(ip_addr_parse(SPAN_LITERAL("::ffff:192.0.2.1"), &ip), ERR_NONE);
	assert_memory_equal(&ip, &plain, sizeof ip);
	assert_int_equal(ip_addr_from_bytes(span_of(mapped, 16), &ip), ERR_NONE);
	assert_memory_equal(&ip, &plain, sizeof ip);
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(80)};
	memcpy(&in6.sin6_addr, mapped, 16);
	struct addr addr;
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&in6, sizeof in6, &addr), ERR_NONE);
	assert_memory_equal(&addr.ip, &plain, sizeof plain);
	assert_int_equal(addr.port, 80);
}

static void refuses_bytes_and_sockaddrs_of_the_wrong_size(_unused_ void **state)
{
	uint8_t bytes[17] = {0};
	struct ip_addr ip;
	struct addr addr;
	for (size_t len = 0; len <= sizeof bytes; len++)
		assert_int_equal(ip_addr_from_bytes(span_of(bytes, len), &ip) == ERR_NONE, len == 4 || len == 16);
	struct sockaddr_in in = {.sin_family = AF_INET};
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&in, sizeof in - 1, &addr), ERR_UNSUPPORTED);
	in.sin_family = AF_UNIX;
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&in, sizeof in, &addr), ERR_UNSUPPORTED);
}

static void survives_conversion_to_a_sockaddr_and_back(_unused_ void **state)
{
	static const char *const texts[] = {"192.0.2.1:80", "[2001:db8::1]:443"};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct addr addr, back;
		struct sockaddr_storage sa;
		assert_int_equal(addr_parse(span_of_str(texts[i]), &addr), ERR_NONE);
		socklen_t len = addr_to_sockaddr(&addr, &sa);
		assert_int_equal(addr_from_sockaddr((struct sockaddr *)&sa, len, &back), ERR_NONE);
		assert_true(addr_eq(&addr, &back));
		assert_true(addr_hash(&addr, 5) == addr_hash(&back, 5));
	}
}

static void distinguishes_addresses(_unused_ void **state)
{
	struct addr a, b, c;
	assert_int_equal(addr_parse(SPAN_LITERAL("192.0.2.1:80"), &a), ERR_NONE);
	assert_int_equal(addr_parse(SPAN_LITERAL("192.0.2.1:81"), &b), ERR_NONE);
	assert_int_equal(addr_parse(SPAN_LITERAL("192.0.2.2:80"), &c), ERR_NONE);
	assert_false(addr_eq(&a, &b));
	assert_false(addr_eq(&a, &c));
	assert_true(addr_hash(&a, 1) != addr_hash(&b, 1));
	assert_true(addr_hash(&a, 1) != addr_hash(&c, 1));
	assert_true(addr_hash(&a, 1) != addr_hash(&a, 2));
}

struct kind {
	const char *text;
	bool is_loopback, is_unspecified, is_link_local;
};

static void classifies_special_addresses_and_their_neighbors(_unused_ void **state)
{
	static const struct kind kinds[] = {
		{"127.0.0.1", .is_loopback = true},
		{"127.255.255.255", .is_loopback = true},
		{"128.0.0.1"},
		{"::1", .is_loopback = true},
		{"::2"},
		{"::ffff:127.0.0.1", .is_loopback = true},
		{"0.0.0.0", .is_unspecified = true},
		{"0.0.0.1"},
		{"::", .is_unspecified = true},
		{"169.254.169.254", .is_link_local = true},
		{"169.253.0.1"},
		{"fe80::1", .is_link_local = true},
		{"febf::1", .is_link_local = true},
		{"fec0::1"},
	};
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		struct ip_addr ip;
		assert_int_equal(ip_addr_parse(span_of_str(kinds[i].text), &ip), ERR_NONE);
		assert_int_equal(ip_addr_is_loopback(&ip), kinds[i].is_loopback);
		assert_int_equal(ip_addr_is_unspecified(&ip), kinds[i].is_unspecified);
		assert_int_equal(ip_addr_is_link_local(&ip), kinds[i].is_link_local);
	}
}

static bool contains(const char *network_text, const char *ip_text)
{
	struct network network;
	struct ip_addr ip;
	assert_int_equal(network_parse(span_of_str(network_text), &network), ERR_NONE);
	assert_int_equal(ip_addr_parse(span_of_str(ip_text), &ip), ERR_NONE);
	return network_contains(&network, &ip);
}

static void decides_membership_in_a_network_by_the_bit(_unused_ void **state)
{
	assert_true(contains("192.0.2.0/25", "192.0.2.127"));
	assert_false(contains("192.0.2.0/25", "192.0.2.128"));
	assert_true(contains("192.0.2.9", "192.0.2.9"));
	assert_false(contains("192.0.2.9", "192.0.2.8"));
	assert_true(contains("0.0.0.0/0", "255.255.255.255"));
	assert_false(contains("0.0.0.0/0", "::1"));
	assert_false(contains("::/0", "192.0.2.1"));
	assert_false(contains("::/0", "::ffff:192.0.2.1"));
	assert_true(contains("2001:db8::/33", "2001:db8:7fff::1"));
	assert_false(contains("2001:db8::/33", "2001:db8:8000::1"));
}

static void refuses_malformed_networks(_unused_ void **state)
{
	static const char *const texts[] = {"", "/", "192.0.2.0/", "192.0.2.0/33", "192.0.2.1/24", "192.0.2.0/024",
		"192.0.2.0/-1", "192.0.2.0/24/1", "/24", "2001:db8::1/64", "::/129", "::ffff:10.0.0.0/104",
		"::ffff:10.0.0.0/8"};
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		struct network network;
		if (network_parse(span_of_str(texts[i]), &network) != ERR_MALFORMED)
			fail_msg("expected a refusal of '%s'", texts[i]);
	}
	struct network network;
	char out[ADDR_TEXT_MAX];
	assert_int_equal(network_parse(SPAN_LITERAL("192.0.2.0/24"), &network), ERR_NONE);
	assert_string_equal(network_format(&network, out), "192.0.2.0/24");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_and_writes_addresses),
		cmocka_unit_test(writes_ipv4_as_inet_ntop_does),
		cmocka_unit_test(refuses_every_other_spelling),
		cmocka_unit_test(refuses_an_embedded_nul),
		cmocka_unit_test(converts_v4_mapped_addresses_in_every_constructor),
		cmocka_unit_test(refuses_bytes_and_sockaddrs_of_the_wrong_size),
		cmocka_unit_test(survives_conversion_to_a_sockaddr_and_back),
		cmocka_unit_test(distinguishes_addresses),
		cmocka_unit_test(classifies_special_addresses_and_their_neighbors),
		cmocka_unit_test(decides_membership_in_a_network_by_the_bit),
		cmocka_unit_test(refuses_malformed_networks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
