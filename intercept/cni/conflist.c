#include "intercept/cni/conflist.h"
#include "base/core/check.h"
#include "intercept/cni/cni_json.h"

bool conflist_is_read(const char *name)
{
	static const char *const ends[] = {".conf", ".conflist", ".json"};
	size_t len = strlen(name);
	for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
		size_t end_len = strlen(ends[i]);
		if (len > end_len && strcmp(name + len - end_len, ends[i]) == 0)
			return true;
	}
	return false;
}

static json_t *make_entry(const struct conflist_entry *entry)
{
	json_t *made = json_pack("{s:s, s:s}", "type", CONFLIST_TYPE, "socket", entry->socket);
	json_t *excluded = json_array();
	CHECK(made != NULL);
	for (size_t i = 0; i < entry->num_exclude_namespaces; i++)
		CHECK(json_array_append_new(excluded, json_string(entry->exclude_namespaces[i])) == 0);
	CHECK(json_object_set_new(made, "exclude_namespaces", excluded) == 0);
	return made;
}

static bool is_ours(const json_t *plugin)
{
	const char *type = json_string_value(json_object_get(plugin, "type"));
	return type != NULL && strcmp(type, CONFLIST_TYPE) == 0;
}

/* The list's plugins less ours, and then ours. */
static json_t *wanted(const json_t *plugins, const struct conflist_entry *entry)
{
	json_t *list = json_array(), *one;
	size_t i;
	json_array_foreach(plugins, i, one)
	{
		if (!is_ours(one))
			CHECK(json_array_append(list, one) == 0);
	}
	if (entry != NULL)
		CHECK(json_array_append_new(list, make_entry(entry)) == 0);
	return list;
}

/* Those that the plugin takes: in a list of another one every pod of the node would fail. */
static bool is_version(const char *text)
{
	static const char *const versions[] = {CNI_VERSIONS};
	for (size_t i = 0; text != NULL && i < sizeof versions / sizeof versions[0]; i++)
		if (strcmp(text, versions[i]) == 0)
			return true;
	return false;
}

enum err conflist_edit(struct span text, const struct conflist_entry *entry, struct buf *out, struct why *why)
{
	json_error_t wrong;
	json_t *whole = json_loadb((const char *)text.ptr, text.len, JSON_REJECT_DUPLICATES, &wrong);
	if (!json_is_object(whole)) {
		json_decref(whole);
		return why_set(why, ERR_MALFORMED, "a network configuration list, a JSON object",
			"correct it, or the network plugin that writes it", "the file is not a JSON object: %.120s",
			whole == NULL ? wrong.text : "another type");
	}
	json_t *plugins = json_object_get(whole, "plugins");
	if (!json_is_array(plugins) || json_array_size(plugins) == 0) {
		json_decref(whole);
		return why_set(why, ERR_UNSUPPORTED, "a list with `plugins`, to which a plugin can be chained",
			"have the network plugin write a .conflist", "the configuration is that of a single plugin");
	}
	if (entry != NULL && !is_version(json_string_value(json_object_get(whole, "cniVersion")))) {
		json_decref(whole);
		return why_set(why, ERR_UNSUPPORTED, "cniVersion 0.3.0, 0.3.1, 0.4.0, 1.0.0 or 1.1.0",
			"have the network plugin write one of these versions", "the list has another cniVersion");
	}
	json_t *list = wanted(plugins, entry);
	enum err err = ERR_NONE;
	if (!json_equal(list, plugins)) {
		CHECK(json_object_set(whole, "plugins", list) == 0);
		err = cni_json_put_indented(whole, out);
	}
	json_decref(list);
	json_decref(whole);
	return err == ERR_NONE ? ERR_NONE
			       : why_set(why, err, "a file of at most 256 KiB", "remove what is not needed",
					 "the network configuration is too large");
}
