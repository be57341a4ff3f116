#include "base/core/err.h"
#include "base/core/span.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka requires the four headers above */
#include <cmocka.h>

static const enum err every[] = {
	ERR_NONE,
#define ERROR(symbol, label, text) symbol,
#include "base/core/errors.def"
#undef ERROR
};

static void each_error_has_its_own_text_and_label(_unused_ void **state)
{
	for (size_t i = 0; i < sizeof every / sizeof every[0]; i++) {
		const char *label = err_label(every[i]);
		size_t text_len = strlen(err_text(every[i]));
		assert_true(text_len > 0 && err_text(every[i])[text_len - 1] != '.');
		assert_int_equal(strspn(label, "abcdefghijklmnopqrstuvwxyz0123456789_"), strlen(label));
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(label, err_label(every[j]));
	}
	assert_string_equal(err_label(ERR_NONE), "none");
}

static void maps_errno_to_errors(_unused_ void **state)
{
	assert_int_equal(err_from_errno(0), ERR_NONE);
	assert_int_equal(err_from_errno(ECONNREFUSED), ERR_REFUSED);
	assert_int_equal(err_from_errno(ECONNRESET), ERR_RESET);
	assert_int_equal(err_from_errno(ETIMEDOUT), ERR_TIMEOUT);
	assert_int_equal(err_from_errno(EMFILE), ERR_FD_EXHAUSTED);
	assert_int_equal(err_from_errno(EHOSTUNREACH), ERR_UNREACHABLE);
	assert_int_equal(err_from_errno(EAGAIN), ERR_UNAVAILABLE);
	assert_int_equal(err_from_errno(ENOSPC), ERR_IO);
	assert_int_equal(err_from_errno(EDQUOT), ERR_IO); /* a full quota is a full disk */
	assert_int_equal(err_from_errno(ELOOP), ERR_SYSTEM);
	assert_int_equal(err_from_errno(-1), ERR_SYSTEM);
}

static void explains_on_one_line(_unused_ void **state)
{
	struct why why = {.err = ERR_NONE};
	char out[128];
	assert_string_equal(why_format(&why, out, sizeof out), "");
	assert_int_equal(
		why_set(&why, ERR_CONFIG, "a port", "set one", "the port '%s' is not a number", "x"), ERR_CONFIG);
	assert_string_equal(
		why_format(&why, out, sizeof out), "the port 'x' is not a number; expected: a port; fix: set one");
	assert_int_equal(why.err, ERR_CONFIG);
	assert_int_equal(why_set(&why, ERR_CONFIG, NULL, "set one", NULL), ERR_CONFIG);
	assert_string_equal(why_format(&why, out, sizeof out), "fix: set one");
	assert_string_equal(why_format(&why, out, 4), "fix");
	assert_int_equal(why_set(NULL, ERR_DENIED, "a", "b", "c"), ERR_DENIED);
}

static void parses_what_it_formats(_unused_ void **state)
{
	struct why why = {0}, parsed = {0};
	char text[640];
	(void)why_set(&why, ERR_CONFIG, "a port", "set one; fix: it", "the port is missing");
	assert_true(why_parse(why_format(&why, text, sizeof text), ERR_DENIED, &parsed));
	assert_int_equal(parsed.err, ERR_DENIED);
	assert_string_equal(parsed.got, "the port is missing");
	assert_string_equal(parsed.expected, "a port; fix: set one");
	assert_string_equal(parsed.fix, "it");
	struct why untouched = parsed;
	static const char *const others[] = {"", "denied", "a; expected: b", "a; fix: b", "a; fix: b; expected: c"};
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		assert_false(why_parse(others[i], ERR_DENIED, &parsed));
	assert_memory_equal(&parsed, &untouched, sizeof parsed);
}

static void escapes_and_cuts_untrusted_text(_unused_ void **state)
{
	struct why why;
	char enormous[1000];
	assert_int_equal(why_set(&why, ERR_MALFORMED, "a name", "", "%s", "a\nb\x1b[2J\xc3\xa9"), ERR_MALFORMED);
	assert_string_equal(why.got, "a\\x0ab\\x1b[2J\\xc3\\xa9");
	memset(enormous, '\n', sizeof enormous - 1);
	enormous[sizeof enormous - 1] = '\0';
	assert_int_equal(why_set(&why, ERR_MALFORMED, enormous, enormous, "%s", enormous), ERR_MALFORMED);
	assert_int_equal(strlen(why.got), 255); /* whole escapes only, then the dots */
	assert_int_equal(strlen(why.expected) % 4, 3);
	assert_int_equal(strlen(why.fix) % 4, 3);
}

static void finding_i12_a_cut_text_ends_in_dots(_unused_ void **state)
{
	struct why why;
	char most[256], more[257];
	memset(most, 'a', sizeof most - 1);
	memset(more, 'a', sizeof more - 1);
	most[sizeof most - 1] = more[sizeof more - 1] = '\0';
	(void)why_set(&why, ERR_DENIED, "a", "b", "%s", most);
	assert_string_equal(why.got, most); /* it fits */
	(void)why_set(&why, ERR_DENIED, "a", "b", "%s", more);
	assert_int_equal(strlen(why.got), sizeof why.got - 1);
	assert_string_equal(why.got + sizeof why.got - 4, "...");
}

static void finding_o9_a_fix_names_the_host_that_it_refers_to(_unused_ void **state)
{
	struct why why;
	(void)why_set(&why, ERR_PROTOCOL, "TLS", "look at the peer's log", "bytes");
	why_name_host(&why, "192.0.2.7, spiffe://td.test/a");
	assert_string_equal(why.fix, "look at the peer's log (192.0.2.7, spiffe://td.test/a)");
	why_name_host(&why, "192.0.2.8");
	assert_string_equal(why.fix, "look at the peer's log (192.0.2.7, spiffe://td.test/a)"); /* once */
	(void)why_set(&why, ERR_PROTOCOL, "TLS", "start it", "bytes");
	why_name_host(&why, "192.0.2.7");
	assert_string_equal(why.fix, "start it");
	why = (struct why){0};
	why_name_host(&why, "192.0.2.7");
	assert_string_equal(why.fix, "");
}

static void finding_o9_an_enormous_name_is_cut_and_cannot_forge(_unused_ void **state)
{
	struct why why;
	char name[600];
	memset(name, 'a', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	name[0] = '\n';
	(void)why_set(&why, ERR_PROTOCOL, "TLS", "look at the other sidecar's record of it", "bytes");
	why_name_host(&why, name);
	assert_int_equal(strlen(why.fix), sizeof why.fix - 1);
	assert_int_equal(why.fix[strlen(why.fix) - 1], ')');
	assert_null(strchr(why.fix, '\n'));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finding_o9_a_fix_names_the_host_that_it_refers_to),
		cmocka_unit_test(finding_o9_an_enormous_name_is_cut_and_cannot_forge),
		cmocka_unit_test(each_error_has_its_own_text_and_label),
		cmocka_unit_test(maps_errno_to_errors),
		cmocka_unit_test(explains_on_one_line),
		cmocka_unit_test(parses_what_it_formats),
		cmocka_unit_test(escapes_and_cuts_untrusted_text),
		cmocka_unit_test(finding_i12_a_cut_text_ends_in_dots),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
