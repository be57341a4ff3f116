#include "control/kube/admission.h"

#include "base/core/base64.h"
#include "base/core/check.h"
#include "base/json/json_put.h"
#include "base/json/json_read.h"
#include "control/kube/admission_strip.h"
#include <stdio.h>
#include <string.h>

#define EXPECTED "an AdmissionReview of admission.k8s.io/v1 with a request"
#define FIX      "register this URL as a webhook for the creation of pods, and nothing else"

enum { UID_MAX = 256 };

bool admission_is_of_pods(struct span beginning)
{
	static const char pods[] = "\"resource\":\"pods\"";
	size_t len = beginning.len < ADMISSION_BEGINNING ? beginning.len : ADMISSION_BEGINNING;
	return len > 0 && memmem(beginning.ptr, len, pods, sizeof(pods) - 1) != NULL;
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text != NULL ? text : "";
}

static enum err parse(struct span body, json_t **out, struct why *why)
{
	json_error_t error;
	_cleanup_(buf_done) struct buf stripped = BUF_INIT(ADMISSION_BODY_MAX);
	if (admission_strip(body, &stripped) != ERR_NONE)
		return why_set(why, ERR_LIMIT, "a review of at most 3 MiB with at most 50,000 values", FIX,
			"the body has %zu bytes, or too many values", body.len);
	json_t *root = json_read(buf_span(&stripped), &error);
	if (root == NULL)
		return why_set(
			why, ERR_MALFORMED, EXPECTED, FIX, "the body is not JSON: line %d, %s", error.line, error.text);
	*out = root;
	return ERR_NONE;
}

static enum err check(const json_t *root, struct why *why)
{
	const json_t *request = json_object_get(root, "request");
	size_t uid_len = strlen(text_of(request, "uid"));
	if (strcmp(text_of(root, "kind"), "AdmissionReview") != 0 || !json_is_object(request) || uid_len == 0 ||
		uid_len > UID_MAX)
		return why_set(why, ERR_MALFORMED, EXPECTED, FIX, "the body has kind '%s', and %s request",
			text_of(root, "kind"), json_is_object(request) ? "a" : "no");
	if (strcmp(text_of(root, "apiVersion"), "admission.k8s.io/v1") != 0)
		return why_set(why, ERR_UNSUPPORTED, EXPECTED, "set admissionReviewVersions: [v1]",
			"the review has version %s", text_of(root, "apiVersion"));
	return ERR_NONE;
}

/* The creation of a pod itself: not of its subresources, and no other resource. */
static bool is_creation(const json_t *request)
{
	const json_t *resource = json_object_get(request, "resource");
	return strcmp(text_of(request, "operation"), "CREATE") == 0 && text_of(request, "subResource")[0] == '\0' &&
	       text_of(resource, "group")[0] == '\0' && strcmp(text_of(resource, "resource"), "pods") == 0 &&
	       json_is_object(json_object_get(request, "object"));
}

/* A pod of a Deployment has no name yet, but the beginning of one. */
static void describe(const json_t *request, struct admission_outcome *outcome)
{
	const json_t *metadata = json_object_get(json_object_get(request, "object"), "metadata");
	const char *name = text_of(request, "name");
	if (name[0] == '\0')
		name = text_of(metadata, "generateName");
	snprintf(outcome->pod, sizeof(outcome->pod), "%.63s/%.120s", text_of(request, "namespace"), name);
}

static void refuse_length(struct inject_result *result)
{
	result->verdict = INJECT_REFUSE;
	(void)why_set(&result->detail, ERR_LIMIT, "a pod with a patch of at most 512 KiB",
		"shorten the probes of the pod's containers, or set the annotation handfast.dev/rewrite-probes: "
		"disabled",
		"the patch of this pod is too long");
}

static enum err put_json(struct buf *out, const char *before, json_t *value)
{
	enum err err = buf_append_str(out, before);
	if (err == ERR_NONE)
		err = buf_append_json(out, value, JSON_COMPACT | JSON_ENCODE_ANY);
	json_decref(value);
	return err;
}

static enum err put_refusal(struct buf *out, const struct why *why)
{
	char text[sizeof(struct why)];
	json_t *message = json_sprintf("handfast: %s", why_format(why, text, sizeof(text)));
	if (message == NULL) /* a name that was cut within a character */
		message = json_string("handfast: the pod is refused; the control plane's log has the reason");
	return put_json(out, ",\"allowed\":false,\"status\":",
		json_pack("{s:i, s:s, s:o}", "code", 422, "reason", "Invalid", "message", message));
}

static enum err put_patch(struct buf *out, struct span patch)
{
	RETURN_IF_ERR(buf_append_str(out, ",\"allowed\":true,\"patchType\":\"JSONPatch\",\"patch\":\""));
	RETURN_IF_ERR(base64_encode(patch, out));
	return buf_append_str(out, "\"");
}

static enum err put_verdict(struct buf *out, const struct inject_result *result, struct span patch)
{
	switch (result->verdict) {
	case INJECT_LEAVE:
		return buf_append_str(out, ",\"allowed\":true");
	case INJECT_REFUSE:
		return put_refusal(out, &result->detail);
	case INJECT_CHANGE:
		return put_patch(out, patch);
	}
	CHECK_UNREACHABLE();
}

/* Written as text: a tree of it would check and escape the base64 text, which is most of it, three times. */
static enum err encode(const struct inject_result *result, struct span patch, const char *uid, struct buf *out)
{
	RETURN_IF_ERR(put_json(out,
		"{\"apiVersion\":\"admission.k8s.io/v1\",\"kind\":\"AdmissionReview\",\"response\":{\"uid\":",
		json_string(uid)));
	RETURN_IF_ERR(put_verdict(out, result, patch));
	if (json_array_size(result->warnings) > 0)
		RETURN_IF_ERR(put_json(out, ",\"warnings\":", json_incref(result->warnings)));
	return buf_append_str(out, "}}");
}

static enum err answer(
	const struct admission *admission, const json_t *request, struct buf *out, struct admission_outcome *outcome)
{
	_cleanup_(buf_done) struct buf patch = BUF_INIT(ADMISSION_ANSWER_MAX / 2);
	struct inject_result result = {.warnings = NULL};
	struct inject_namespace ns = {.name = text_of(request, "namespace")};
	if (is_creation(request)) {
		admission->on_namespace(admission->arg, &ns);
		inject_pod(json_object_get(request, "object"), &ns, admission->options, &result);
	}
	if (result.verdict == INJECT_CHANGE && buf_append_json(&patch, result.patch, JSON_COMPACT) != ERR_NONE)
		refuse_length(&result);
	outcome->verdict = result.verdict;
	outcome->detail = result.detail;
	enum err err = encode(&result, buf_span(&patch), text_of(request, "uid"), out);
	inject_result_done(&result);
	return err;
}

enum err admission_review(const struct admission *admission, struct span body, struct buf *out,
	struct admission_outcome *outcome, struct why *why)
{
	json_t *root = NULL;
	*outcome = (struct admission_outcome){.verdict = INJECT_LEAVE};
	RETURN_IF_ERR(parse(body, &root, why));
	enum err err = check(root, why);
	if (err == ERR_NONE) {
		describe(json_object_get(root, "request"), outcome);
		err = answer(admission, json_object_get(root, "request"), out, outcome);
	}
	json_decref(root);
	return err;
}
