#include "cli/cluster/checks.h"
#include "cli/cluster/json_patch.h"
#include "cli/cluster/learned.h"
#include "cli/cluster/test_objects.h"

static const struct inject_options webhook = {.sidecar_image = "registry/sidecar:7",
	.init_image = "registry/init:7",
	.version = "7.0.0",
	.trust_domain = "example.org",
	.own_namespace = "handfast-system",
	.control_address = "192.0.2.1:15012",
	.bootstrap_root_sha256 = "00000000000000000000000000000000000000000000000000000000000000ab",
	.audience = "mesh.example.org"};

/* The trial pod as a webhook with these options returns it. */
static json_t *injected(const struct inject_options *options)
{
	const struct inject_namespace ns = {.name = "shop"};
	struct inject_result result;
	json_t *pod = checks_trial_pod();
	inject_pod(pod, &ns, options, &result);
	assert_int_equal(result.verdict, INJECT_CHANGE);
	assert_int_equal(json_patch_apply(pod, result.patch), ERR_NONE);
	inject_result_done(&result);
	return pod;
}

static void what_the_webhook_gives_is_learned(_unused_ void **state)
{
	struct inject_options learned = {0};
	struct why why;
	json_t *pod = injected(&webhook);
	assert_int_equal(learned_read(pod, &learned, &why), ERR_NONE);
	assert_string_equal(learned.sidecar_image, webhook.sidecar_image);
	assert_string_equal(learned.init_image, webhook.init_image);
	assert_string_equal(learned.version, webhook.version);
	assert_string_equal(learned.trust_domain, webhook.trust_domain);
	assert_string_equal(learned.control_address, webhook.control_address);
	assert_string_equal(learned.bootstrap_root_sha256, webhook.bootstrap_root_sha256);
	assert_string_equal(learned.audience, webhook.audience);
	assert_false(learned.has_cni || learned.keeps_source);
	learned.own_namespace = webhook.own_namespace;
	json_t *again = injected(&learned);
	assert_true(json_equal(again, pod));
	json_decref(again);
	json_decref(pod);
}

static void the_cni_plugin_is_learned_from_the_missing_init_container(_unused_ void **state)
{
	struct inject_options with_cni = webhook, learned = {0};
	struct why why;
	with_cni.has_cni = true;
	json_t *pod = injected(&with_cni);
	assert_int_equal(learned_read(pod, &learned, &why), ERR_NONE);
	assert_true(learned.has_cni);
	json_decref(pod);
}

static void the_mode_is_learned_from_the_sidecar(_unused_ void **state)
{
	struct inject_options with_tproxy = webhook, learned = {0};
	struct why why;
	with_tproxy.keeps_source = true;
	json_t *pod = injected(&with_tproxy);
	assert_int_equal(learned_read(pod, &learned, &why), ERR_NONE);
	assert_true(learned.keeps_source);
	json_decref(pod);
}

static void a_pod_without_a_sidecar_teaches_nothing(_unused_ void **state)
{
	struct inject_options learned = {0};
	struct why why = {0};
	json_t *pod = checks_trial_pod();
	assert_int_equal(learned_read(pod, &learned, &why), ERR_NOT_FOUND);
	assert_null(learned.sidecar_image);
	assert_true(why.fix[0] != '\0');
	json_decref(pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_webhook_gives_is_learned),
		cmocka_unit_test(the_cni_plugin_is_learned_from_the_missing_init_container),
		cmocka_unit_test(the_mode_is_learned_from_the_sidecar),
		cmocka_unit_test(a_pod_without_a_sidecar_teaches_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
