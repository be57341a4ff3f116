#include "base/core/mem.h"
#include "certs/spiffe_id.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
/* cmocka requires the three headers above */
#include <cmocka.h>

static bool parses(struct span text)
{
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
	struct why why = {0};
	enum err err = spiffe_id_parse(text, &id, &why);
	assert_int_equal(err, why.err);
	assert_true((err == ERR_NONE) == spiffe_id_is_set(&id));
	return err == ERR_NONE;
}

static void N1_refuses_what_the_grammar_does_not_allow(_unused_ void **state)
{
	static const struct span wrong[] = {
		{NULL, 0},
#define WRONG(text) {(const uint8_t *)(text), sizeof(text) - 1}
		WRONG("s"),
		WRONG("spiffe:/"),
		WRONG("spiffe:td/p"),
		WRONG("Spiffe://x"),
		WRONG("SPIFFE://td/p"),
		WRONG("spiffe://"),
		WRONG("spiffe:///"),
		WRONG("spiffe:///p"),
		WRONG("spiffe://td/"),
		WRONG("//td//p"),
		WRONG("spiffe://td//p"),
		WRONG("spiffe://td/p/"),
		WRONG("spiffe://td/p//q"),
		WRONG("spiffe://td/."),
		WRONG("spiffe://td/./p"),
		WRONG("spiffe://td/p/./q"),
		WRONG("spiffe://td/p/.."),
		WRONG("spiffe://td/.."),
		WRONG("spiffe://td/../p"),
		WRONG("spiffe://t%62/p"),
		WRONG("spiffe://td/%62"),
		WRONG("spiffe://td/%2e"),
		WRONG("spiffe://td?q"),
		WRONG("spiffe://td/p?q"),
		WRONG("spiffe://td#f"),
		WRONG("spiffe://td/p#f"),
		WRONG("spiffe://td:8080/p"),
		WRONG("spiffe://user:pw@td/p"),
		WRONG("spiffe://user@td/p"),
		WRONG("spiffe://[::1]/p"),
		WRONG("spiffe://Td/p"),
		WRONG("spiffe://td/p\0"),
		WRONG("spiffe://td\0/p"),
		WRONG("\0spiffe://td/p"),
		WRONG(" spiffe://td/p"),
		WRONG("spiffe://td/p "),
		WRONG("spiffe://td/p\n"),
		WRONG("spiffe://td/\xc3\xa9"),
		WRONG("spiffe://td\\p"),
		WRONG("spiffe://td/p\\q"),
		WRONG("https://td/p"),
	};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_false(parses(wrong[i]));
}

static void N1_accepts_unusual_valid_ids(_unused_ void **state)
{
	static const char *const right[] = {"spiffe://td", "spiffe://td/p", "spiffe://td/.path", "spiffe://td/..path",
		"spiffe://td/...", "spiffe://td/p..", "spiffe://1.2.3.4/p", "spiffe://a_b.example/p",
		"spiffe://-/-/_/.a", "spiffe://td/Upper/CASE", "spiffe://.../p"};
	for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++)
		assert_true(parses(span_of_str(right[i])));
}

