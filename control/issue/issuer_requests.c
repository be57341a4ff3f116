/* The messages that the callers of issuer.h may send. */
#include "control/issue/issuer_private.h"

struct issuer_request *issuer_poll(struct issuer *issuer, issuer_done_fn *on_done, void *arg)
{
	return issuer_send(issuer, &(struct wire_request){.kind = WIRE_AUTHORITIES}, on_done, arg);
}

struct issuer_request *issuer_issue(struct issuer *issuer, const struct spiffe_id *id, struct span spki, int64_t ttl_s,
	issuer_done_fn *on_done, void *arg)
{
	struct wire_request leaf = {.kind = WIRE_LEAF, .ttl_s = ttl_s, .spiffe_id = spiffe_id_text(id), .spki = spki};
	return issuer_send(issuer, &leaf, on_done, arg);
}

void issuer_issue_control(struct issuer *issuer, struct span spki, int64_t ttl_s, issuer_done_fn *on_done, void *arg)
{
	struct wire_request leaf = {.kind = WIRE_CONTROL, .ttl_s = ttl_s, .spki = spki};
	(void)issuer_send(issuer, &leaf, on_done, arg);
}

struct issuer_request *issuer_issue_federation(
	struct issuer *issuer, struct span spki, int64_t ttl_s, issuer_done_fn *on_done, void *arg)
{
	struct wire_request leaf = {.kind = WIRE_FEDERATION, .ttl_s = ttl_s, .spki = spki};
	return issuer_send(issuer, &leaf, on_done, arg);
}

struct issuer_request *issuer_jwt_keys(struct issuer *issuer, issuer_done_fn *on_done, void *arg)
{
	return issuer_send(issuer, &(struct wire_request){.kind = WIRE_JWT_KEYS}, on_done, arg);
}

struct issuer_request *issuer_sign_jwt(
	struct issuer *issuer, const struct spiffe_id *id, struct span audience, issuer_done_fn *on_done, void *arg)
{
	struct wire_request token = {.kind = WIRE_JWT_SIGN, .spiffe_id = spiffe_id_text(id), .audience = audience};
	return issuer_send(issuer, &token, on_done, arg);
}

struct issuer_request *issuer_prepare_root(struct issuer *issuer, issuer_done_fn *on_done, void *arg)
{
	return issuer_send(issuer, &(struct wire_request){.kind = WIRE_PREPARE_ROOT}, on_done, arg);
}

struct issuer_request *issuer_adopt_root(
	struct issuer *issuer, struct span certificate, struct span sealed, issuer_done_fn *on_done, void *arg)
{
	struct wire_request adopt = {.kind = WIRE_ADOPT_ROOT, .certificate = certificate, .sealed = sealed};
	return issuer_send(issuer, &adopt, on_done, arg);
}

struct issuer_request *issuer_activate_root(
	struct issuer *issuer, const uint8_t sha256[DIGEST_LEN], issuer_done_fn *on_done, void *arg)
{
	struct wire_request activate = {.kind = WIRE_ACTIVATE_ROOT, .sha256 = span_of(sha256, DIGEST_LEN)};
	return issuer_send(issuer, &activate, on_done, arg);
}

struct issuer_request *issuer_forget_root(
	struct issuer *issuer, const uint8_t sha256[DIGEST_LEN], issuer_done_fn *on_done, void *arg)
{
	struct wire_request forget = {.kind = WIRE_FORGET_ROOT, .sha256 = span_of(sha256, DIGEST_LEN)};
	return issuer_send(issuer, &forget, on_done, arg);
}

struct issuer_request *issuer_renew_intermediate(struct issuer *issuer, issuer_done_fn *on_done, void *arg)
{
	return issuer_send(issuer, &(struct wire_request){.kind = WIRE_RENEW_INTERMEDIATE}, on_done, arg);
}

struct issuer_request *issuer_request_intermediate(struct issuer *issuer, issuer_done_fn *on_done, void *arg)
{
	return issuer_send(issuer, &(struct wire_request){.kind = WIRE_REQUEST_INTERMEDIATE}, on_done, arg);
}

struct issuer_request *issuer_import(
	struct issuer *issuer, struct span pem, struct span root_sha256, issuer_done_fn *on_done, void *arg)
{
	struct wire_request import = {
		.kind = pem.len > 0 ? WIRE_IMPORT : WIRE_IMPORT_FILES, .certificate = pem, .sha256 = root_sha256};
	return issuer_send(issuer, &import, on_done, arg);
}

struct issuer_request *issuer_prepare_bootstrap(struct issuer *issuer, issuer_done_fn *on_done, void *arg)
{
	return issuer_send(issuer, &(struct wire_request){.kind = WIRE_PREPARE_BOOTSTRAP}, on_done, arg);
}

struct issuer_request *issuer_use_bootstrap(
	struct issuer *issuer, const struct bootstrap_request *use, issuer_done_fn *on_done, void *arg)
{
	struct wire_request message = {.kind = WIRE_USE_BOOTSTRAP,
		.certificate = use->certificate,
		.sealed = use->sealed,
		.cross = use->cross,
		.former = use->former};
	return issuer_send(issuer, &message, on_done, arg);
}

struct issuer_request *issuer_sign_list(
	struct issuer *issuer, const struct list_request *list, issuer_done_fn *on_done, void *arg)
{
	struct wire_request message = {.kind = WIRE_LIST,
		.sha256 = list->sha256,
		.sealed = list->entries,
		.above = list->above,
		.ttl_s = list->life_s};
	return issuer_send(issuer, &message, on_done, arg);
}
