/* The authorities that the signer uses, for status, conditions and metrics. */
#include "base/core/check.h"
#include "base/core/log.h"
#include "control/issue/certificate.h"
#include "control/serve/serve_private.h"

void authorities_copy(struct serve *serve)
{
	CHECK(serve->options.num_authorities <= sizeof serve->authorities / sizeof serve->authorities[0]);
	for (size_t i = 0; i < serve->options.num_authorities; i++) {
		const struct serve_authority *from = &serve->options.authorities[i];
		buf_init(&serve->authorities[i].der, 8192);
		if (buf_append(&serve->authorities[i].der, from->der) != ERR_NONE)
			continue;
		serve->authorities[i].not_before_s = from->not_before_s;
		serve->authorities[i].not_after_s = from->not_after_s;
		serve->authority_kinds[i] = from->kind;
		serve->num_authorities++;
	}
}

/* The intermediate changes every few days; status shows the present one. */
void authorities_changed(void *arg, const struct issued *issued)
{
	struct serve *serve = arg;
	for (size_t i = 0; i < issued->num_chain && i < serve->num_authorities; i++) {
		struct buf *der = &serve->authorities[i].der;
		int64_t from_s, to_s;
		if (span_eq(buf_span(der), issued->chain[i]) ||
			certificate_validity(issued->chain[i], &from_s, &to_s) != ERR_NONE)
			continue;
		buf_clear(der);
		if (buf_append(der, issued->chain[i]) != ERR_NONE)
			continue; /* larger than any of ours */
		serve->authorities[i].not_before_s = from_s;
		serve->authorities[i].not_after_s = to_s;
		log_notice("serve", "the signer has a new %s", serve->authority_kinds[i]);
	}
}

void serve_bootstrap_replaced(struct serve *serve, const struct issued *authorities)
{
	authorities_changed(serve, authorities);
	server_identity_renew(serve->options.identity);
}

void serve_root_replaced(struct serve *serve, const struct issued *authorities)
{
	authorities_changed(serve, authorities);
	identity_push_slots(serve);
}
