#include "intercept/cni/conflist.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka requires the three headers above */
#include <cmocka.h>

static const char *const EXCLUDED[] = {"kube-system"};
static const struct conflist_entry ENTRY = {"/run/x.sock", EXCLUDED, 1};
#define OURS "{\"type\":\"handfast-cni\",\"socket\":\"/run/x.sock\",\"exclude_namespaces\":[\"kube-system\"]}"
#define HEAD                                                                                                           \
	"{\"cniVersion\":\"1.0.0\",\"name\":\"net\",\"plugins\":[{\"type\":\"bridge\",\"mtu\":1450,\"x\":{\"y\":[1.5]" \
	"}}"

static void edits(const char *before, const struct conflist_entry *entry, const char *after)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT(CONFLIST_MAX);
	struct why why;
	assert_int_equal(conflist_edit(span_of_str(before), entry, &out, &why), ERR_NONE);
	if (after == NULL) {
		assert_int_equal(buf_len(&out), 0);
		return;
	}
	char packed[4096];
	size_t len = 0;
	for (const char *at = buf_cstr(&out); *at != '\0'; at++) /* no value here has spaces */
		if (*at != ' ' && *at != '\n')
			packed[len++] = *at;
	packed[len] = '\0';
	assert_string_equal(packed, after);
}

static void adds_the_entry_at_the_end_once(void **state)
{
	(void)state;
	edits(HEAD "]}", &ENTRY, HEAD "," OURS "]}");
	edits(HEAD "," OURS "]}", &ENTRY, NULL);
	edits(HEAD ",{\"type\":\"portmap\"}]}", &ENTRY, HEAD ",{\"type\":\"portmap\"}," OURS "]}");
}

static void moves_and_renews_an_entry_that_differs(void **state)
{
	(void)state;
	edits(HEAD "," OURS ",{\"type\":\"portmap\"}]}", &ENTRY, HEAD ",{\"type\":\"portmap\"}," OURS "]}");
	edits(HEAD ",{\"type\":\"handfast-cni\",\"socket\":\"/old\"}," OURS "]}", &ENTRY, HEAD "," OURS "]}");
}

static void removes_every_entry_and_nothing_else(void **state)
{
	(void)state;
	edits(HEAD "," OURS ",{\"type\":\"portmap\"}," OURS "]}", NULL, HEAD ",{\"type\":\"portmap\"}]}");
	edits(HEAD "]}", NULL, NULL);
}

static void leaves_a_list_of_another_version_alone(void **state)
{
	static const char *const lists[] = {"{\"plugins\":[{\"type\":\"bridge\"}]}",
		"{\"cniVersion\":\"0.2.0\",\"plugins\":[{\"type\":\"bridge\"}]}",
		"{\"cniVersion\":\"1.2.0\",\"plugins\":[{\"type\":\"bridge\"}]}"};
	(void)state;
	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
		_cleanup_(buf_done) struct buf out = BUF_INIT(CONFLIST_MAX);
		struct why why = {0};
		assert_int_equal(conflist_edit(span_of_str(lists[i]), &ENTRY, &out, &why), ERR_UNSUPPORTED);
		assert_int_equal(buf_len(&out), 0);
		edits(lists[i], NULL, NULL); /* an entry would still be removed */
	}
}

static void refuses_what_is_no_list(void **state)
{
	static const struct {
		const char *text;
		enum err err;
	} rows[] = {{"", ERR_MALFORMED}, {"{\"plugins\":", ERR_MALFORMED}, {"[]", ERR_MALFORMED},
		{"{\"type\":\"bridge\"}", ERR_UNSUPPORTED}, {"{\"plugins\":[]}", ERR_UNSUPPORTED},
		{"{\"plugins\":{}}", ERR_UNSUPPORTED}};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		_cleanup_(buf_done) struct buf out = BUF_INIT(CONFLIST_MAX);
		struct why why;
		assert_int_equal(conflist_edit(span_of_str(rows[i].text), &ENTRY, &out, &why), rows[i].err);
		assert_int_equal(buf_len(&out), 0);
	}
}

static void knows_the_names_that_runtimes_read(void **state)
{
	(void)state;
	assert_true(conflist_is_read("10-a.conflist") && conflist_is_read("a.conf") && conflist_is_read("a.json"));
	assert_false(conflist_is_read("10-a.conflist.new") || conflist_is_read(".conf") || conflist_is_read("README"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(adds_the_entry_at_the_end_once),
		cmocka_unit_test(moves_and_renews_an_entry_that_differs),
		cmocka_unit_test(removes_every_entry_and_nothing_else),
		cmocka_unit_test(refuses_what_is_no_list),
		cmocka_unit_test(leaves_a_list_of_another_version_alone),
		cmocka_unit_test(knows_the_names_that_runtimes_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
