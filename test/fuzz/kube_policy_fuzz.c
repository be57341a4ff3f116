/* Whatever the cluster holds as a policy is refused, or becomes modes and rules that name subjects of its own
 * namespace. */
#include "base/core/check.h"
#include "control/kube/policy_object.h"
#include "test/fuzz/fuzz.h"
#include <string.h>

static void check_rule(const struct config_rule *rule)
{
	CHECK(strchr(rule->name, '/') != NULL && strlen(rule->name) <= 255);
	CHECK(!rule->unauthenticated || (!rule->deny && rule->num_sources == 0));
	for (size_t i = 0; i < rule->num_sources; i++)
		CHECK(rule->sources[i].text[0] != '\0');
	for (size_t i = 0; i < rule->num_ports; i++)
		CHECK(rule->ports[i] != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const struct trust_domain domain = {.name = "td"};
	_cleanup_(policy_object_done) struct policy_object policy = {0};
	struct why why = {0};
	json_t *object = json_loadb((const char *)bytes, len, JSON_REJECT_DUPLICATES, NULL);
	enum err err = policy_object_parse(object, &domain, &policy, &why);
	json_decref(object);
	CHECK(err == why.err);
	if (err != ERR_NONE)
		return 0;
	CHECK(strncmp(policy.workload.identity, "spiffe://td/ns/", 15) == 0 && policy.workload.prefix);
	CHECK(policy.num_accounts <= POLICY_ACCOUNTS_MAX && policy.workload.num_rules <= POLICY_ITEMS_MAX);
	for (size_t i = 0; i < policy.workload.num_rules; i++)
		check_rule(&policy.workload.rules[i]);
	return 0;
}
