#include "intercept/apply.h"
#include "base/core/check.h"
#include <errno.h>
#include <nftables/libnftables.h>
#include <stdio.h>

DEFINE_CLEANUP(struct nft_ctx *, nft_ctx_free)

/* libnftables aborts when out of memory; other failures here are programming errors. */
static struct nft_ctx *context_new(void)
{
	struct nft_ctx *context = nft_ctx_new(NFT_CTX_DEFAULT);
	CHECK(context != NULL);
	CHECK(nft_ctx_buffer_output(context) == 0);
	CHECK(nft_ctx_buffer_error(context) == 0);
	return context;
}

/* libnftables returns the kernel's errno only as text: the first line is the error, the lines after it quote the
 * command. */
static enum err failed(struct nft_ctx *context, struct why *why)
{
	const char *message = nft_ctx_get_error_buffer(context);
	enum err err = ERR_SYSTEM;
	if (strstr(message, strerror(EPERM)) != NULL)
		err = ERR_DENIED;
	else if (strstr(message, strerror(ENOENT)) != NULL)
		err = ERR_NOT_FOUND;
	return why_set(why, err, "nf_tables to accept the rules",
		"check which other program writes rules in this network namespace",
		"the kernel refused the rules: %.*s", (int)strcspn(message, "\n"), message);
}

static enum err run(const char *commands, bool dry, unsigned shown, struct buf *out, struct why *why)
{
	_cleanup_(nft_ctx_freep) struct nft_ctx *context = context_new();
	nft_ctx_set_dry_run(context, dry);
	nft_ctx_output_set_flags(context, shown);
	if (nft_run_cmd_from_buffer(context, commands) != 0)
		return failed(context, why);
	return out == NULL ? ERR_NONE : buf_append_str(out, nft_ctx_get_output_buffer(context));
}

enum err apply_commands(const char *commands, struct why *why)
{
	return run(commands, false, 0, NULL, why);
}

enum err apply_try(const char *commands, struct why *why)
{
	return run(commands, true, 0, NULL, why);
}

static enum err list_table(const char *table, unsigned shown, struct buf *out, struct why *why)
{
	char command[128];
	int len = snprintf(command, sizeof(command), "list table inet %s", table);
	CHECK(len > 0 && (size_t)len < sizeof(command));
	/* Else tcp is "tcp" or 6, by what /etc/protocols has: an image, or a minimal Debian, has no such file. */
	return run(command, false, shown | NFT_CTX_OUTPUT_NUMERIC_PROTO, out, why);
}

enum err apply_list_table(const char *table, struct buf *out, struct why *why)
{
	return list_table(table, NFT_CTX_OUTPUT_STATELESS, out, why);
}

enum err apply_list_table_counted(const char *table, struct buf *out, struct why *why)
{
	return list_table(table, 0, out, why);
}
