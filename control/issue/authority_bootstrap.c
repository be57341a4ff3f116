/* The bootstrap root gets a successor (decision 071). Nothing of it is in the key folder: the store has its key, sealed
 * by that of the first bootstrap root, and the network process brings it at each start. */
#include "base/core/check.h"
#include "base/core/mem.h"
#include "control/issue/authority_private.h"

const struct key_pair *authority_bootstrap_of(const struct authority *authority)
{
	return authority->successor.key == NULL ? &authority->bootstrap : &authority->successor;
}

void authority_bootstrap_done(struct authority *authority)
{
	key_pair_done(&authority->successor);
	buf_done(&authority->cross);
	buf_done(&authority->former_bootstrap);
}

/* Subject and issuer have one name: it is self-issued, and does not count against the path length of 0 that every
 * bootstrap root has (RFC 5280 4.2.1.9). A sidecar that pins the one in use accepts the successor by it. */
static enum err make_cross(
	const struct authority *authority, const struct key_pair *made, struct buf *out, struct why *why)
{
	const struct key_pair *above = authority_bootstrap_of(authority);
	_cleanup_(buf_done) struct buf spki = BUF_INIT(CERTIFICATE_MAX);
	_cleanup_(mem_freep) char *uri = mem_printf("spiffe://%s", authority->options.trust_domain.name);
	_cleanup_(mem_freep) char *name = mem_printf("handfast %s", authority_bootstrap_kind.title);
	int64_t from, to, above_from, above_to;
	RETURN_IF_ERR(private_key_public(made->key, &spki));
	RETURN_IF_ERR(certificate_validity(buf_span(&made->certificate), &from, &to));
	RETURN_IF_ERR(certificate_validity(buf_span(&above->certificate), &above_from, &above_to));
	const struct certificate_spec spec = {.kind = authority_bootstrap_kind.kind,
		.name = name,
		.uri = span_of_str(uri),
		.spki = buf_span(&spki),
		.not_before_s = from > above_from ? from : above_from,
		.not_after_s = to < above_to ? to : above_to,
		.issuer = buf_span(&above->certificate),
		.issuer_key = above->key};
	if (spec.not_before_s >= spec.not_after_s)
		return why_set(why, ERR_EXPIRED, "a bootstrap root that is still valid",
			"begin the mesh anew: an empty state_dir, and new join tokens for all sidecars: `handfast "
			"token create`",
			"the bootstrap root has expired, and no sidecar would accept its successor");
	return certificate_make(&spec, out, why);
}

enum err authority_prepare_bootstrap(
	struct authority *authority, uint64_t epoch, struct bootstrap_made *out, struct why *why)
{
	_cleanup_(key_pair_done) struct key_pair made = {0};
	RETURN_IF_ERR(authority_check_epoch(authority, epoch, why));
	RETURN_IF_ERR(authority_make_ca(authority, &authority_bootstrap_kind, NULL, &made, why));
	RETURN_IF_ERR(make_cross(authority, &made, &out->cross, why));
	RETURN_IF_ERR(buf_append(&out->certificate, buf_span(&made.certificate)));
	return authority_seal(authority, &made, &out->sealed);
}

static enum err check_cross(const struct bootstrap_request *request, const struct key_pair *successor, struct why *why)
{
	if (request->cross.len == 0 && request->former.len == 0)
		return ERR_NONE;
	if (certificate_matches(request->cross, successor->key) == ERR_NONE &&
		certificate_is_signed_by(request->cross, request->former) == ERR_NONE)
		return ERR_NONE;
	return why_set(why, ERR_STATE_DAMAGED, "the successor's certificate by the former bootstrap root",
		"restore the store from a backup; nothing was overwritten",
		"the cross-signed certificate does not belong to both bootstrap roots");
}

static enum err keep(struct buf *out, struct span der)
{
	buf_done(out);
	buf_init(out, CERTIFICATE_MAX);
	return buf_append(out, der);
}

enum err authority_use_bootstrap(struct authority *authority, const struct bootstrap_request *request, struct why *why)
{
	_cleanup_(key_pair_done) struct key_pair successor = {0};
	RETURN_IF_ERR(authority_check_epoch(authority, request->epoch, why));
	if (request->certificate.len > CERTIFICATE_MAX || request->cross.len > CERTIFICATE_MAX ||
		request->former.len > CERTIFICATE_MAX)
		return why_set(why, ERR_TOO_LARGE, "certificates of at most 4,096 bytes", "report this as a defect",
			"a certificate of the bootstrap root's successor is larger");
	RETURN_IF_ERR(authority_open_sealed(authority, request->certificate, request->sealed, &successor, why));
	RETURN_IF_ERR(check_cross(request, &successor, why));
	CHECK(keep(&authority->cross, request->cross) == ERR_NONE);
	CHECK(keep(&authority->former_bootstrap, request->former) == ERR_NONE);
	key_pair_done(&authority->successor);
	authority->successor = successor;
	successor = (struct key_pair){0};
	return ERR_NONE;
}
