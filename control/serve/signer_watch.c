#include "control/serve/signer_watch.h"
#include "base/core/check.h"
#include "base/core/log.h"
#include <inttypes.h>

void signer_watch_init(
	struct signer_watch *watch, struct loop *loop, struct issuer *issuer, signer_watch_fn *on_answer, void *arg)
{
	CHECK(on_answer != NULL);
	*watch = (struct signer_watch){.loop = loop, .issuer = issuer, .on_answer = on_answer, .arg = arg};
}

void signer_watch_done(struct signer_watch *watch)
{
	if (watch->request != NULL)
		issuer_abandon(watch->request);
	watch->request = NULL;
}

uint64_t signer_watch_wait_ms(const struct signer_watch *watch)
{
	return watch->request == NULL ? 0 : loop_now_ms(watch->loop) - watch->asked_ms;
}

static void on_answered(void *arg, enum err err, const struct issued *issued, _unused_ const struct why *why)
{
	struct signer_watch *watch = arg;
	CHECK(watch->request != NULL);
	if (watch->is_late)
		log_notice("signer", "the signer answers again, after %" PRIu64 " ms", signer_watch_wait_ms(watch));
	watch->request = NULL;
	watch->is_late = false;
	if (err == ERR_NONE)
		watch->on_answer(watch->arg, issued);
}

void signer_watch_poll(struct signer_watch *watch)
{
	struct why why = {0};
	uint64_t wait_ms = signer_watch_wait_ms(watch);
	if (watch->request == NULL && loop_now_ms(watch->loop) - watch->asked_ms >= SIGNER_WATCH_EACH_MS) {
		watch->asked_ms = loop_now_ms(watch->loop);
		watch->request = issuer_poll(watch->issuer, on_answered, watch);
	} else if (wait_ms >= SIGNER_WATCH_LATE_MS && !watch->is_late) {
		watch->is_late = true;
		(void)why_set(&why, ERR_TIMEOUT, "an answer of the signer within 5 s",
			"check whether its process is stopped or its disk hangs, and restart the control plane",
			"the signer has not answered");
		log_why(LOG_LEVEL_ERROR, "signer", "no certificate can be made", &why);
	}
}
