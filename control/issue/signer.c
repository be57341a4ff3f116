#include "control/issue/signer.h"
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "control/issue/authority.h"
#include "control/issue/certificate.h"
#include "control/issue/confine.h"
#include "control/issue/revocation_list.h"
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
	add_cert(answer, &authority_bootstrap_of(authority)->certificate);
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
	bool is_federation = request->kind == WIRE_FEDERATION;
	RETURN_IF_ERR(is_federation ? authority_sign_federation(authority, &leaf_request, leaf, why)
				    : authority_sign_leaf(authority, &leaf_request, leaf, why));
	add_cert(answer, leaf);
	add_cert(answer, &authority->intermediate.certificate);
	for (size_t i = 0; i < KEY_PAIR_ABOVE_MAX && buf_len(&authority->intermediate.above[i]) > 0; i++)
		add_cert(answer, &authority->intermediate.above[i]);
	return ERR_NONE;
}

static enum err request_intermediate(
	struct authority *authority, uint64_t epoch, struct buf *out, struct wire_answer *answer, struct why *why)
{
	RETURN_IF_ERR(authority_request_intermediate(authority, epoch, out, why));
	answer->sealed = buf_span(out);
	return ERR_NONE;
}

static enum err import(
	struct authority *authority, const struct wire_request *request, struct wire_answer *answer, struct why *why)
{
	const struct import_request import = {request->epoch, request->certificate, request->sha256};
	struct imported imported = {0};
	RETURN_IF_ERR(request->kind == WIRE_IMPORT ? authority_import(authority, &import, &imported, why)
						   : authority_import_files(authority, &import, &imported, why));
	answer->certs[0] = imported.root;
	answer->certs[1] = imported.intermediate;
	answer->num_certs = 2;
	return ERR_NONE;
}

/* The one in use stands before the former one: a sidecar that pins both takes the first. */
static enum err sign_control(struct authority *authority, const struct wire_request *request, struct buf *leaf,
	struct wire_answer *answer, struct why *why)
{
	struct leaf_request leaf_request = {request->epoch, request->spiffe_id, request->spki, request->ttl_s};
	RETURN_IF_ERR(authority_sign_control(authority, &leaf_request, leaf, why));
	add_cert(answer, leaf);
	if (buf_len(&authority->cross) > 0)
		add_cert(answer, &authority->cross);
	add_cert(answer, &authority_bootstrap_of(authority)->certificate);
	if (buf_len(&authority->former_bootstrap) > 0)
		add_cert(answer, &authority->former_bootstrap);
	return ERR_NONE;
}

static enum err prepare_bootstrap(struct authority *authority, const struct wire_request *request,
	struct bootstrap_made *made, struct wire_answer *answer, struct why *why)
{
	RETURN_IF_ERR(authority_prepare_bootstrap(authority, request->epoch, made, why));
	add_cert(answer, &made->certificate);
	add_cert(answer, &made->cross);
	answer->sealed = buf_span(&made->sealed);
	return ERR_NONE;
}

static enum err use_bootstrap(
	struct authority *authority, const struct wire_request *request, struct wire_answer *answer, struct why *why)
{
	const struct bootstrap_request use = {
		request->epoch, request->certificate, request->sealed, request->cross, request->former};
	RETURN_IF_ERR(authority_use_bootstrap(authority, &use, why));
	show(authority, answer);
	return ERR_NONE;
}

static enum err prepare_root(struct authority *authority, const struct root_request *root, struct buf *sealed,
	struct wire_answer *answer, struct why *why)
{
	RETURN_IF_ERR(authority_prepare_root(authority, root, sealed, why));
	add_cert(answer, &authority->next_root.certificate);
	answer->sealed = buf_span(sealed);
	return ERR_NONE;
}

static enum err renew_intermediate(
	struct authority *authority, uint64_t epoch, struct wire_answer *answer, struct why *why)
{
	RETURN_IF_ERR(authority_renew_intermediate(authority, epoch, why));
	show(authority, answer);
	return ERR_NONE;
}

static enum err activate_root(
	struct authority *authority, const struct root_request *root, struct wire_answer *answer, struct why *why)
{
	RETURN_IF_ERR(authority_activate_root(authority, root, why));
	show(authority, answer);
	return ERR_NONE;
}

static enum err jwt_keys(
	struct authority *authority, const struct wire_request *request, struct wire_answer *answer, struct why *why)
{
	RETURN_IF_ERR(authority_jwt_keys(authority, request->epoch, why));
	add_cert(answer, &authority->jwt.spki);
	add_cert(answer, &authority->next_jwt.spki);
	return ERR_NONE;
}

