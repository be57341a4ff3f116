#include "base/core/check.h"
#include "cli/cluster/documents.h"
#include "cli/cluster/scalar.h"
#include <string.h>
#include <yaml.h>

/* An alias stands for all that it repeats. */
enum { NODES_MAX = 200000, DEPTH_MAX = 100 };

struct reader {
	yaml_document_t document;
	const char *name;
	unsigned num_nodes, depth;
	struct why *detail;
};

static enum err refuse(const struct reader *reader, const yaml_node_t *node, enum err err, const char *expected)
{
	return why_set(reader->detail, err, expected, "correct the file", "%s, line %zu: this is not understood",
		reader->name, node->start_mark.line + 1);
}

static enum err convert(struct reader *reader, int index, json_t **out);

static enum err convert_sequence(struct reader *reader, const yaml_node_t *node, json_t **out)
{
	_cleanup_(json_decrefp) json_t *array = json_array();
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
	for (yaml_node_pair_t *at = node->data.mapping.pairs.start; at < node->data.mapping.pairs.top; at++) {
		const yaml_node_t *key = yaml_document_get_node(&reader->document, at->key);
		json_t *value = NULL;
		if (key->type != YAML_SCALAR_NODE || strcmp((const char *)key->data.scalar.value, "<<") == 0)
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
	else if (node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
		*out = scalar_resolve((const char *)node->data.scalar.value, node->data.scalar.length);
	else
		*out = json_stringn((const char *)node->data.scalar.value, node->data.scalar.length);
	if (err == ERR_NONE && *out == NULL)
		err = refuse(reader, node, ERR_MALFORMED, "text in UTF-8");
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
			parser->problem != NULL ? parser->problem : "it is no YAML");
	*out_more = yaml_document_get_root_node(&reader->document) != NULL;
	reader->num_nodes = reader->depth = 0;
	enum err err = *out_more ? convert(reader, 1, &document) : ERR_NONE;
	yaml_document_delete(&reader->document);
	if (err == ERR_NONE && json_is_object(document))
		CHECK(json_array_append(into, document) == 0);
	json_decref(document);
	return err;
}

enum err documents_read(struct span text, const char *name, json_t **out, struct why *why)
{
	_cleanup_(json_decrefp) json_t *documents = json_array();
	struct reader reader = {.name = name, .detail = why};
	yaml_parser_t parser;
	bool is_more = true;
	enum err err = ERR_NONE;
	CHECK(yaml_parser_initialize(&parser) != 0);
	/* libyaml takes no NULL, which is where an empty file lies. */
	static const uint8_t nothing[1];
	yaml_parser_set_input_string(&parser, text.len == 0 ? nothing : text.ptr, text.len);
	while (is_more && err == ERR_NONE)
		err = read_one(&reader, &parser, documents, &is_more);
	yaml_parser_delete(&parser);
	RETURN_IF_ERR(err);
	*out = TAKE_PTR(documents);
	return ERR_NONE;
}
