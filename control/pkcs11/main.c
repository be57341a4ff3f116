/* handfast-pkcs11 KEY-FOLDER MODULE TOKEN KEY PIN-FILE: signs for the signer by a key in a PKCS#11 token. A program of
 * its own, and not a static one, because a module is a shared library of a vendor's. The control plane starts it;
 * descriptor 3 is its socket to the signer, which alone has the other end. It shuts itself out of the key folder. */
#include "base/core/check.h"
#include "base/core/log.h"
#include "control/issue/confine.h"
#include "control/pkcs11/token.h"
#include "control/pkcs11/token_wire.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUESTS_FD    3
#define EXIT_BAD_USAGE 64
#define EXIT_FAULT     70

static enum err put_answer(uint64_t id, bool is_signed, struct span bytes)
{
	_cleanup_(buf_done) struct buf out = BUF_INIT(sizeof(struct token_answer_header) + TOKEN_SIGNATURE_MAX);
	const struct token_answer_header header = {.id = id, .is_signed = is_signed, .len = (uint32_t)bytes.len};
	RETURN_IF_ERR(buf_append(&out, span_of(&header, sizeof header)));
	RETURN_IF_ERR(buf_append(&out, bytes));
	return send(REQUESTS_FD, buf_span(&out).ptr, buf_len(&out), MSG_NOSIGNAL) < 0 ? ERR_IO : ERR_NONE;
}

static enum err answer(struct token *token, struct span request)
{
	_cleanup_(buf_done) struct buf signature = BUF_INIT(TOKEN_SIGNATURE_MAX);
	struct token_request_header header;
	struct why why = {0};
	char text[TOKEN_SIGNATURE_MAX];
	if (request.len < sizeof header)
		return ERR_TRUNCATED;
	memcpy(&header, request.ptr, sizeof header);
	struct span input = span_from(request, sizeof header);
	if (input.len != header.len || input.len > TOKEN_INPUT_MAX)
		return ERR_MALFORMED;
	enum err err = token_sign(token, header.is_ecdsa != 0, input, &signature, &why);
	return put_answer(header.id, err == ERR_NONE,
		err == ERR_NONE ? buf_span(&signature) : span_of_str(why_format(&why, text, sizeof text)));
}

static int serve_until_closed(struct token *token)
{
	uint8_t bytes[sizeof(struct token_request_header) + TOKEN_INPUT_MAX];
	for (;;) {
		ssize_t len = recv(REQUESTS_FD, bytes, sizeof bytes, 0);
		if (len < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (len == 0)
			return EXIT_SUCCESS;
		if (len < 0 || answer(token, span_of(bytes, (size_t)len)) != ERR_NONE)
			return EXIT_FAULT;
	}
}

int main(int argc, char **argv)
{
	_cleanup_(token_freep) struct token *token = NULL;
	struct why why = {0};
	log_open("handfast-pkcs11");
	/* Ctrl-C at the terminal ends the control plane, and the signer's end ends this. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	if (argc != 6) {
		(void)why_set(&why, ERR_CONFIG,
			"handfast-control, which starts this program with KEY-FOLDER MODULE TOKEN KEY PIN-FILE",
			"set identity.ca.source: pkcs11 in the control plane's settings", "%d arguments are given",
			argc - 1);
		log_why(LOG_LEVEL_ERROR, "pkcs11", "cannot start", &why);
		return EXIT_BAD_USAGE;
	}
	const struct token_options options = {.module = argv[2], .label = argv[3], .key = argv[4], .pin_file = argv[5]};
	enum err err = confine_module(argv[1], &why);
	if (err == ERR_NONE)
		err = token_open(&options, &token, &why);
	if (err != ERR_NONE) {
		log_why(LOG_LEVEL_ERROR, "pkcs11", "cannot start", &why);
		return EXIT_FAULT;
	}
	return serve_until_closed(token);
}
