#include "control/issue/token_link.h"
#include "base/core/check.h"
#include "certs/remote_key.h"
#include "control/pkcs11/token_wire.h"
#include <errno.h>
#include <sys/socket.h>

#define ANSWER_MAX (sizeof(struct token_answer_header) + TOKEN_SIGNATURE_MAX)

static enum err ask(struct token_link *link, enum remote_key_kind kind, struct span input)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT(sizeof(struct token_request_header) + TOKEN_INPUT_MAX);
	const struct token_request_header header = {
		.id = ++link->last_id, .is_ecdsa = kind == REMOTE_KEY_ECDSA, .len = (uint32_t)input.len};
	RETURN_IF_ERR(buf_append(&out, span_of(&header, sizeof header)));
	RETURN_IF_ERR(buf_append(&out, input));
	if (send(link->fd, buf_span(&out).ptr, buf_len(&out), MSG_NOSIGNAL) >= 0)
		return ERR_NONE;
	return why_set(&link->trouble, ERR_UNAVAILABLE, "a handfast-pkcs11 that runs",
		"see its last log line, and restart the control plane", "it has ended");
}

static enum err explain_silence(struct token_link *link, ssize_t len)
{
	if (len < 0 && errno != EAGAIN)
		return why_set(&link->trouble, ERR_UNAVAILABLE, "a handfast-pkcs11 that runs",
			"see its last log line, and restart the control plane", "it does not answer: %m");
	return why_set(&link->trouble, ERR_TIMEOUT, "a signature of the token within 3 s",
		"check whether the token's module or its network hangs", "the token has not answered");
}

/* Answers to what timed out before are passed over. */
static enum err receive(struct token_link *link, struct buf *out)
{
	uint8_t bytes[ANSWER_MAX];
	struct token_answer_header header = {0};
	while (header.id != link->last_id) {
		ssize_t len = recv(link->fd, bytes, sizeof bytes, 0);
		if (len < (ssize_t)sizeof header)
			return explain_silence(link, len);
		memcpy(&header, bytes, sizeof header);
		if (header.len != (size_t)len - sizeof header)
			return ERR_MALFORMED;
	}
	const struct span rest = span_of(bytes + sizeof header, header.len);
	if (header.is_signed != 0)
		return buf_append(out, rest);
	char text[TOKEN_SIGNATURE_MAX + 1];
	memcpy(text, rest.ptr, rest.len);
	text[rest.len] = 0;
	if (!why_parse(text, ERR_UNAVAILABLE, &link->trouble))
		(void)why_set(&link->trouble, ERR_UNAVAILABLE, "a token that signs",
			"try the token with pkcs11-tool; the control plane's log and the token's have more", "%.200s",
			text);
	return ERR_UNAVAILABLE;
}

static enum err sign(void *arg, enum remote_key_kind kind, struct span input, struct buf *out)
{
	struct token_link *link = arg;
	link->trouble = (struct why){0};
	if (input.len > TOKEN_INPUT_MAX)
		return ERR_TOO_LARGE;
	RETURN_IF_ERR(ask(link, kind, input));
	return receive(link, out);
}

enum err token_link_key(struct token_link *link, struct span certificate_der, struct private_key **out, struct why *why)
{
	CHECK(link->fd > 0);
	return remote_key_new(certificate_der, sign, link, out, why);
}
