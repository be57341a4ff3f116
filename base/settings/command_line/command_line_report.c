/* What a program prints about itself and its work: help, versions, errors, failures; as text or as one JSON object. */
#include "base/core/check.h"
#include "base/json/json_put.h"
#include "base/settings/command_line/command_line_private.h"
#include "base/settings/command_line/library_version.h"
#include <errno.h>
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
	int number;
	const char *text;
} exit_codes[] = {
#define EXIT_CODE(symbol, number, text) {number, text},
#include "base/settings/command_line/exit_codes.def"
#undef EXIT_CODE
};
#define PAGE_MAX       (1024u * 1024)
#define NUM_EXIT_CODES (sizeof exit_codes / sizeof exit_codes[0])

const char *command_line_exit_code(size_t i, int *out_number)
{
	*out_number = i < NUM_EXIT_CODES ? exit_codes[i].number : 0;
	return i < NUM_EXIT_CODES ? exit_codes[i].text : NULL;
}

static void print_json(json_t *object)
{
	if (object != NULL && json_dumpf(object, stdout, JSON_INDENT(2)) == 0)
		putchar('\n');
	json_decref(object);
}

/* --- keys --- */

static const char *effect_text(const struct setting_def *def)
{
	return def->reload == RESTART ? "restart" : "reload";
}

/* "timeouts.connect: duration; 100ms to 1h; default 10s; takes effect at a restart" and the sentence below it. */
static enum err put_key(const struct setting_def *def, struct buf *out)
{
	RETURN_IF_ERR(buf_printf(out, "%s: %s", def->key, setting_type_text(def->type)));
	if (def->unit[0] != '\0')
		RETURN_IF_ERR(buf_printf(out, " (%s)", def->unit));
	if (def->range[0] != '\0')
		RETURN_IF_ERR(buf_printf(out, "; %s", def->range));
	RETURN_IF_ERR(buf_printf(out, "; %s%s; takes effect at a %s%s\n      %s\n",
		strcmp(def->otherwise, SETTING_REQUIRED) == 0 ? "" : "default ",
		def->otherwise[0] == '\0' ? "none" : def->otherwise, effect_text(def),
		setting_def_is_in_file_only(def) ? "; in the file only" : "", def->help));
	return ERR_NONE;
}

static json_t *json_keys(const struct setting_table *settings)
{
	json_t *keys = json_array();
	for (size_t i = 0; settings != NULL && i < settings->num_rows; i++) {
		const struct setting_def *def = &settings->rows[i];
		json_array_append_new(
			keys, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:s}", "key", def->key, "type",
				      setting_type_text(def->type), "unit", def->unit, "range", def->range, "default",
				      def->otherwise, "takes_effect", effect_text(def), "in_file_only",
				      setting_def_is_in_file_only(def), "help", def->help));
	}
	return keys;
}

enum err command_line_put_json(json_t *object, struct buf *out)
{
	enum err err = buf_append_json(out, object, JSON_INDENT(2));
	json_decref(object);
	return err != ERR_NONE ? err : buf_append_str(out, "\n");
}

enum err command_line_keys(const struct cli_program *program, bool json, struct buf *out)
{
	const struct setting_table *settings = program->settings;
	if (json)
		return command_line_put_json(json_keys(settings), out);
	if (settings == NULL)
		return buf_printf(out, "%s has no settings; --help lists its flags\n", program->name);
	for (size_t i = 0; i < settings->num_rows; i++)
		RETURN_IF_ERR(put_key(&settings->rows[i], out));
	return ERR_NONE;
}

/* --- versions --- */

static void print_versions(const struct command_line *line, const char *release)
{
	_cleanup_(buf_done) struct buf lines = BUF_INIT(4096);
	enum err err = buf_printf(&lines, "%s %s\n", line->program->name, release);
	if (err == ERR_NONE && line->program->put_versions != NULL)
		line->program->put_versions(&lines);
	library_version_put_compilers(&lines);
	if (!line->json) {
		fputs(buf_cstr(&lines), stdout);
		return;
	}
	json_t *object = json_object();
	for (const char *at = buf_cstr(&lines), *end; (end = strchr(at, '\n')) != NULL; at = end + 1) {
		const char *space = memchr(at, ' ', (size_t)(end - at));
		if (space != NULL)
			json_object_setn_new_nocheck(
				object, at, (size_t)(space - at), json_stringn(space + 1, (size_t)(end - space) - 1));
	}
	print_json(object);
}

