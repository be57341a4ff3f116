/* From YAML to the tree, by libyaml's events. Aliases and tags are not spoken: a settings file needs neither, and
 * aliases let a small file become a large tree. */
#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/settings/setting_node.h"
#include <stdio.h>
#include <yaml.h>

struct reader {
	struct settings *settings;
	const char *name;
	struct setting_node *at; /* the map or list being filled; NULL: before the root */
	char *key;               /* the key that waits for its value */
	unsigned depth, num;
	bool has_document, has_root;
};

static const char *origin_of(const struct reader *reader, size_t line, char out[256])
{
	snprintf(out, 256, "%.200s:%zu", reader->name, line + 1);
	return out;
}

static bool refuse(struct reader *reader, size_t line, const char *expected, const char *fix, const char *got)
{
	char origin[256];
	struct setting_node place = {.origin = (char *)(uintptr_t)origin_of(reader, line, origin)};
	setting_error(reader->settings, &place, expected, fix, "%s", got);
	reader->settings->is_unread = true;
	return false;
}

/* A node for the value that begins here; NULL with an error. */
static struct setting_node *value_begin(struct reader *reader, enum setting_kind kind, size_t line)
{
	char origin[256];
	origin_of(reader, line, origin);
	if (++reader->num > SETTINGS_NODES_MAX || reader->depth >= SETTINGS_DEPTH_MAX) {
		(void)refuse(reader, line, "a file of at most 20000 values, 16 deep", "split or flatten it",
			"the file is larger or deeper");
		return NULL;
	}
	if (reader->at == NULL) {
		if (kind != SETTING_MAP) {
			(void)refuse(reader, line, "keys and values at the top", "write 'key: value' lines",
				"the file begins otherwise");
			return NULL;
		}
		reader->has_root = true;
		return reader->settings->root;
	}
	if (reader->at->kind == SETTING_MAP && setting_node_find(reader->at, reader->key) != NULL) {
		char got[128];
		snprintf(got, sizeof got, "'%.100s' is given twice", reader->key);
		(void)refuse(reader, line, "each key once", "remove one of them", got);
		return NULL;
	}
	struct setting_node *node =
		setting_node_add(reader->at, kind, reader->at->kind == SETTING_MAP ? reader->key : NULL, origin);
	mem_free(TAKE_PTR(reader->key));
	return node;
}

static bool container_begin(struct reader *reader, enum setting_kind kind, size_t line)
{
	if (reader->at != NULL && reader->at->kind == SETTING_MAP && reader->key == NULL)
		return refuse(reader, line, "a plain key", "write 'key: value'", "the key is a map or a list");
	struct setting_node *node = value_begin(reader, kind, line);
	if (node == NULL)
		return false;
	reader->at = node;
	reader->depth++;
	return true;
}

static bool scalar(struct reader *reader, const yaml_event_t *event)
{
	size_t line = event->start_mark.line;
	const char *text = (const char *)event->data.scalar.value;
	if (strlen(text) != event->data.scalar.length)
		return refuse(reader, line, "text", "remove the byte", "it has a NUL byte");
	if (reader->at != NULL && reader->at->kind == SETTING_MAP && reader->key == NULL) {
		reader->key = mem_strdup(text);
		return true;
	}
	if (reader->at == NULL && text[0] == '\0')
		return true; /* "---" and nothing behind it: reported at the end */
	struct setting_node *node = value_begin(reader, SETTING_SCALAR, line);
	if (node == NULL)
		return false;
	node->text = mem_strdup(text);
	return true;
}

static void container_end(struct reader *reader)
{
	CHECK(reader->at != NULL); /* libyaml ends only what has begun */
	reader->at = reader->at->parent;
	reader->depth--;
}

static bool take(struct reader *reader, const yaml_event_t *event)
{
	size_t line = event->start_mark.line;
	switch ((int)event->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (reader->has_document)
			return refuse(reader, line, "one document", "remove the '---' and what follows",
				"a second document begins");
		reader->has_document = true;
		return true;
	case YAML_ALIAS_EVENT:
		return refuse(reader, line, "values written out", "replace the alias by its value", "it is an alias");
	case YAML_SCALAR_EVENT:
		return scalar(reader, event);
	case YAML_MAPPING_START_EVENT:
		return container_begin(reader, SETTING_MAP, line);
	case YAML_SEQUENCE_START_EVENT:
		return container_begin(reader, SETTING_LIST, line);
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		container_end(reader);
		return true;
	default: /* stream begin and end, document end: nothing to keep */
		return true;
	}
}

/* One event; false when there is no more to read. */
static bool step(struct reader *reader, yaml_parser_t *parser)
{
	yaml_event_t event;
	if (yaml_parser_parse(parser, &event) == 0)
		return refuse(reader, parser->problem_mark.line, "valid YAML",
			"check the indentation and the quotes there",
			parser->problem != NULL ? parser->problem : "it is not YAML");
	bool is_end = event.type == YAML_STREAM_END_EVENT, more = !is_end && take(reader, &event);
	yaml_event_delete(&event);
	/* Cut short while it is written, or a volume that is not there yet: it would put every setting back to its
	 * default. */
	return is_end && !reader->has_root
		       ? refuse(reader, 0, "keys and values", "write 'key: value' lines, or '{}' to use only defaults",
				 "the file is empty or has only comments")
		       : more;
}

void settings_read_text(struct settings *settings, const char *name, struct span yaml)
{
	struct reader reader = {.settings = settings, .name = name};
	yaml_parser_t parser;
	if (yaml_parser_initialize(&parser) == 0) {
		(void)refuse(&reader, 0, "a YAML reader", "free some memory", "out of memory");
		return;
	}
	/* libyaml takes no NULL, which is where an empty file lies. */
	static const uint8_t nothing[1];
	yaml_parser_set_input_string(&parser, yaml.len == 0 ? nothing : yaml.ptr, yaml.len);
	while (step(&reader, &parser))
		;
	mem_free(reader.key);
	yaml_parser_delete(&parser);
}
