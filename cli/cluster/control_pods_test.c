#include "cli/cluster/control_pods.h"
#include "cli/cluster/test_objects.h"

#define READY(name)                                                                                                    \
	"{'metadata': {'name': '" name "'}, 'status': {'conditions': [{'type': 'Ready', 'status': 'True'}]}}"
#define WAITS "{'metadata': {'name': 'b'}, 'status': {'conditions': [{'type': 'Ready', 'status': 'False'}]}}"
#define ENDS                                                                                                           \
	"{'metadata': {'name': 'c', 'deletionTimestamp': 't'}, 'status': {'conditions': [{'type': 'Ready', 'status': " \
	"'True'}]}}"

static enum err ready(const char *text, json_t **out, struct why *why)
{
	json_t *pods = test_object(text);
	enum err err = control_pods_ready(pods, "handfast-system", out, why);
	json_decref(pods);
	return err;
}

static void those_that_are_ready_and_stay_can_be_asked(void **state)
{
	json_t *pods = NULL;
	struct why why = {0};
	(void)state;
	assert_int_equal(ready("[" WAITS ", " READY("a") ", " ENDS ", " READY("d") ", {}]", &pods, &why), ERR_NONE);
	assert_int_equal(json_array_size(pods), 2);
	json_decref(pods);
}

static void without_a_pod_or_a_ready_one_the_error_names_what_to_do(void **state)
{
	json_t *pods = NULL;
	struct why why = {0};
	(void)state;
	assert_int_equal(ready("[]", &pods, &why), ERR_NOT_FOUND);
	assert_non_null(strstr(why.fix, "--control-namespace"));
	assert_int_equal(ready("[" WAITS ", " ENDS "]", &pods, &why), ERR_UNAVAILABLE);
	assert_non_null(strstr(why.got, "none of the 2 pods"));
	assert_non_null(strstr(why.fix, "kubectl -n handfast-system"));
	assert_null(pods);
}

static uint16_t port(const char *text)
{
	json_t *pod = test_object(text);
	uint16_t found = control_pods_port(pod);
	json_decref(pod);
	return found;
}

static void the_port_is_that_of_the_pod_or_the_default(void **state)
{
	(void)state;
	assert_int_equal(port("{'spec': {'containers': [{'ports': [{'name': 'streams', 'containerPort': 15012}]}, "
			      "{'ports': [{'name': 'operator', 'containerPort': 7000}]}]}}"),
		7000);
	assert_int_equal(
		port("{'spec': {'containers': [{'ports': [{'name': 'operator', 'containerPort': 70000}]}]}}"), 15016);
	assert_int_equal(port("{}"), 15016);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(those_that_are_ready_and_stay_can_be_asked),
		cmocka_unit_test(without_a_pod_or_a_ready_one_the_error_names_what_to_do),
		cmocka_unit_test(the_port_is_that_of_the_pod_or_the_default),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
