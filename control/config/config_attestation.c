/* The attestation section: roots of machine certificates, and entries. */
#include "base/core/mem.h"
#include "control/config/config_private.h"

enum { ENTRIES_MAX = 4096 };

static char *copy_of(const char *text)
{
	return text == NULL || text[0] == '\0' ? NULL : mem_strdup(text);
}

static void selectors_read(struct settings *settings, struct setting_node *map, struct workload_entry *entry)
{
	struct setting_node *list;
	size_t num = setting_list(settings, map, "selectors", &list);
	for (size_t i = 0; i < num; i++) {
		struct why why = {0};
		const char *text = setting_item_text(settings, list, i);
		if (workload_entry_add_selector(entry, span_of_str(text), &why) != ERR_NONE)
			setting_error_why(settings, map, "selectors", &why);
	}
}

static void entry_read(struct settings *settings, struct setting_node *map, const struct control_config *config,
	struct workload_entry *entry)
{
	struct why why = {0};
	entry->name = mem_strdup(setting_required_text(settings, map, "name", "a name for the entry"));
	bool has_id = config_id(settings, map, &entry->id);
	selectors_read(settings, map, entry);
	entry->ttl_s = (int64_t)(setting_duration_ms(settings, map, "ttl") / 1000);
	if (has_id && entry->name[0] != '\0' && workload_entry_check(entry, &config->trust_domain, &why) != ERR_NONE)
		setting_error_why(settings, map, NULL, &why);
}

static void check_beside(struct settings *settings, struct setting_node *map, const struct control_config *config)
{
	const struct workload_entry *last = &config->workload_entries[config->num_workload_entries - 1];
	struct why why = {0};
	for (const struct workload_entry *other = config->workload_entries; other != last; other++) {
		if (strcmp(other->name, last->name) == 0)
			setting_error(settings, map, "a name of its own for each entry", "give it another",
				"two entries are named '%s'", last->name);
		else if (workload_entry_check_beside(last, other, &why) != ERR_NONE)
			setting_error_why(settings, map, NULL, &why);
	}
}

static void entries_read(struct settings *settings, struct setting_node *section, struct control_config *config)
{
	struct setting_node *list;
	size_t num = setting_list(settings, section, "entries", &list);
	if (num > ENTRIES_MAX) {
		setting_error(settings, section, "at most 4096 entries", "use fewer selectors per entry",
			"there are %zu", num);
		return;
	}
	config->workload_entries = num == 0 ? NULL : mem_calloc(num, sizeof(*config->workload_entries));
	for (size_t i = 0; i < num; i++) {
		struct setting_node *map = setting_item_map(settings, list, i);
		if (map == NULL)
			continue;
		entry_read(settings, map, config, &config->workload_entries[config->num_workload_entries++]);
		check_beside(settings, map, config);
	}
}

void config_attestation_read(struct settings *settings, struct control_config *config)
{
	struct setting_node *map = setting_map(settings, settings_root(settings), "attestation");
	struct setting_node *x509 = setting_map(settings, map, "x509");
	config->x509_roots = copy_of(setting_text(settings, x509, "roots"));
	config->x509_crl = copy_of(setting_text(settings, x509, "crl"));
	if (config->x509_crl != NULL && config->x509_roots == NULL)
		setting_error(settings, x509, "attestation.x509.roots beside attestation.x509.crl",
			"set both, or neither", "crl is given and roots is not");
	entries_read(settings, map, config);
}

void config_attestation_done(struct control_config *config)
{
	for (size_t i = 0; i < config->num_workload_entries; i++)
		workload_entry_done(&config->workload_entries[i]);
	mem_free(config->workload_entries);
	mem_free(config->x509_roots);
	mem_free(config->x509_crl);
}
