/* audit verify: reads the files of an audit log, oldest first. Needs no control plane. */
#include "base/core/hex.h"
#include "base/core/mem.h"
#include "base/settings/settings.h"
#include "cli/commands.h"
#include "cli/show.h"
#include "control/audit/audit_chain.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct verification {
	struct audit_chain chain, known; /* known: number 0: none is given */
	uint64_t first;                  /* the number of the first line */
	uint64_t num_lines, num_cut;     /* cut: by a crash; the chain goes on after it */
};

/* "NUMBER:HASH", of a line that was seen. */
static bool known_read(struct command_line *line, struct audit_chain *out)
{
	const char *text = command_line_value(line, "known"), *colon = text == NULL ? NULL : strchr(text, ':');
	if (text == NULL)
		return true;
	if (colon != NULL && strlen(colon + 1) == (size_t)2 * DIGEST_LEN &&
		number_parse(span_of((const uint8_t *)text, (size_t)(colon - text)), &out->number) == ERR_NONE &&
		out->number > 0 && hex_parse(span_of_str(colon + 1), out->hash, DIGEST_LEN))
		return true;
	command_line_error(line, "--known", "NUMBER:HASH as this command and the control plane's log have it", text);
	return false;
}

/* A chain has no end of its own: what was cut off behind its last line is found by one who knows a later one. */
static enum err check_known(const struct verification *verification, struct why *why)
{
	static const char expected[] = "the line that is known to be there";
	static const char fix[] = "compare with a copy that was kept elsewhere, such as the collected log";
	uint64_t known = verification->known.number;
	if (verification->chain.number < known)
		return why_set(why, ERR_STATE_DAMAGED, expected, fix,
			"the last line has the number %" PRIu64 ": its end is missing, up to number %" PRIu64
			" at least",
			verification->chain.number, known);
	if (known > 0 && known < verification->first)
		return why_set(why, ERR_NOT_FOUND, expected, "give the older files too, oldest first",
			"the files begin with line number %" PRIu64 ", after %" PRIu64, verification->first, known);
	return ERR_NONE;
}

static bool looks_whole(struct span line)
{
	return line.len > 0 && line.ptr[line.len - 1] == '}';
}

/* A line that is not whole is one that a crash has cut, if the next one continues the chain. */
static enum err verify_line(struct verification *verification, struct span line, struct why *why)
{
	bool may_begin = verification->num_lines == 0;
	if (!looks_whole(line)) {
		verification->num_cut++;
		return ERR_NONE;
	}
	RETURN_IF_ERR(audit_chain_check(&verification->chain, line, may_begin, why));
	if (verification->num_lines++ == 0)
		verification->first = verification->chain.number;
	if (verification->chain.number == verification->known.number &&
		memcmp(verification->chain.hash, verification->known.hash, DIGEST_LEN) != 0)
		return why_set(why, ERR_STATE_DAMAGED, "the line that is known to be there",
			"compare with a copy that was kept elsewhere, such as the collected log",
			"line number %" PRIu64 " is another one: the log was made anew", verification->chain.number);
	return ERR_NONE;
}

static enum err verify_file(struct verification *verification, const char *path, struct why *why)
{
	_cleanup_(mem_freep) char *line = NULL;
	size_t cap = 0;
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return why_set(why, err_from_errno(errno), "a file of an audit log that can be read",
			"correct its name, or run the command as root", "cannot open %s: %m", path);
	enum err err = ERR_NONE;
	for (ssize_t len; err == ERR_NONE && (len = getline(&line, &cap, file)) > 0;)
		err = verify_line(verification, span_of((uint8_t *)line, (size_t)len - (line[len - 1] == '\n')), why);
	fclose(file);
	return err;
}

static void show(const struct command_line *line, const struct verification *verification)
{
	char hash[2 * DIGEST_LEN + 1];
	hex_format(span_of(verification->chain.hash, DIGEST_LEN), hash);
	if (line->json)
		show_json(json_pack("{s:I, s:I, s:I, s:I, s:s}", "lines", (json_int_t)verification->num_lines, "cut",
			(json_int_t)verification->num_cut, "first_number", (json_int_t)verification->first,
			"last_number", (json_int_t)verification->chain.number, "last_hash", hash));
	else
		printf("%" PRIu64 " lines continue each other, from number %" PRIu64 " to %" PRIu64 ", %" PRIu64
		       " were cut by a crash\nthe last one: %" PRIu64 ":%s\n",
			verification->num_lines, verification->first, verification->chain.number, verification->num_cut,
			verification->chain.number, hash);
}

enum cli_exit command_audit_verify(struct command_line *line)
{
	struct verification verification = {0};
	struct why why = {0};
	if (line->num_arguments == 0)
		command_line_error_text(
			line, "audit verify", "the files of an audit log, oldest first", "no file is named");
	if (!known_read(line, &verification.known) || line->num_arguments == 0)
		return command_line_refuse(line);
	for (size_t i = 0; i < line->num_arguments; i++) {
		enum err err = verify_file(&verification, line->arguments[i], &why);
		if (err != ERR_NONE)
			return command_line_fail(line, err, &why);
	}
	enum err err = check_known(&verification, &why);
	if (err != ERR_NONE)
		return command_line_fail(line, err, &why);
	show(line, &verification);
	return CLI_DONE;
}
