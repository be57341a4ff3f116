/* revoke: one certificate, or the control plane's intermediate. */
#include "base/core/escape.h"
#include "base/core/hex.h"
#include "base/pb/unpack.h"
#include "cli/call.h"
#include "cli/commands.h"
#include "cli/reach.h"
#include "cli/show.h"
#include "proto/handfast/v1/operator.pb-c.h"
#include <stdio.h>

#define SERIAL_MAX 20 /* bytes */

/* As this program shows it, or as openssl and browsers do: in upper case, with colons between bytes. False: too long.
 */
static bool plain_digits(const char *text, char out[2 * SERIAL_MAX + 1])
{
	size_t len = 0;
	for (; *text != '\0' && len < 2 * SERIAL_MAX; text++) {
		if (*text == ':' && len % 2 == 0)
			continue;
		out[len] = *text;
		if (*text >= 'A' && *text <= 'F')
			out[len] = "abcdef"[*text - 'A'];
		len++;
	}
	out[len] = '\0';
	return *text == '\0';
}

static bool read_serial(struct command_line *line, uint8_t out[SERIAL_MAX], size_t *out_len)
{
	const char *text = command_argument(line, "one serial, as `handfast status` shows it, or --intermediate");
	char plain[2 * SERIAL_MAX + 1];
	if (text == NULL)
		return false;
	bool fits = plain_digits(text, plain);
	struct span digits = span_of_str(plain);
	*out_len = digits.len / 2;
	if (fits && digits.len > 0 && digits.len % 2 == 0 && hex_parse(digits, out, digits.len / 2))
		return true;
	command_line_error(line, "revoke", "a serial of 1 to 20 bytes, two digits per byte", text);
	return false;
}

static void show_revoked(const struct command_line *line, const Handfast__V1__RevokeResponse *answer)
{
	char serial[2 * SERIAL_MAX + 1], id[2304], until[32], reach[160];
	show_hex(pb_span(answer->serial), serial, sizeof serial);
	escape_ascii(pb_span(answer->id), id, sizeof id);
	show_time(answer->until_ms, until);
	if (line->json) {
		json_t *object = json_pack("{s:s, s:s, s:s, s:b, s:b}", "serial", serial, "id", id, "until", until,
			"was_revoked", answer->was_revoked, "unknown", answer->unknown);
		reach_put_json(answer->reach, object);
		show_json(object);
	} else {
		printf("%s %s%s%s; refused until it ends: %s%s\n", serial,
			answer->was_revoked ? "was revoked before" : "is revoked", id[0] == '\0' ? "" : ", of ", id,
			until, reach_text(answer->reach, reach, sizeof reach));
	}
	if (!line->json && answer->unknown)
		show_warning("no certificate that the control plane knows has this serial",
			"a serial that `handfast status` shows, or that of an earlier certificate",
			"if it is mistyped, revoke the right one; this one is kept until the last root ends");
}

enum cli_exit command_revoke(struct command_line *line)
{
	Handfast__V1__RevokeRequest request = HANDFAST__V1__REVOKE_REQUEST__INIT;
	_cleanup_(answer_done) struct answer answer = {0};
	uint8_t serial[SERIAL_MAX];
	size_t len = 0;
	request.intermediate = command_line_has(line, "intermediate");
	if (!request.intermediate && !read_serial(line, serial, &len))
		return command_line_refuse(line);
	request.serial = pb_bytes(span_of(serial, len));
	enum err err = call(line, "Revoke", &request.base, &handfast__v1__revoke_response__descriptor, &answer);
	if (err != ERR_NONE)
		return command_line_fail(line, err, &answer.detail);
	show_revoked(line, (const Handfast__V1__RevokeResponse *)answer.message);
	return CLI_DONE;
}
