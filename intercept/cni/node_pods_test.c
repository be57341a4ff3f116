#include "base/core/mem.h"
#include "intercept/cni/node_pods.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
/* cmocka requires the three headers above */
#include <cmocka.h>

#define INJECTED "\"handfast.dev/injected\":\"true\""
#define SIDECAR  "\"initContainers\":[{\"name\":\"handfast\"}],\"containers\":[{\"name\":\"app\"}]"

static void put(struct node_pods *pods, const char *name, const char *uid, const char *annotations, const char *spec)
{
	char text[4096];
	assert_true(
		snprintf(text, sizeof text,
			"{\"metadata\":{\"namespace\":\"shop\",\"name\":\"%s\",\"uid\":\"%s\",\"annotations\":{%s}},"
			"\"spec\":{%s}}",
			name, uid, annotations, spec) < (int)sizeof text);
	json_t *object = json_loads(text, 0, NULL);
	assert_int_equal(node_pods_put(pods, object), ERR_NONE);
	json_decref(object);
}

static enum node_pods_verdict judge(
	const struct node_pods *pods, const char *name, const char *uid, struct node_pod_rules *rules)
{
	struct cni_pod asked = {.namespace_ = "shop"};
	struct node_pod_rules unread;
	snprintf(asked.name, sizeof asked.name, "%s", name);
	snprintf(asked.uid, sizeof asked.uid, "%s", uid);
	return node_pods_judge(pods, &asked, rules == NULL ? &unread : rules, NULL);
}

static void an_injected_pod_needs_rules_with_its_exclusions(void **state)
{
	_cleanup_(node_pods_freep) struct node_pods *pods = node_pods_new();
	struct node_pod_rules rules;
	(void)state;
	put(pods, "web", "u1",
		INJECTED
		",\"handfast.dev/exclude-inbound-ports\":\"8081\",\"handfast.dev/exclude-outbound-ports\":\"1, 2\","
		"\"handfast.dev/exclude-outbound-networks\":\"192.0.2.0/24\"",
		SIDECAR);
	assert_int_equal(judge(pods, "web", "u1", &rules), NODE_POD_NEEDS_RULES);
	assert_string_equal(rules.exclude_inbound_ports, "8081");
	assert_string_equal(rules.exclude_outbound_ports, "1,2");
	assert_string_equal(rules.exclude_outbound_networks, "192.0.2.0/24");
	assert_false(rules.keeps_source);
	assert_int_equal(judge(pods, "web", "", NULL), NODE_POD_NEEDS_RULES);
}

/* Of the sidecar, not of an annotation: that one can be changed while the pod runs, or be the namespace's. */
static void the_mode_is_that_of_the_sidecars_settings(void **state)
{
	static const struct {
		const char *env;
		bool expected;
	} rows[] = {
		{"{\"name\":\"HANDFAST_SIDECAR_INTERCEPTION\",\"value\":\"tproxy\"}", true},
		{"{\"name\":\"A\"},{\"name\":\"HANDFAST_SIDECAR_INTERCEPTION\",\"value\":\"redirect\"}", false},
		{"{\"name\":\"HANDFAST_SIDECAR_INTERCEPTION\"}", false},
		{"{\"name\":\"OTHER\",\"value\":\"tproxy\"}", false},
		{"", false},
	};
	_cleanup_(node_pods_freep) struct node_pods *pods = node_pods_new();
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct node_pod_rules rules;
		char spec[512];
		snprintf(spec, sizeof spec, "\"initContainers\":[{\"name\":\"handfast\",\"env\":[%s]}]", rows[i].env);
		put(pods, "web", "u", INJECTED ",\"handfast.dev/interception\":\"tproxy\"", spec);
		assert_int_equal(judge(pods, "web", "u", &rules), NODE_POD_NEEDS_RULES);
		assert_true(rules.keeps_source == rows[i].expected);
	}
}

static void other_pods_pass(void **state)
{
	_cleanup_(node_pods_freep) struct node_pods *pods = node_pods_new();
	(void)state;
	put(pods, "plain", "u", "", "\"containers\":[{\"name\":\"app\"}]");
	put(pods, "own", "u", "", SIDECAR);
	put(pods, "lost", "u", INJECTED, "\"containers\":[{\"name\":\"app\"}]");
	put(pods, "host", "u", INJECTED, "\"hostNetwork\":true," SIDECAR);
	put(pods, "init", "u", INJECTED,
		"\"initContainers\":[{\"name\":\"handfast-init\"},{\"name\":\"handfast\"}],\"containers\":[]");
	assert_int_equal(judge(pods, "plain", "u", NULL), NODE_POD_PASSES);
	assert_int_equal(judge(pods, "own", "u", NULL), NODE_POD_PASSES);
	assert_int_equal(judge(pods, "lost", "u", NULL), NODE_POD_PASSES);
	assert_int_equal(judge(pods, "host", "u", NULL), NODE_POD_PASSES);
	assert_int_equal(judge(pods, "init", "u", NULL), NODE_POD_PASSES);
}

