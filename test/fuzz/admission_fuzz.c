/* Whatever a stranger sends to the webhook is refused, or has an answer that allows, patches or refuses. */
#include "base/core/check.h"
#include "control/kube/admission.h"
#include "control/kube/admission_strip.h"
#include "test/fuzz/fuzz.h"
#include <string.h>

static void on_namespace(void *arg, struct inject_namespace *out)
{
	(void)arg;
	out->pod_security = strcmp(out->name, "hard") == 0 ? "restricted" : NULL;
}

static void check_answer(const struct buf *answer, enum inject_verdict verdict)
{
	json_t *root = json_loadb((const char *)buf_span(answer).ptr, buf_len(answer), 0, NULL);
	const json_t *response = json_object_get(root, "response");
	CHECK(json_is_true(json_object_get(response, "allowed")) == (verdict != INJECT_REFUSE));
	CHECK((json_object_get(response, "patch") != NULL) == (verdict == INJECT_CHANGE));
	CHECK((json_object_get(response, "status") != NULL) == (verdict == INJECT_REFUSE));
	json_decref(root);
}

/* What is left of JSON is JSON. */
static void check_strip(struct span body)
{
	_cleanup_(buf_done) struct buf stripped = BUF_INIT(ADMISSION_BODY_MAX);
	json_t *before = json_loadb((const char *)body.ptr, body.len, 0, NULL);
	if (before != NULL && admission_strip(body, &stripped) == ERR_NONE) {
		json_t *after = json_loadb(buf_cstr(&stripped), buf_len(&stripped), 0, NULL);
		CHECK(after != NULL);
		json_decref(after);
	}
	json_decref(before);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static const struct inject_options options = {
		.sidecar_image = "sidecar",
		.init_image = "init",
		.version = "1",
		.trust_domain = "td",
		.own_namespace = "handfast-system",
		.control_address = "192.0.2.1:15012",
		.bootstrap_root_sha256 = "00",
		.audience = "handfast",
	};
	const struct admission admission = {.options = &options, .on_namespace = on_namespace};
	_cleanup_(buf_done) struct buf answer = BUF_INIT(ADMISSION_ANSWER_MAX);
	struct admission_outcome outcome;
	struct why why = {0};
	enum err err = admission_review(&admission, span_of(bytes, len), &answer, &outcome, &why);
	CHECK(err == why.err);
	check_strip(span_of(bytes, len));
	if (err == ERR_NONE)
		check_answer(&answer, outcome.verdict);
	return 0;
}
