/* /config: the settings in force, each with where it came from. Secrets are files: only their names stand here. */
#include "base/core/buf.h"
#include "base/core/mem.h"
#include "sidecar/report/pages.h"
#include "sidecar/sidecar_private.h"
#include <stdio.h>

static const char *mode_text(enum inbound_mode mode)
{
	static const char *const names[] = {
		[INBOUND_OFF] = "off", [INBOUND_PERMISSIVE] = "permissive", [INBOUND_STRICT] = "strict"};
	return names[mode];
}

static json_t *policy_json(const struct policy *policy)
{
	if (policy == NULL)
		return json_null();
	json_t *ports = json_object();
	for (size_t i = 0; i < policy->num_ports; i++) {
		char port[8];
		(void)snprintf(port, sizeof(port), "%u", policy->ports[i].port);
		json_object_set_new(ports, port, json_string(mode_text(policy->ports[i].mode)));
	}
	return json_pack("{s:I, s:s, s:o, s:I}", "generation", (json_int_t)policy->generation, "default_mode",
		mode_text(policy->default_mode), "ports", ports, "num_rules", (json_int_t)policy->num_rules);
}

static struct page_setting setting_of(const struct setting_row *row)
{
	return (struct page_setting){.key = row->key,
		.value = row->value,
		.from = setting_from_text(row->from),
		.origin = row->origin,
		.waits = row->waits,
		.next = row->next};
}

/* What the settings leave open is answered by the machine, and what they answer is tightened by the control plane. */
static void resolve(const struct sidecar *sidecar, struct page_setting *setting, char text[32])
{
	bool is_default = strcmp(setting->from, "default") == 0;
	if (is_default && strcmp(setting->key, "workers") == 0) {
		(void)snprintf(text, 32, "%u", sidecar->num_workers);
		setting->value = text;
		setting->origin = "the number of processors";
	} else if (sidecar_limit_in_force(sidecar, setting->key) != 0) {
		(void)snprintf(text, 32, "%zu", sidecar_limit_in_force(sidecar, setting->key));
		setting->value = text;
		if (is_default)
			setting->origin = "the limit of descriptors (RLIMIT_NOFILE)";
	} else if (is_default && strncmp(setting->key, "limits.", 7) == 0 &&
		   strcmp(setting->value, SETTING_AUTOMATIC) == 0) {
		setting->origin = "limits.max_connections and the limit of descriptors";
	} else if (strcmp(setting->key, "inbound.mode") == 0 && sidecar->policy != NULL &&
		   sidecar->policy->default_mode != sidecar->config->inbound_mode) {
		setting->value = mode_text(sidecar->policy->default_mode);
		setting->from = "control plane";
		setting->origin = sidecar->config->control_address;
	}
}

static json_t *settings_json(const struct sidecar *sidecar)
{
	const struct settings_record *record = sidecar->in_force;
	json_t *list = json_array();
	for (size_t i = 0; i < record->num; i++) {
		char text[32];
		struct page_setting setting = setting_of(&record->rows[i]);
		resolve(sidecar, &setting, text);
		json_array_append_new(list, page_setting(&setting));
	}
	return list;
}

json_t *sidecar_config_page(const struct sidecar *sidecar)
{
	json_t *root = json_object();
	json_object_set_new(root, "release", page_text(sidecar->options.release));
	json_object_set_new(root, "settings", settings_json(sidecar));
	json_object_set_new(root, "inbound_minimum", policy_json(sidecar->minimum));
	json_object_set_new(root, "policy", policy_json(sidecar->policy));
	json_object_set_new(root, "subscriptions",
		json_integer((json_int_t)discovery_client_num_subscriptions(sidecar->discovery)));
	return root;
}
