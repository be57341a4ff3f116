#include "cli/policy_file.h"
#include "base/core/mem.h"
#include "base/settings/settings.h"
#include "cli/cluster/document_file.h"
#include "cli/cluster/documents.h"
#include "control/kube/policy_advice.h"
#include "policy/policy_message.h"
#include <stdio.h>
#include <string.h>

#define POLICY_MAX   (16u * 1024 * 1024)
#define GROUP_PREFIX "handfast.dev/"

struct policy_file {
	struct control_config *config; /* of settings; NULL: objects */
	struct control_config empty;   /* of objects: the trust domain alone */
	struct policy_set set;         /* of objects */
};

/* --- settings --- */

static enum err read_settings(struct policy_file *file, const char *path, struct span text, struct why *why)
{
	_cleanup_(settings_freep) struct settings *settings = settings_new(&control_settings);
	settings_read_text(settings, path, text);
	if (control_config_read(settings, &file->config) == ERR_NONE)
		return ERR_NONE;
	const char *errors = settings_errors(settings);
	char first[sizeof *why];
	snprintf(first, sizeof first, "%.*s", (int)strcspn(errors, "\n"), errors);
	return why_parse(first, ERR_CONFIG, why)
		       ? ERR_CONFIG /* a line of the settings states what is expected, and the fix */
		       : why_set(why, ERR_CONFIG, "settings of a control plane, or objects with apiVersion and kind",
				 "correct the file", "%s", first);
}

/* --- objects --- */

static void on_gone(void *arg, struct policy_entry *entry)
{
	(void)arg;
	(void)entry;
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text == NULL ? "" : text;
}

static bool is_policy(const json_t *object)
{
	return strcmp(text_of(object, "kind"), "Policy") == 0 &&
	       strncmp(text_of(object, "apiVersion"), GROUP_PREFIX, strlen(GROUP_PREFIX)) == 0;
}

/* What the API server adds to an object that is new. */
static void complete(const struct command_line *line, json_t *object)
{
	const char *given = command_line_value(line, "namespace");
	json_t *meta = json_object_get(object, "metadata");
	if (json_object_get(meta, "namespace") == NULL)
		json_object_set_new(meta, "namespace", json_string(given == NULL ? "default" : given));
	if (json_object_get(meta, "uid") == NULL)
		json_object_set_new(meta, "uid", json_string(text_of(meta, "name")));
	if (json_object_get(meta, "creationTimestamp") == NULL)
		json_object_set_new(meta, "creationTimestamp", json_string("9999-01-01T00:00:00Z"));
}

static enum err put(struct policy_file *file, const struct command_line *line, json_t *object, struct why *why)
{
	complete(line, object);
	RETURN_IF_ERR(policy_set_put(&file->set, object, why));
	LIST_EACH(&file->set.entries, struct policy_entry, entry, of_set) {
		if (entry->refusal.err == ERR_NONE)
			continue;
		*why = entry->refusal;
		return why->err;
	}
	return ERR_NONE;
}

/* Also those of a List, as `kubectl get -o yaml` prints several. */
static enum err put_all(
	struct policy_file *file, const struct command_line *line, const json_t *objects, struct why *why)
{
	for (size_t i = 0; i < json_array_size(objects); i++) {
		json_t *object = json_array_get(objects, i);
		const json_t *items = json_object_get(object, "items");
		if (is_policy(object))
			RETURN_IF_ERR(put(file, line, object, why));
		for (size_t j = 0; j < json_array_size(items); j++)
			if (is_policy(json_array_get(items, j)))
				RETURN_IF_ERR(put(file, line, json_array_get(items, j), why));
	}
	return file->set.num > 0 ? ERR_NONE
				 : why_set(why, ERR_NOT_FOUND, "an object of the kind Policy of handfast.dev",
					   "give a file that has one", "the file has objects, and no such one");
}

/* --- both --- */

enum err policy_file_open(const struct command_line *line, const char *path, const struct trust_domain *trust_domain,
	struct policy_file **out, struct why *why)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT(DOCUMENTS_MAX);
	_cleanup_(json_decrefp) json_t *documents = NULL;
	RETURN_IF_ERR(document_file_read(path, &text, why));
	RETURN_IF_ERR(documents_read(buf_span(&text), path, &documents, why));
	_cleanup_(policy_file_closep) struct policy_file *file = mem_new(struct policy_file);
	file->empty = (struct control_config){.trust_domain = *trust_domain, .default_mode = PORT_MODE_PERMISSIVE};
	policy_set_init(&file->set, &file->empty.trust_domain, on_gone, NULL);
	if (json_object_get(json_array_get(documents, 0), "apiVersion") != NULL)
		RETURN_IF_ERR(put_all(file, line, documents, why));
	else
		RETURN_IF_ERR(read_settings(file, path, buf_span(&text), why));
	*out = TAKE_PTR(file);
	return ERR_NONE;
}

void policy_file_close(struct policy_file *file)
{
	if (file == NULL)
		return;
	policy_set_done(&file->set);
	control_config_freep(&file->config);
	mem_free(file);
}

enum err policy_file_policy(
	const struct policy_file *file, const struct spiffe_id *id, struct policy **out, struct why *why)
{
	_cleanup_(buf_done) struct buf message = BUF_INIT(POLICY_MAX);
	const struct control_config *config = file->config != NULL ? file->config : &file->empty;
	struct policy_found found = {0};
	if (file->config == NULL)
		policy_set_find((void *)(uintptr_t)&file->set, id, &found);
	RETURN_IF_ERR(encode_policy(&(struct mesh_state){config, &found, id, 0}, &message));
	return policy_message_parse(buf_span(&message), &config->trust_domain, out, why);
}

void policy_file_review(const struct policy_file *file, policy_warning_fn *each, void *arg)
{
	if (file->config != NULL) {
		policy_review_settings(file->config, each, arg);
		return;
	}
	LIST_EACH(&file->set.entries, struct policy_entry, entry, of_set) {
		policy_advice_each(entry, &file->empty, each, arg);
	}
}
