#include "control/issue/signer.h"
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "control/issue/authority.h"
#include "control/issue/certificate.h"
#include "control/issue/confine.h"
#include "control/issue/wire.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define EXIT_BAD_USAGE 64
#define EXIT_FAULT     70

static void add_cert(struct wire_answer *answer, const struct buf *der)
{
	CHECK(answer->num_certs < WIRE_CERTS_MAX);
	answer->certs[answer->num_certs++] = buf_span(der);
}

static struct store_mark mark_of(const struct wire_request *request)
{
	return (struct store_mark){request->epoch, request->incarnation, request->revision};
}

static void show(struct authority *authority, struct wire_answer *answer)
{
	add_cert(answer, &authority->bootstrap.certificate);
	add_cert(answer, &authority->root.certificate);
	add_cert(answer, &authority->intermediate.certificate);
}

static enum err introduce(
	struct authority *authority, const struct wire_request *request, struct wire_answer *answer, struct why *why)
{
	const struct store_mark mark = mark_of(request);
	RETURN_IF_ERR(request->kind == WIRE_JUDGE ? authority_judge(authority, &mark, why)
						  : authority_begin_epoch(authority, &mark, why));
	show(authority, answer);
	return ERR_NONE;
}

static enum err sign(struct authority *authority, const struct wire_request *request, struct buf *leaf,
	struct wire_answer *answer, struct why *why)
{
	struct leaf_request leaf_request = {request->epoch, request->spiffe_id, request->spki, request->ttl_s};
	bool is_control = request->kind == WIRE_CONTROL;
	RETURN_IF_ERR(is_control ? authority_sign_control(authority, &leaf_request, leaf, why)
				 : authority_sign_leaf(authority, &leaf_request, leaf, why));
	add_cert(answer, leaf);
	add_cert(answer, is_control ? &authority->bootstrap.certificate : &authority->intermediate.certificate);
	return ERR_NONE;
}

static enum err serve(struct authority *authority, const struct wire_request *request, struct buf *leaf,
	struct wire_answer *answer, struct why *why)
{
	const struct store_mark mark = mark_of(request);
	switch (request->kind) {
	case WIRE_AUTHORITIES:
		show(authority, answer);
		return ERR_NONE;
	case WIRE_NOTE:
		return authority_note(authority, &mark, why);
	case WIRE_JUDGE:
	case WIRE_INTRODUCE:
		return introduce(authority, request, answer, why);
	case WIRE_LEAF:
	case WIRE_CONTROL:
		return sign(authority, request, leaf, answer, why);
	}
	return ERR_UNSUPPORTED;
}

static enum err answer_one(struct authority *authority, int fd, struct span bytes)
{
	struct wire_request request;
	RETURN_IF_ERR(wire_request_parse(bytes, &request));
	_cleanup_(buf_done) struct buf leaf = BUF_INIT(CERTIFICATE_MAX);
	_cleanup_(buf_done) struct buf out = BUF_INIT(WIRE_MAX);
	struct wire_answer answer = {.id = request.id};
	struct why why = {0};
	char text[700] = "";
	answer.err = serve(authority, &request, &leaf, &answer, &why);
	if (answer.err != ERR_NONE) {
		answer.num_certs = 0;
		answer.text = span_of_str(why_format(&why, text, sizeof text));
	}
	RETURN_IF_ERR(wire_answer_encode(&answer, &out));
	return send(fd, buf_span(&out).ptr, buf_len(&out), MSG_NOSIGNAL) < 0 ? ERR_IO : ERR_NONE;
}

static int serve_until_closed(struct authority *authority, int fd)
{
	static uint8_t bytes[WIRE_MAX];
	for (;;) {
		ssize_t len = recv(fd, bytes, sizeof bytes, 0);
		if (len < 0 && errno == EINTR)
			continue;
		if (len == 0)
			return EXIT_SUCCESS;
		if (len < 0 || answer_one(authority, fd, span_of(bytes, (size_t)len)) != ERR_NONE)
			return EXIT_FAULT;
	}
}

static enum err parse_number(const char *text, int64_t *out)
{
	int64_t value = 0;
	if (*text == 0)
		return ERR_CONFIG;
	for (; *text != 0; text++)
		if (*text < '0' || *text > '9' || __builtin_mul_overflow(value, 10, &value) ||
			__builtin_add_overflow(value, *text - '0', &value))
			return ERR_CONFIG;
	*out = value;
	return ERR_NONE;
}

static enum err read_arguments(int argc, char **argv, int *out_fd, struct authority_options *out)
{
	int64_t fd, leaf, intermediate, root, policy;
	if (argc != 9)
		return ERR_CONFIG;
	RETURN_IF_ERR(parse_number(argv[2], &fd));
	RETURN_IF_ERR(parse_number(argv[5], &leaf));
	RETURN_IF_ERR(parse_number(argv[6], &intermediate));
	RETURN_IF_ERR(parse_number(argv[7], &root));
	RETURN_IF_ERR(parse_number(argv[8], &policy));
	if (policy > KEYS_TAKE_ANY_STORE)
		return ERR_CONFIG;
	out->policy = (enum key_policy)policy;
	RETURN_IF_ERR(trust_domain_parse(span_of_str(argv[4]), &out->trust_domain, NULL));
	out->folder = argv[3];
	out->max_leaf_ttl_s = leaf;
	out->intermediate_life_s = intermediate;
	out->root_life_s = root;
	out->clock = &clock_system;
	*out_fd = (int)fd;
	return ERR_NONE;
}

int signer_main(int argc, char **argv)
{
	struct authority_options options = {0};
	struct authority authority;
	struct why why = {0};
	int fd;
	log_open("handfast-control signer");
	/* Ctrl-C at the terminal ends the network process, and its end ends the signer. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	if (read_arguments(argc, argv, &fd, &options) != ERR_NONE)
		return EXIT_BAD_USAGE;
	enum err err = confine_signer(&why);
	if (err == ERR_NONE)
		err = authority_open(&authority, &options, &why);
	if (err != ERR_NONE) {
		log_why(LOG_LEVEL_ERROR, "signer", "cannot start", &why);
		return err == ERR_STATE_DAMAGED ? SIGNER_EXIT_BAD_STATE : EXIT_FAULT;
	}
	int code = serve_until_closed(&authority, fd);
	authority_done(&authority);
	return code;
}
