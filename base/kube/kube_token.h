/* The bearer token of a configuration. A token file is replaced while we run (kubelet renews a projected token at 80 %
 * of its life), so it is read anew. Private to base/kube. */
#pragma once

#include "base/kube/kube_config.h"

#define KUBE_TOKEN_REREAD_MS 30000

struct kube_token {
	const struct kube_config *config;
	struct buf text;     /* empty: none */
	uint64_t read_at_ms; /* monotonic */
	bool has_read;
	uint32_t generation; /* increases when the text changes */
};

void kube_token_init(struct kube_token *token, const struct kube_config *config);
void kube_token_done(struct kube_token *token); /* wipes */
/* Reads the file if it was not read for KUBE_TOKEN_REREAD_MS, or `now`. Where it cannot be read the former text stays.
 * Fails only where there is a file and was never a text. */
enum err kube_token_refresh(struct kube_token *token, uint64_t mono_ms, bool now, struct why *why) _must_use_;