/* A StatefulSet's next pod has the name of the former one. */
static void another_pod_of_the_name_is_not_known(void **state)
{
	_cleanup_(node_pods_freep) struct node_pods *pods = node_pods_new();
	(void)state;
	put(pods, "web", "old", "", SIDECAR);
	assert_int_equal(judge(pods, "web", "new", NULL), NODE_POD_UNKNOWN);
	put(pods, "web", "new", INJECTED, SIDECAR);
	assert_int_equal(judge(pods, "web", "new", NULL), NODE_POD_NEEDS_RULES);
	assert_int_equal(judge(pods, "web", "old", NULL), NODE_POD_UNKNOWN);
	assert_int_equal(judge(pods, "other", "new", NULL), NODE_POD_UNKNOWN);
}

/* Kubelet runs the file, whose uid it gives the runtime; what the webhook did to the mirror has no effect. */
static void a_static_pod_passes_whatever_its_uid(void **state)
{
	_cleanup_(node_pods_freep) struct node_pods *pods = node_pods_new();
	(void)state;
	put(pods, "static", "mirror", INJECTED ",\"kubernetes.io/config.mirror\":\"file\"", SIDECAR);
	assert_int_equal(judge(pods, "static", "file", NULL), NODE_POD_PASSES);
}

static void what_a_new_state_lacks_is_gone(void **state)
{
	_cleanup_(node_pods_freep) struct node_pods *pods = node_pods_new();
	(void)state;
	put(pods, "a", "u", "", "");
	put(pods, "b", "u", "", "");
	node_pods_begin(pods);
	put(pods, "b", "u", "", "");
	assert_int_equal(judge(pods, "a", "u", NULL), NODE_POD_PASSES);
	node_pods_synced(pods);
	assert_int_equal(judge(pods, "a", "u", NULL), NODE_POD_UNKNOWN);
	assert_int_equal(judge(pods, "b", "u", NULL), NODE_POD_PASSES);
}

static void a_deletion_of_the_former_pod_leaves_the_next(void **state)
{
	_cleanup_(node_pods_freep) struct node_pods *pods = node_pods_new();
	json_t *former = json_pack("{s:{s:s, s:s, s:s}}", "metadata", "namespace", "shop", "name", "web", "uid", "old");
	json_t *next = json_pack("{s:{s:s, s:s, s:s}}", "metadata", "namespace", "shop", "name", "web", "uid", "new");
	(void)state;
	put(pods, "web", "new", "", "");
	node_pods_deleted(pods, former);
	assert_int_equal(judge(pods, "web", "new", NULL), NODE_POD_PASSES);
	node_pods_deleted(pods, next);
	assert_int_equal(judge(pods, "web", "new", NULL), NODE_POD_UNKNOWN);
	json_decref(former);
	json_decref(next);
}

static void a_value_that_does_not_fit_is_refused_not_cut(void **state)
{
	_cleanup_(node_pods_freep) struct node_pods *pods = node_pods_new();
	const struct cni_pod asked = {.namespace_ = "shop", .name = "web"};
	char annotations[NODE_POD_VALUE_MAX + 100];
	struct node_pod_rules rules;
	struct why why = {0};
	(void)state;
	snprintf(annotations, sizeof annotations, INJECTED ",\"handfast.dev/exclude-outbound-ports\":\"%0*d\"",
		NODE_POD_VALUE_MAX, 1);
	put(pods, "web", "u", annotations, SIDECAR);
	assert_int_equal(node_pods_judge(pods, &asked, &rules, &why), NODE_POD_REFUSED);
	assert_non_null(strstr(why.got, "handfast.dev/exclude-outbound-ports"));
}

static void the_table_is_bounded(void **state)
{
	_cleanup_(node_pods_freep) struct node_pods *pods = node_pods_new();
	char name[32];
	(void)state;
	for (unsigned i = 0; i < NODE_PODS_MAX; i++) {
		snprintf(name, sizeof name, "pod-%u", i);
		put(pods, name, "u", "", "");
	}
	put(pods, "pod-0", "u2", "", "");
	assert_false(node_pods_is_over(pods));
	json_t *more = json_pack("{s:{s:s, s:s, s:s}}", "metadata", "namespace", "shop", "name", "more", "uid", "u");
	assert_int_equal(node_pods_put(pods, more), ERR_LIMIT);
	json_decref(more);
	json_t *nameless = json_pack("{s:{s:s}}", "metadata", "namespace", "shop");
	assert_int_equal(node_pods_put(pods, nameless), ERR_MALFORMED);
	json_decref(nameless);
	assert_true(node_pods_is_over(pods));
	node_pods_begin(pods);
	assert_false(node_pods_is_over(pods));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_injected_pod_needs_rules_with_its_exclusions),
		cmocka_unit_test(the_mode_is_that_of_the_sidecars_settings),
		cmocka_unit_test(other_pods_pass),
		cmocka_unit_test(another_pod_of_the_name_is_not_known),
		cmocka_unit_test(a_static_pod_passes_whatever_its_uid),
		cmocka_unit_test(what_a_new_state_lacks_is_gone),
		cmocka_unit_test(a_deletion_of_the_former_pod_leaves_the_next),
		cmocka_unit_test(a_value_that_does_not_fit_is_refused_not_cut),
		cmocka_unit_test(the_table_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