static void N1_checks_every_byte_value_in_both_parts(_unused_ void **state)
{
	for (unsigned byte = 0; byte < 256; byte++) {
		uint8_t in_domain[] = "spiffe://t?d/p", in_path[] = "spiffe://td/p?q";
		bool is_lower = (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '.' ||
				byte == '-' || byte == '_';
		bool is_upper = byte >= 'A' && byte <= 'Z';
		in_domain[10] = in_path[13] = (uint8_t)byte;
		if (byte == '/') /* ends the trust domain, or the segment */
			continue;
		assert_int_equal(parses(span_of(in_domain, 14)), is_lower);
		assert_int_equal(parses(span_of(in_path, 15)), is_lower || is_upper);
	}
}

static void N2_enforces_the_length_limits_exactly(_unused_ void **state)
{
	char text[2100] = "spiffe://td/";
	memset(text + 12, 'p', sizeof(text) - 12);
	assert_true(parses(span_of(text, SPIFFE_ID_MAX)));
	assert_false(parses(span_of(text, SPIFFE_ID_MAX + 1)));
	memset(text + 9, 'd', 256);
	text[9 + 255] = '/';
	assert_true(parses(span_of(text, 400)));
	text[9 + 255] = 'd';
	text[9 + 256] = '/';
	assert_false(parses(span_of(text, 400)));
}

static void splits_an_id_into_its_parts(_unused_ void **state)
{
	_cleanup_(spiffe_id_done) struct spiffe_id id = {0}, bare = {0}, none = {0};
	assert_int_equal(spiffe_id_parse(SPAN_LITERAL("spiffe://td.test/ns/a"), &id, NULL), ERR_NONE);
	assert_int_equal(spiffe_id_parse(SPAN_LITERAL("spiffe://td.test"), &bare, NULL), ERR_NONE);
	assert_true(span_eq(spiffe_id_path(&id), SPAN_LITERAL("/ns/a")));
	assert_true(span_eq(spiffe_id_trust_domain(&id), SPAN_LITERAL("td.test")));
	assert_true(span_eq(spiffe_id_text(&id), SPAN_LITERAL("spiffe://td.test/ns/a")));
	assert_true(span_eq(spiffe_id_trust_domain(&bare), SPAN_LITERAL("td.test")));
	assert_int_equal(spiffe_id_path(&bare).len, 0);
	assert_int_equal(spiffe_id_path(&none).len, 0);
	assert_int_equal(spiffe_id_trust_domain(&none).len, 0);
}

static void N3_distinguishes_ids_with_a_common_prefix(_unused_ void **state)
{
	_cleanup_(spiffe_id_done) struct spiffe_id a = {0}, ab = {0}, evil = {0}, copy = {0};
	struct trust_domain domain;
	assert_int_equal(spiffe_id_parse(SPAN_LITERAL("spiffe://td.test/a"), &a, NULL), ERR_NONE);
	assert_int_equal(spiffe_id_parse(SPAN_LITERAL("spiffe://td.test/ab"), &ab, NULL), ERR_NONE);
	assert_int_equal(spiffe_id_parse(SPAN_LITERAL("spiffe://td.test.evil/a"), &evil, NULL), ERR_NONE);
	assert_int_equal(trust_domain_parse(SPAN_LITERAL("td.test"), &domain, NULL), ERR_NONE);
	spiffe_id_copy(&a, &copy);
	assert_true(spiffe_id_eq(&a, &copy));
	assert_false(spiffe_id_eq(&a, &ab));
	assert_true(spiffe_id_in_trust_domain(&a, &domain));
	assert_false(spiffe_id_in_trust_domain(&evil, &domain));
}

static void recognizes_reserved_paths(_unused_ void **state)
{
	static const struct {
		const char *text;
		bool is_reserved;
	} cases[] = {
		{"spiffe://td/handfast", true},
		{"spiffe://td/handfast/control", true},
		{"spiffe://td/handfaster", false},
		{"spiffe://td/Handfast", false},
		{"spiffe://td/a/handfast", false},
		{"spiffe://td", false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_(spiffe_id_done) struct spiffe_id id = {0};
		assert_int_equal(spiffe_id_parse(span_of_str(cases[i].text), &id, NULL), ERR_NONE);
		assert_int_equal(spiffe_id_is_reserved(&id), cases[i].is_reserved);
	}
}

static void refuses_a_bad_trust_domain_and_leaves_the_output_alone(_unused_ void **state)
{
	struct trust_domain domain = {"before"};
	assert_int_equal(trust_domain_parse(SPAN_LITERAL("spiffe://td"), &domain, NULL), ERR_MALFORMED);
	assert_int_equal(trust_domain_parse(SPAN_LITERAL("Td"), &domain, NULL), ERR_MALFORMED);
	assert_int_equal(trust_domain_parse(SPAN_LITERAL(""), &domain, NULL), ERR_MALFORMED);
	assert_string_equal(domain.name, "before");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(N1_refuses_what_the_grammar_does_not_allow),
		cmocka_unit_test(N1_accepts_unusual_valid_ids),
		cmocka_unit_test(N1_checks_every_byte_value_in_both_parts),
		cmocka_unit_test(N2_enforces_the_length_limits_exactly),
		cmocka_unit_test(splits_an_id_into_its_parts),
		cmocka_unit_test(N3_distinguishes_ids_with_a_common_prefix),
		cmocka_unit_test(recognizes_reserved_paths),
		cmocka_unit_test(refuses_a_bad_trust_domain_and_leaves_the_output_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
