#include "base/kube/kube_config.h"
#include "base/kube/test_folder.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
/* cmocka requires <setjmp.h> and <stdarg.h> */
#include <cmocka.h>

static int tear_down(void **state)
{
	unsetenv("KUBERNETES_SERVICE_HOST");
	unsetenv("KUBERNETES_SERVICE_PORT");
	return test_folder_tear_down(state);
}

static void is_text(const struct buf *buf, const char *text)
{
	assert_true(span_eq(buf_span(buf), span_of_str(text)));
}

static void reads_what_a_pod_has(void **state)
{
	const struct test_folder *folder = *state;
	_cleanup_(kube_config_done) struct kube_config config = {0};
	test_folder_put(folder, "ca.crt", "roots", 0600);
	test_folder_put(folder, "namespace", "handfast-system\n", 0600);
	setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1", 1);
	setenv("KUBERNETES_SERVICE_PORT", "443", 1);
	assert_int_equal(kube_config_in_cluster(folder->path, &config, NULL), ERR_NONE);
	assert_string_equal(config.host, "10.96.0.1");
	assert_int_equal(config.port, 443);
	assert_string_equal(config.namespace_, "handfast-system");
	is_text(&config.ca_pem, "roots");
	assert_non_null(strstr(config.token_file, "/token"));
}

static void names_what_a_pod_lacks(void **state)
{
	const struct test_folder *folder = *state;
	_cleanup_(kube_config_done) struct kube_config config = {0};
	struct why why = {0};
	assert_int_equal(kube_config_in_cluster(folder->path, &config, &why), ERR_NOT_FOUND);
	assert_non_null(strstr(why.got, "KUBERNETES_SERVICE_HOST"));
	setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1", 1);
	assert_int_equal(kube_config_in_cluster(folder->path, &config, &why), ERR_MALFORMED);
	setenv("KUBERNETES_SERVICE_PORT", "443", 1);
	assert_int_equal(kube_config_in_cluster(folder->path, &config, &why), ERR_NOT_FOUND);
	assert_non_null(strstr(why.got, "ca.crt"));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, test_folder_set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(reads_what_a_pod_has),
		CASE(names_what_a_pod_lacks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
