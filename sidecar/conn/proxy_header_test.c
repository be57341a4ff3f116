#include "sidecar/conn/proxy_header.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct addr addr_of(const char *text)
{
	struct addr addr;
	assert_int_equal(addr_parse(span_of_str(text), &addr), ERR_NONE);
	return addr;
}

static void a_caller_with_an_identity_is_named_in_ipv4(void **state)
{
	(void)state;
	const struct addr source = addr_of("192.0.2.1:258"), destination = addr_of("198.51.100.2:80");
	static const uint8_t expected[] = {0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A, 0x21,
		0x11, 0, 12 + 3 + 13, 192, 0, 2, 1, 198, 51, 100, 2, 1, 2, 0, 80, 0xD0, 0, 13, 's', 'p', 'i', 'f', 'f',
		'e', ':', '/', '/', 't', 'd', '/', 'a'};
	uint8_t out[PROXY_HEADER_MAX];
	assert_int_equal(proxy_header_encode(&source, &destination, "spiffe://td/a", out), sizeof(expected));
	assert_memory_equal(out, expected, sizeof(expected));
}

static void a_caller_without_an_identity_has_no_tlv(void **state)
{
	(void)state;
	const struct addr source = addr_of("[2001:db8::1]:258"), destination = addr_of("[2001:db8::2]:80");
	uint8_t out[PROXY_HEADER_MAX];
	assert_int_equal(proxy_header_encode(&source, &destination, NULL, out), 16 + 36);
	assert_int_equal(out[13], 0x21);
	assert_int_equal(out[14] << 8 | out[15], 36);
	assert_memory_equal(out + 16, source.ip.bytes, 16);
	assert_memory_equal(out + 32, destination.ip.bytes, 16);
}

static void the_longest_identity_fits(void **state)
{
	(void)state;
	const struct addr source = addr_of("[2001:db8::1]:1"), destination = addr_of("[2001:db8::2]:2");
	char id[2049];
	uint8_t out[PROXY_HEADER_MAX];
	memset(id, 'a', sizeof(id) - 1);
	id[2048] = '\0';
	assert_int_equal(proxy_header_encode(&source, &destination, id, out), PROXY_HEADER_MAX);
	assert_int_equal(out[PROXY_HEADER_MAX - 1], 'a');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_caller_with_an_identity_is_named_in_ipv4),
		cmocka_unit_test(a_caller_without_an_identity_has_no_tlv),
		cmocka_unit_test(the_longest_identity_fits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