static enum err put_page(struct command_line *line, struct buf *out)
{
	const struct cli_program *program = line->program;
	if (line->wants_help)
		return command_line_help(program, line->about, line->json, out);
	if (line->wants_keys)
		return command_line_keys(program, line->json, out);
	if (line->wants_man)
		return command_line_man(program, out);
	enum err err = command_line_completion(program, line->completion, out);
	if (err == ERR_NOT_FOUND)
		command_line_error(line, "--completion", "bash, zsh or fish", line->completion);
	return err;
}

/* --- the end of what is printed --- */

/* At the end of the program: what is in a buffer until then, or could not be written before, is no success. */
static void on_exit_with(int status, void *arg)
{
	const struct cli_program *program = arg;
	bool is_lost = fflush(stdout) != 0;
	const char *reason = is_lost ? strerror(errno) : "a write failed";
	if (!is_lost && ferror(stdout) == 0)
		return;
	fprintf(stderr,
		"%s: cannot write to the standard output: %s; expected: a file, pipe or terminal that takes all of it; "
		"fix: make room, or redirect it elsewhere\n",
		program->name, reason);
	_exit(status == CLI_DONE ? CLI_UNAVAILABLE : status);
}

static void watch_output(const struct cli_program *program)
{
	CHECK(on_exit(on_exit_with, (void *)(uintptr_t)program) == 0);
}

bool command_line_begin(const struct cli_program *program, int argc, char *const *argv, struct command_line *out)
{
	watch_output(program);
	command_line_parse(program, argc, argv, out);
	if (out->wants_help || out->wants_keys || out->wants_man || out->completion != NULL) {
		_cleanup_(buf_done) struct buf text = BUF_INIT(PAGE_MAX);
		enum err err = put_page(out, &text);
		if (err == ERR_NONE)
			fwrite(buf_span(&text).ptr, 1, buf_len(&text), stdout);
		return err == ERR_NOT_FOUND; /* a shell that is not known: an error is there */
	}
	if (out->wants_version)
		print_versions(out, program->release);
	return !out->wants_version;
}

/* --- outcomes --- */

/* The line of an error, clause by clause. */
static json_t *json_error(const char *text, size_t len)
{
	struct why why = {0};
	char line[800];
	snprintf(line, sizeof line, "%.*s", (int)len, text);
	if (!why_parse(line, ERR_CONFIG, &why))
		return json_pack("{s:s}", "got", line);
	return json_pack("{s:s, s:s, s:s}", "got", why.got, "expected", why.expected, "fix", why.fix);
}

enum cli_exit command_line_refuse(struct command_line *line)
{
	const char *text = buf_cstr(&line->errors);
	if (!line->json) {
		fputs(text, stderr);
		if (line->program->settings != NULL) /* an error in the file does not name a page */
			fprintf(stderr, "`%s --help` lists commands, flags and settings\n", line->program->name);
		return CLI_USAGE;
	}
	json_t *list = json_array();
	for (const char *end; (end = strchr(text, '\n')) != NULL; text = end + 1)
		json_array_append_new(list, json_error(text, (size_t)(end - text)));
	print_json(json_pack("{s:s, s:o}", "error", "usage", "errors", list));
	return CLI_USAGE;
}

enum cli_exit command_line_fail(const struct command_line *line, enum err err, const struct why *why)
{
	char text[700];
	if (!line->json)
		fprintf(stderr, "%s: %s\n", line->program->name, why_format(why, text, sizeof text));
	else
		print_json(json_pack("{s:s, s:s, s:s, s:s}", "error", err_label(err), "expected", why->expected, "got",
			why->got, "fix", why->fix));
	return cli_exit_of(err);
}

enum cli_exit command_line_answer(const struct command_line *line, const char *text)
{
	return command_line_answer_with(line, text, NULL, (struct span){0});
}

/* An array of the lines. */
static json_t *json_lines(struct span lines)
{
	json_t *list = json_array();
	for (const uint8_t *end; lines.len > 0 && (end = memchr(lines.ptr, '\n', lines.len)) != NULL;) {
		size_t len = (size_t)(end - lines.ptr);
		json_array_append_new(list, json_sprintf("%.*s", (int)len, (const char *)lines.ptr));
		lines = span_from(lines, len + 1);
	}
	return list;
}

enum cli_exit command_line_answer_with(
	const struct command_line *line, const char *text, const char *name, struct span notes)
{
	json_t *list = json_lines(notes);
	if (line->json) {
		json_t *object = json_pack("{s:s}", "answer", text);
		if (json_array_size(list) > 0)
			json_object_set(object, name, list);
		print_json(object);
	} else {
		puts(text);
		for (size_t i = 0; i < json_array_size(list); i++)
			fprintf(stderr, "%s: %s\n", line->program->name, json_string_value(json_array_get(list, i)));
	}
	json_decref(list);
	return CLI_DONE;
}
