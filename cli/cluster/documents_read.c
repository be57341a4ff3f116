#include "base/core/check.h"
#include "cli/cluster/documents.h"
#include "cli/cluster/documents_json.h"
#include "cli/cluster/scalar.h"
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

/* An alias stands for all that it repeats. */
enum { NODES_MAX = DOCUMENTS_VALUES_MAX, DEPTH_MAX = DOCUMENTS_DEPTH_MAX };

struct reader {
	yaml_document_t document;
	const char *name;
	unsigned num_nodes, depth;
	struct why *detail;
	struct buf texts; /* size_t each, ascending: where plain scalars begin that a tag makes texts */
};

static enum err refuse(const struct reader *reader, const yaml_node_t *node, enum err err, const char *expected)
{
	return why_set(reader->detail, err, expected, "correct the file", "%s, line %zu: this is not understood",
		reader->name, node->start_mark.line + 1);
}

static enum err no_object(struct why *why, const char *name, size_t line)
{
	return why_set(why, ERR_MALFORMED, "documents that are objects, such as {kind: Pod}", "correct the file",
		"%s, line %zu: this document is not an object", name, line);
}

/* --- tags --- */

/* A node does not show whether its tag was written: each plain scalar has that of a text. */
static void note_text(struct reader *reader, const yaml_event_t *event)
{
	const char *tag = (const char *)event->data.scalar.tag;
	size_t at = event->start_mark.index;
	if (tag != NULL && (strcmp(tag, YAML_STR_TAG) == 0 || strcmp(tag, "!") == 0))
		CHECK(buf_append(&reader->texts, span_of(&at, sizeof at)) == ERR_NONE);
}

