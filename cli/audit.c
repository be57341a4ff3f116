/* audit verify: reads the files of an audit log, oldest first. Needs no control plane. */
#include "base/core/hex.h"
#include "base/core/number.h"
#include "base/settings/settings.h"
#include "cli/commands.h"
#include "cli/show.h"
#include "control/audit/audit_verify.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct verification {
	struct audit_verify log;
	struct audit_chain known; /* number 0: none is given */
};

/* "NUMBER:HASH", of a line that was seen. */
static bool known_read(struct command_line *line, struct audit_chain *out)
{
	const char *text = command_line_value(line, "known"), *colon = text == NULL ? NULL : strchr(text, ':');
	if (text == NULL)
		return true;
	if (colon != NULL && strlen(colon + 1) == (size_t)2 * DIGEST_LEN &&
		number_parse(span_of((const uint8_t *)text, (size_t)(colon - text)), UINT64_MAX, &out->number) ==
			ERR_NONE &&
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
	if (verification->log.chain.number < known)
		return why_set(why, ERR_STATE_DAMAGED, expected, fix,
			"the last line has the number %" PRIu64 ": its end is missing, up to number %" PRIu64
			" at least",
			verification->log.chain.number, known);
	if (known > 0 && known < verification->log.first)
		return why_set(why, ERR_NOT_FOUND, expected, "give the older files too, oldest first",
			"the files begin with line number %" PRIu64 ", after %" PRIu64, verification->log.first, known);
	return ERR_NONE;
}

static enum err verify_line(struct verification *verification, struct span line, struct why *why)
{
	RETURN_IF_ERR(audit_verify_line(&verification->log, line, why));
	if (verification->log.chain.number == verification->known.number &&
		memcmp(verification->log.chain.hash, verification->known.hash, DIGEST_LEN) != 0)
		return why_set(why, ERR_STATE_DAMAGED, "the line that is known to be there",
			"compare with a copy that was kept elsewhere, such as the collected log",
			"line number %" PRIu64 " is another one: the log was made anew",
			verification->log.chain.number);
	return ERR_NONE;
}

/* Without its newline. False: the file has no more. */
static bool line_read(FILE *file, char out[AUDIT_LINE_MAX], size_t *out_len)
{
	int byte = EOF;
	size_t len = 0;
	while (len < AUDIT_LINE_MAX && (byte = getc_unlocked(file)) != EOF && byte != '\n')
		out[len++] = (char)byte;
	*out_len = len;
	return len > 0 || byte == '\n';
}

/* A line that is longer than any comes in pieces, none of which is one. */
static enum err verify_lines(struct verification *verification, FILE *file, const char *path, struct why *why)
{
	static const char expected[] = "a file of an audit log";
	char line[AUDIT_LINE_MAX];
	uint64_t before = verification->log.num_lines;
	for (size_t len; line_read(file, line, &len);)
		RETURN_IF_ERR(verify_line(verification, span_of(line, len), why));
	if (ferror(file))
		return why_set(why, err_from_errno(errno), expected, "correct its name, or run the command as root",
			"cannot read %s: %m", path);
	if (verification->log.num_lines == before)
		return why_set(why, ERR_REFUSED, expected, "correct its name, or compare with the collected log",
			"%s has no line of an audit log, so it proves nothing", path);
	return ERR_NONE;
}

static enum err verify_file(struct verification *verification, const char *path, struct why *why)
{
	FILE *file = fopen(path, "re");
	if (file == NULL)
		return why_set(why, err_from_errno(errno), "a file of an audit log that can be read",
			"correct its name, or run the command as root", "cannot open %s: %m", path);
	enum err err = verify_lines(verification, file, path, why);
	fclose(file);
	return err;
}

static void print_lines(const struct audit_verify *log, const char *hash)
{
	printf("%" PRIu64 " lines continue each other, from number %" PRIu64 " to %" PRIu64 ", %" PRIu64
	       " were cut by a crash or a full disk\nthe last one: %" PRIu64 ":%s\n",
		log->num_lines, log->first, log->chain.number, log->num_cut, log->chain.number, hash);
	if (buf_len(&log->cut) > 0)
		printf("behind it are %zu bytes of a line that was cut, which no line states yet: they prove "
		       "nothing\n",
			buf_len(&log->cut));
}

static void show(const struct command_line *line, const struct audit_verify *log)
{
	char hash[2 * DIGEST_LEN + 1];
	hex_format(span_of(log->chain.hash, DIGEST_LEN), hash);
	if (!line->json)
		print_lines(log, hash);
	else
		show_json(json_pack("{s:I, s:I, s:I, s:I, s:I, s:s}", "lines", (json_int_t)log->num_lines, "cut",
			(json_int_t)log->num_cut, "unstated_bytes", (json_int_t)buf_len(&log->cut), "first_number",
			(json_int_t)log->first, "last_number", (json_int_t)log->chain.number, "last_hash", hash));
}

static enum err verify_files(const struct command_line *line, struct verification *verification, struct why *why)
{
	for (size_t i = 0; i < line->num_arguments; i++)
		RETURN_IF_ERR(verify_file(verification, line->arguments[i], why));
	return check_known(verification, why);
}

static void verification_done(struct verification *verification)
{
	audit_verify_done(&verification->log);
}

enum cli_exit command_audit_verify(struct command_line *line)
{
	_cleanup_(verification_done) struct verification verification = {0};
	struct why why = {0};
	audit_verify_init(&verification.log);
	if (line->num_arguments == 0)
		command_line_error_text(
			line, "audit verify", "the files of an audit log, oldest first", "no file is named");
	if (!known_read(line, &verification.known) || line->num_arguments == 0)
		return command_line_refuse(line);
	enum err err = verify_files(line, &verification, &why);
	if (err != ERR_NONE)
		return command_line_fail(line, err, &why);
	show(line, &verification.log);
	return CLI_DONE;
}
