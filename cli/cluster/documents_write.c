#include "base/core/check.h"
#include "cli/cluster/documents.h"
#include "cli/cluster/scalar.h"
#include "cli/show.h"
#include <stdio.h>
#include <string.h>
#include <yaml.h>

static int on_write(void *arg, unsigned char *bytes, size_t len)
{
	return buf_append(arg, span_of(bytes, len)) == ERR_NONE ? 1 : 0;
}

static bool emit(yaml_emitter_t *emitter, yaml_event_t *event, int is_made)
{
	return is_made != 0 && yaml_emitter_emit(emitter, event) != 0;
}

static bool emit_scalar(yaml_emitter_t *emitter, const char *text, size_t len, yaml_scalar_style_t style)
{
	yaml_event_t event;
	return emit(emitter, &event,
		yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *)text, (int)len, 1, 1, style));
}

static bool emit_text(yaml_emitter_t *emitter, const char *text, size_t len)
{
	yaml_scalar_style_t style = YAML_ANY_SCALAR_STYLE;
	if (strchr(text, '\n') != NULL)
		style = YAML_LITERAL_SCALAR_STYLE;
	else if (scalar_needs_quotes(text))
		style = YAML_DOUBLE_QUOTED_SCALAR_STYLE;
	return emit_scalar(emitter, text, len, style);
}

static bool emit_number(yaml_emitter_t *emitter, const json_t *value)
{
	char text[64];
	if (json_is_integer(value))
		snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(value));
	else
		snprintf(text, sizeof(text), "%.*g", show_digits(json_real_value(value)), json_real_value(value));
	return emit_scalar(emitter, text, strlen(text), YAML_PLAIN_SCALAR_STYLE);
}

static bool emit_value(yaml_emitter_t *emitter, const json_t *value);

static bool emit_array(yaml_emitter_t *emitter, const json_t *array)
{
	yaml_event_t event;
	if (!emit(emitter, &event,
		    yaml_sequence_start_event_initialize(&event, NULL, NULL, 1,
			    json_array_size(array) == 0 ? YAML_FLOW_SEQUENCE_STYLE : YAML_BLOCK_SEQUENCE_STYLE)))
		return false;
	for (size_t i = 0; i < json_array_size(array); i++)
		if (!emit_value(emitter, json_array_get(array, i)))
			return false;
	return emit(emitter, &event, yaml_sequence_end_event_initialize(&event));
}

static bool emit_object(yaml_emitter_t *emitter, json_t *object)
{
	yaml_event_t event;
	if (!emit(emitter, &event,
		    yaml_mapping_start_event_initialize(&event, NULL, NULL, 1,
			    json_object_size(object) == 0 ? YAML_FLOW_MAPPING_STYLE : YAML_BLOCK_MAPPING_STYLE)))
		return false;
	for (void *at = json_object_iter(object); at != NULL; at = json_object_iter_next(object, at)) {
		const char *key = json_object_iter_key(at);
		if (!emit_text(emitter, key, strlen(key)) || !emit_value(emitter, json_object_iter_value(at)))
			return false;
	}
	return emit(emitter, &event, yaml_mapping_end_event_initialize(&event));
}

static bool emit_value(yaml_emitter_t *emitter, const json_t *value)
{
	if (json_is_object(value))
		return emit_object(emitter, (json_t *)value);
	if (json_is_array(value))
		return emit_array(emitter, value);
	if (json_is_string(value))
		return emit_text(emitter, json_string_value(value), json_string_length(value));
	if (json_is_number(value))
		return emit_number(emitter, value);
	const char *word = json_is_true(value) ? "true" : json_is_false(value) ? "false" : "null";
	return emit_scalar(emitter, word, strlen(word), YAML_PLAIN_SCALAR_STYLE);
}

enum err document_write(const json_t *document, struct buf *out)
{
	yaml_emitter_t emitter;
	yaml_event_t event;
	CHECK(yaml_emitter_initialize(&emitter) != 0);
	yaml_emitter_set_output(&emitter, on_write, out);
	yaml_emitter_set_unicode(&emitter, 1);
	yaml_emitter_set_width(&emitter, -1);
	bool is_written = emit(&emitter, &event, yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING)) &&
			  emit(&emitter, &event, yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 0)) &&
			  emit_value(&emitter, document) &&
			  emit(&emitter, &event, yaml_document_end_event_initialize(&event, 1)) &&
			  emit(&emitter, &event, yaml_stream_end_event_initialize(&event));
	yaml_emitter_delete(&emitter);
	return is_written ? ERR_NONE : ERR_LIMIT;
}