/* What is no YAML is left to who reads it after this. */
static void note_texts(struct reader *reader, struct span text)
{
	yaml_parser_t parser;
	bool is_more = memchr(text.ptr, '!', text.len) != NULL;
	CHECK(yaml_parser_initialize(&parser) != 0);
	yaml_parser_set_input_string(&parser, text.ptr, text.len);
	while (is_more) {
		yaml_event_t event;
		if (yaml_parser_parse(&parser, &event) == 0)
			break;
		is_more = event.type != YAML_STREAM_END_EVENT;
		if (event.type == YAML_SCALAR_EVENT)
			note_text(reader, &event);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
}

static int compare(const void *a, const void *b)
{
	size_t left = *(const size_t *)a, right = *(const size_t *)b;
	return left < right ? -1 : left > right;
}

static bool is_noted(const struct reader *reader, const yaml_node_t *node)
{
	struct span texts = buf_span(&reader->texts);
	size_t at = node->start_mark.index;
	return texts.len > 0 && bsearch(&at, texts.ptr, texts.len / sizeof at, sizeof at, compare) != NULL;
}

/* NULL: the value is of no such type, or the tag is none of JSON's. */
static json_t *convert_tagged(const char *tag, const char *text, size_t len)
{
	_cleanup_(json_decrefp) json_t *value = scalar_resolve(text, len);
	bool is_right = (strcmp(tag, YAML_NULL_TAG) == 0 && json_is_null(value)) ||
			(strcmp(tag, YAML_BOOL_TAG) == 0 && json_is_boolean(value)) ||
			(strcmp(tag, YAML_INT_TAG) == 0 && json_is_integer(value));
	if (strcmp(tag, YAML_FLOAT_TAG) == 0 && json_is_number(value))
		return json_real(json_number_value(value));
	return is_right ? TAKE_PTR(value) : NULL;
}

static enum err convert_scalar(struct reader *reader, const yaml_node_t *node, json_t **out)
{
	const char *text = (const char *)node->data.scalar.value, *tag = (const char *)node->tag;
	size_t len = node->data.scalar.length;
	bool is_plain = node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	if (strcmp(tag, YAML_STR_TAG) != 0) {
		*out = convert_tagged(tag, text, len);
		return *out != NULL ? ERR_NONE
				    : refuse(reader, node, ERR_UNSUPPORTED,
					      "no tag, or !!str, !!int, !!float, !!bool or !!null and such a value");
	}
	*out = is_plain && !is_noted(reader, node) ? scalar_resolve(text, len) : json_stringn(text, len);
	return *out != NULL ? ERR_NONE : refuse(reader, node, ERR_MALFORMED, "text in UTF-8");
}

static bool has_tag(const yaml_node_t *node, const char *tag)
{
	return strcmp((const char *)node->tag, tag) == 0;
}

/* --- values --- */

static enum err convert(struct reader *reader, int index, json_t **out);

static enum err convert_sequence(struct reader *reader, const yaml_node_t *node, json_t **out)
{
	_cleanup_(json_decrefp) json_t *array = json_array();
	if (!has_tag(node, YAML_SEQ_TAG))
		return refuse(reader, node, ERR_UNSUPPORTED, "a list without a tag of another type");
	for (yaml_node_item_t *at = node->data.sequence.items.start; at < node->data.sequence.items.top; at++) {
		json_t *item = NULL;
		RETURN_IF_ERR(convert(reader, *at, &item));
		CHECK(json_array_append_new(array, item) == 0);
	}
	*out = TAKE_PTR(array);
	return ERR_NONE;
}

static enum err convert_mapping(struct reader *reader, const yaml_node_t *node, json_t **out)
{
	_cleanup_(json_decrefp) json_t *object = json_object();
	if (!has_tag(node, YAML_MAP_TAG))
		return refuse(reader, node, ERR_UNSUPPORTED, "an object without a tag of another type");
	for (yaml_node_pair_t *at = node->data.mapping.pairs.start; at < node->data.mapping.pairs.top; at++) {
		const yaml_node_t *key = yaml_document_get_node(&reader->document, at->key);
		json_t *value = NULL;
		if (key->type != YAML_SCALAR_NODE || !has_tag(key, YAML_STR_TAG) ||
			strcmp((const char *)key->data.scalar.value, "<<") == 0)
			return refuse(reader, key, ERR_UNSUPPORTED, "keys that are texts, and no merge keys");
		RETURN_IF_ERR(convert(reader, at->value, &value));
		if (json_object_set_new(object, (const char *)key->data.scalar.value, value) != 0)
			return refuse(reader, key, ERR_MALFORMED, "keys in UTF-8");
	}
	*out = TAKE_PTR(object);
	return ERR_NONE;
}

static enum err convert(struct reader *reader, int index, json_t **out)
{
	const yaml_node_t *node = yaml_document_get_node(&reader->document, index);
	enum err err = ERR_NONE;
	if (++reader->num_nodes > NODES_MAX || ++reader->depth > DEPTH_MAX)
		return refuse(reader, node, ERR_TOO_LARGE, "documents of at most 200,000 values, 100 deep");
	if (node->type == YAML_SEQUENCE_NODE)
		err = convert_sequence(reader, node, out);
	else if (node->type == YAML_MAPPING_NODE)
		err = convert_mapping(reader, node, out);
	else
		err = convert_scalar(reader, node, out);
	reader->depth--;
	return err;
}

/* One document. *out_more: there was one. */
static enum err read_one(struct reader *reader, yaml_parser_t *parser, json_t *into, bool *out_more)
{
	json_t *document = NULL;
	if (yaml_parser_load(parser, &reader->document) == 0)
		return why_set(reader->detail, ERR_MALFORMED, "YAML or JSON", "correct the file", "%s, line %zu: %s",
			reader->name, parser->problem_mark.line + 1,
			parser->problem != NULL ? parser->problem : "it is not YAML");
	const yaml_node_t *root = yaml_document_get_root_node(&reader->document);
	*out_more = root != NULL;
	reader->num_nodes = reader->depth = 0;
	enum err err = *out_more ? convert(reader, 1, &document) : ERR_NONE;
	if (err == ERR_NONE && json_is_object(document))
		CHECK(json_array_append(into, document) == 0);
	else if (err == ERR_NONE && root != NULL && !json_is_null(document))
		err = no_object(reader->detail, reader->name, root->start_mark.line + 1);
	yaml_document_delete(&reader->document);
	json_decref(document);
	return err;
}

static enum err read_yaml(struct span text, const char *name, json_t **out, struct why *why)
{
	_cleanup_(json_decrefp) json_t *documents = json_array();
	struct reader reader = {.name = name, .detail = why, .texts = BUF_INIT(4u * DOCUMENTS_MAX)};
	yaml_parser_t parser;
	bool is_more = true;
	enum err err = ERR_NONE;
	note_texts(&reader, text);
	CHECK(yaml_parser_initialize(&parser) != 0);
	yaml_parser_set_input_string(&parser, text.ptr, text.len);
	while (is_more && err == ERR_NONE)
		err = read_one(&reader, &parser, documents, &is_more);
	yaml_parser_delete(&parser);
	buf_done(&reader.texts);
	RETURN_IF_ERR(err);
	*out = TAKE_PTR(documents);
	return ERR_NONE;
}

enum err documents_read(struct span text, const char *name, json_t **out, struct why *why)
{
	/* libyaml takes no NULL, which is where an empty file lies. */
	static const uint8_t nothing[1];
	if (text.len == 0)
		text.ptr = nothing;
	bool is_json = false;
	enum err err = documents_json_read(text, name, out, &is_json, why);
	return is_json ? err : read_yaml(text, name, out, why);
}
