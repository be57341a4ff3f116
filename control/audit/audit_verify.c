#include "control/audit/audit_verify.h"
#include <inttypes.h>

void audit_verify_init(struct audit_verify *verify)
{
	*verify = (struct audit_verify){.cut = BUF_INIT(AUDIT_CUT_MAX)};
}

void audit_verify_done(struct audit_verify *verify)
{
	buf_done(&verify->cut);
}

static enum err damaged(const struct audit_verify *verify, const char *fix, const char *got, struct why *why)
{
	return why_set(why, ERR_STATE_DAMAGED, "lines of one chain, and beside them only what a line states as cut",
		fix, "after line number %" PRIu64 ": %s", verify->chain.number, got);
}

static enum err take_cut(struct audit_verify *verify, struct span line, struct why *why)
{
	static const char fix[] = "compare with a copy that was kept elsewhere, such as the collected log";
	if (audit_cut_add(&verify->cut, line) != ERR_NONE)
		return damaged(verify, fix, "there are more bytes that are no line than a crash can leave", why);
	return ERR_NONE;
}

static uint64_t num_newlines(struct span bytes)
{
	uint64_t num = 0;
	for (size_t i = 0; i < bytes.len; i++)
		num += bytes.ptr[i] == '\n';
	return num;
}

/* before: the number of the line before, which is not in the files if this is the first one. */
static enum err check_statement(struct audit_verify *verify, struct span line, struct why *why)
{
	struct span cut = buf_span(&verify->cut);
	if (cut.len == 0 && (verify->num_lines == 0 || !audit_cut_is_statement(line)))
		return ERR_NONE;
	if (cut.len == 0)
		return damaged(verify, "compare with a copy that was kept elsewhere, such as the collected log",
			"the next line states cut ones that are not there: they were removed", why);
	if (!audit_cut_is_stated(line, cut))
		return damaged(verify,
			"compare with a copy that was kept elsewhere; releases before this one stated no line that a "
			"crash has cut: verify what follows it as a file of its own",
			"a line is cut or was inserted, and the next one does not state that", why);
	verify->num_cut += num_newlines(cut);
	buf_clear(&verify->cut);
	return ERR_NONE;
}

enum err audit_verify_line(struct audit_verify *verify, struct span line, struct why *why)
{
	struct audit_chain next = verify->chain;
	bool is_first = verify->num_lines == 0, has_end = line.len > 0 && line.ptr[line.len - 1] == '}';
	enum err err = audit_chain_check(&next, line, is_first, why);
	if (err != ERR_NONE && (is_first ? !has_end : audit_cut_is(&verify->chain, line)))
		return take_cut(verify, line, why);
	RETURN_IF_ERR(err);
	RETURN_IF_ERR(check_statement(verify, line, why));
	verify->chain = next;
	if (verify->num_lines++ == 0)
		verify->first = next.number;
	return ERR_NONE;
}
