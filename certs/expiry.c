#include "certs/expiry.h"
#include "certs/describe.h"
#include <inttypes.h>
#include <string.h>

#define SHA256_DIGITS 16 /* as `handfast ca status` shows */

static enum err encode_row(
	const char *name, const struct cert_expiry *row, const char *sha256, int64_t value_s, struct buf *out)
{
	return buf_printf(out, "%s{kind=\"%s\",trust_domain=\"%s\",sha256=\"%.*s\"} %" PRId64 "\n", name, row->kind,
		row->trust_domain, SHA256_DIGITS, sha256, value_s);
}

enum err cert_expiry_encode(
	const struct metric_row headings[2], const struct cert_expiry *rows, size_t num, struct buf *out)
{
	for (size_t family = 0; family < 2; family++) {
		const struct metric_row *heading = &headings[family];
		RETURN_IF_ERR(buf_printf(
			out, "# HELP %s %s\n# TYPE %s gauge\n", heading->name, heading->help, heading->name));
		for (size_t i = 0; i < num; i++) {
			struct cert_description cert;
			if (cert_describe(rows[i].der, &cert, NULL) == ERR_NONE)
				RETURN_IF_ERR(encode_row(heading->name, &rows[i], cert.sha256,
					family == 0 ? cert.not_after_s : cert.not_before_s, out));
		}
	}
	return ERR_NONE;
}

static const struct {
	const char *kind;
	int64_t backdate_s;
} renewed[] = {{"intermediate", INTERMEDIATE_BACKDATE_S}, {"webhook", WEBHOOK_BACKDATE_S}};

static bool is_root(const char *kind)
{
	static const char ending[] = "root";
	size_t len = strlen(kind), ending_len = sizeof(ending) - 1;
	return len >= ending_len && strcmp(kind + len - ending_len, ending) == 0;
}

static int64_t backdate_of(const char *kind)
{
	for (size_t i = 0; i < sizeof(renewed) / sizeof(*renewed); i++)
		if (strcmp(kind, renewed[i].kind) == 0)
			return renewed[i].backdate_s;
	return LEAF_BACKDATE_S;
}

int64_t cert_expiry_margin_s(const char *kind, int64_t from_s, int64_t to_s, int64_t within_s)
{
	if (strcmp(kind, "retired_root") == 0)
		return INT64_MIN;
	if (is_root(kind))
		return within_s;
	int64_t life_s = to_s - from_s - backdate_of(kind);
	int64_t quarter_s = life_s < 0 ? 0 : life_s / 4;
	return quarter_s < within_s ? quarter_s : within_s;
}