static enum err sign_jwt(struct authority *authority, const struct wire_request *request, struct buf *token,
	struct wire_answer *answer, struct why *why)
{
	const struct jwt_request jwt = {request->epoch, request->spiffe_id, request->audience};
	RETURN_IF_ERR(authority_sign_jwt(authority, &jwt, token, why));
	answer->sealed = buf_span(token);
	return ERR_NONE;
}

static enum err sign_list(struct authority *authority, const struct wire_request *request, struct buf *list,
	struct wire_answer *answer, struct why *why)
{
	const struct list_request sign = {
		request->epoch, request->sha256, request->sealed, request->above, request->ttl_s};
	RETURN_IF_ERR(authority_sign_list(authority, &sign, list, why));
	answer->sealed = buf_span(list);
	return ERR_NONE;
}

/* made: memory for what the answer points to */
static enum err serve(struct authority *authority, const struct wire_request *request, struct bootstrap_made *made,
	struct wire_answer *answer, struct why *why)
{
	const struct store_mark mark = mark_of(request);
	struct buf *out = &made->certificate;
	const struct root_request root = {request->epoch, request->certificate, request->sealed, request->sha256};
	switch (request->kind) {
	case WIRE_AUTHORITIES:
		authority_keep_fresh(authority, request->epoch);
		show(authority, answer);
		return ERR_NONE;
	case WIRE_NOTE:
		return authority_note(authority, &mark, why);
	case WIRE_JUDGE:
	case WIRE_INTRODUCE:
		return introduce(authority, request, answer, why);
	case WIRE_CONTROL:
		return sign_control(authority, request, out, answer, why);
	case WIRE_LEAF:
	case WIRE_FEDERATION:
		return sign(authority, request, out, answer, why);
	case WIRE_PREPARE_ROOT:
		return prepare_root(authority, &root, out, answer, why);
	case WIRE_ADOPT_ROOT:
		return authority_adopt_root(authority, &root, why);
	case WIRE_ACTIVATE_ROOT:
		return activate_root(authority, &root, answer, why);
	case WIRE_RENEW_INTERMEDIATE:
		return renew_intermediate(authority, request->epoch, answer, why);
	case WIRE_FORGET_ROOT:
		return authority_forget_root(authority, &root, why);
	case WIRE_JWT_KEYS:
		return jwt_keys(authority, request, answer, why);
	case WIRE_JWT_SIGN:
		return sign_jwt(authority, request, out, answer, why);
	case WIRE_REQUEST_INTERMEDIATE:
		return request_intermediate(authority, request->epoch, out, answer, why);
	case WIRE_IMPORT:
	case WIRE_IMPORT_FILES:
		return import(authority, request, answer, why);
	case WIRE_LIST:
		return sign_list(authority, request, &made->sealed, answer, why);
	case WIRE_PREPARE_BOOTSTRAP:
		return prepare_bootstrap(authority, request, made, answer, why);
	case WIRE_USE_BOOTSTRAP:
		return use_bootstrap(authority, request, answer, why);
	}
	return ERR_UNSUPPORTED;
}

static void made_done(struct bootstrap_made *made)
{
	buf_done(&made->certificate);
	buf_done(&made->cross);
	buf_done(&made->sealed);
}

static enum err answer_one(struct authority *authority, int fd, struct span bytes)
{
	struct wire_request request;
	RETURN_IF_ERR(wire_request_parse(bytes, &request));
	_cleanup_(made_done) struct bootstrap_made made = {
		BUF_INIT(CERTIFICATE_MAX), BUF_INIT(CERTIFICATE_MAX), BUF_INIT(REVOCATION_LIST_MAX)};
	_cleanup_(buf_done) struct buf out = BUF_INIT(WIRE_MAX);
	struct wire_answer answer = {.id = request.id};
	struct why why = {0};
	char text[700] = "";
	answer.err = serve(authority, &request, &made, &answer, &why);
	if (answer.err != ERR_NONE) {
		answer.num_certs = 0;
		answer.sealed = (struct span){0};
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

static const char *optional(const char *argument)
{
	return argument[0] == 0 ? NULL : argument;
}

static enum err read_arguments(int argc, char **argv, int *out_fd, struct authority_options *out)
{
	int64_t fd, leaf, intermediate, root, policy;
	if (argc != 13)
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
	out->own_certificate = optional(argv[9]);
	out->own_key = optional(argv[10]);
	out->own_root = optional(argv[11]);
	out->token_fd = argv[12][0] == 0 ? 0 : SIGNER_TOKEN_FD;
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
	if (read_arguments(argc, argv, &fd, &options) != ERR_NONE) {
		(void)why_set(&why, ERR_CONFIG, "handfast-control, which starts the signer by itself",
			"run the control plane", "the signer's %d arguments are not its own", argc - 2);
		log_why(LOG_LEVEL_ERROR, "signer", "cannot start", &why);
		return EXIT_BAD_USAGE;
	}
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
