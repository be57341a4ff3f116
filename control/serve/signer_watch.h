/* Polls the signer: whether it answers, and which authorities it uses now. */
#pragma once

#include "base/core/buf.h"
#include "control/issue/issuer.h"

#define SIGNER_WATCH_EACH_MS 5000
#define SIGNER_WATCH_LATE_MS 5000 /* after this the signer counts as hung */

/* chain: bootstrap root, root, intermediate; borrowed. */
typedef void signer_watch_fn(void *arg, const struct issued *issued);

struct signer_watch { /* in the owner's storage */
	struct loop *loop;
	struct issuer *issuer;
	signer_watch_fn *on_answer;
	void *arg;
	struct issuer_request *request; /* NULL: none under way */
	uint64_t asked_ms;
	bool is_late; /* logged */
};
void signer_watch_init(
	struct signer_watch *watch, struct loop *loop, struct issuer *issuer, signer_watch_fn *on_answer, void *arg);
void signer_watch_done(struct signer_watch *watch);
void signer_watch_poll(struct signer_watch *watch); /* about once per second */
/* How long the request under way has waited for its answer; 0: none under way. */
uint64_t signer_watch_wait_ms(const struct signer_watch *watch);
