/* identity.ca: who signs the mesh's intermediates. */
#include "base/core/mem.h"
#include "control/config/config_private.h"

enum { WORDS_MAX = 32 };

static char *take_path(struct settings *settings, struct setting_node *map, const char *key, bool is_used)
{
	const char *text = setting_text(settings, map, key);
	if (is_used && (text == NULL || text[0] != '/'))
		setting_error(settings, map, "an absolute path with this identity.ca.source", "set it",
			"identity.ca.%s is %s%s", key, text == NULL ? "missing" : "the relative path ",
			text == NULL ? "" : text);
	if (!is_used && text != NULL)
		setting_error(settings, map, "an identity.ca.source that uses it", "set that, or remove this",
			"identity.ca.%s is given without it", key);
	return text == NULL ? NULL : mem_strdup(text);
}

static void words_read(struct settings *settings, struct setting_node *map, struct config_ca *ca)
{
	struct setting_node *list = NULL;
	size_t num = setting_list(settings, map, "command", &list);
	bool is_used = ca->source == CA_SOURCE_COMMAND;
	if (num > WORDS_MAX || is_used != (num > 0)) {
		setting_error(settings, map,
			"identity.ca.command with 1 to 32 words, with identity.ca.source command alone",
			"set both, or neither", "identity.ca.command has %zu words", num);
		return;
	}
	ca->command = mem_zalloc((num + 1) * sizeof *ca->command);
	for (size_t i = 0; i < num; i++)
		ca->command[ca->num_words++] = mem_strdup(setting_item_text(settings, list, i));
	if (num > 0 && ca->command[0][0] != '/')
		setting_error(settings, list, "the absolute path of a program, then its words; no shell reads them",
			"begin identity.ca.command with a slash", "it begins with '%s'", ca->command[0]);
}

static char *take_label(struct settings *settings, struct setting_node *map, const char *key, bool is_used)
{
	const char *text = setting_text(settings, map, key);
	if (is_used != (text != NULL))
		setting_error(settings, map, "identity.ca.pkcs11.token and key with identity.ca.source pkcs11 alone",
			"set the labels of the token and of its private key, or neither", "%s is %s", key,
			text == NULL ? "missing" : "given without it");
	return text == NULL ? NULL : mem_strdup(text);
}

static void pkcs11_read(struct settings *settings, struct setting_node *ca_map, struct config_ca *ca)
{
	struct setting_node *map = setting_map(settings, ca_map, "pkcs11");
	bool is_used = ca->source == CA_SOURCE_PKCS11;
	ca->pkcs11.module = take_path(settings, map, "module", is_used);
	ca->pkcs11.token = take_label(settings, map, "token", is_used);
	ca->pkcs11.key = take_label(settings, map, "key", is_used);
	ca->pkcs11.pin_file = take_path(settings, map, "pin_file", is_used);
	ca->pkcs11.program = mem_strdup(setting_text(settings, map, "program"));
}

void config_ca_read(struct settings *settings, struct setting_node *identity, struct control_config *config)
{
	struct setting_node *map = setting_map(settings, identity, "ca");
	struct config_ca *ca = &config->ca;
	ca->source = (enum ca_source_kind)setting_keyword(settings, map, "source");
	bool has_key = ca->source == CA_SOURCE_FILES, has_files = has_key || ca->source == CA_SOURCE_PKCS11;
	ca->certificate = take_path(settings, map, "certificate", has_files);
	ca->key = take_path(settings, map, "key", has_key);
	ca->root = take_path(settings, map, "root", has_files);
	pkcs11_read(settings, map, ca);
	ca->timeout_ms = setting_duration_ms(settings, map, "command_timeout");
	words_read(settings, map, ca);
}

void config_ca_done(struct control_config *config)
{
	struct config_ca *ca = &config->ca;
	for (size_t i = 0; i < ca->num_words; i++)
		mem_free(ca->command[i]);
	mem_free(ca->command);
	mem_free(ca->certificate);
	mem_free(ca->key);
	mem_free(ca->root);
	mem_free(ca->pkcs11.module);
	mem_free(ca->pkcs11.token);
	mem_free(ca->pkcs11.key);
	mem_free(ca->pkcs11.pin_file);
	mem_free(ca->pkcs11.program);
}
