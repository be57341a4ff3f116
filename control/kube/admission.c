#include "control/kube/admission.h"

#include "base/core/base64.h"
#include "base/core/check.h"
#include "base/json/json_put.h"
#include <stdio.h>
#include <string.h>

#define EXPECTED "an AdmissionReview of admission.k8s.io/v1 with a request"
#define FIX      "register this URL as a webhook for the creation of pods, and nothing else"

enum { UID_MAX = 256 };

/* jansson takes 100 to 200 bytes for a value that is written in two: "[{},{},...". */
static bool has_too_many_values(struct span body)
{
	size_t num = 0;
	bool in_text = false;
	for (size_t i = 0; i < body.len; i++) {
		uint8_t byte = body.ptr[i];
		if (in_text && byte == '\\')
			i++;
		else if (byte == '"')
			in_text = !in_text;
		else if (!in_text && (byte == ',' || byte == '[' || byte == '{'))
			num++;
	}
	return num > ADMISSION_VALUES_MAX;
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text != NULL ? text : "";
}

static enum err parse(struct span body, json_t **out, struct why *why)
{
	json_error_t error;
	if (body.len > ADMISSION_BODY_MAX || has_too_many_values(body))
		return why_set(why, ERR_LIMIT, "a review of at most 3 MiB with at most 50,000 values", FIX,
			"the body has %zu bytes, or too many values", body.len);
	json_t *root = json_loadb((const char *)body.ptr, body.len, 0, &error);
	if (root == NULL)
		return why_set(
			why, ERR_MALFORMED, EXPECTED, FIX, "the body is no JSON: line %d, %s", error.line, error.text);
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

static json_t *base64_of(const json_t *patch)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT(ADMISSION_ANSWER_MAX / 2),
				       encoded = BUF_INIT(ADMISSION_ANSWER_MAX);
	if (buf_append_json(&text, patch, JSON_COMPACT) != ERR_NONE ||
		base64_encode(buf_span(&text), &encoded) != ERR_NONE)
		return NULL;
	return json_string(buf_cstr(&encoded));
}

static json_t *refusal_of(const struct why *why)
{
	char text[sizeof(struct why)];
	json_t *message = json_sprintf("handfast: %s", why_format(why, text, sizeof(text)));
	return json_pack("{s:b, s:{s:i, s:s, s:o}}", "allowed", 0, "status", "code", 422, "reason", "Invalid",
		"message", message);
}

/* NULL: the patch is too long. */
static json_t *response_of(const struct inject_result *result)
{
	json_t *patch;
	switch (result->verdict) {
	case INJECT_LEAVE:
		return json_pack("{s:b}", "allowed", 1);
	case INJECT_REFUSE:
		return refusal_of(&result->detail);
	case INJECT_CHANGE:
		patch = base64_of(result->patch);
		return patch == NULL
			       ? NULL
			       : json_pack("{s:b, s:s, s:o}", "allowed", 1, "patchType", "JSONPatch", "patch", patch);
	}
	CHECK_UNREACHABLE();
}

static json_t *too_long(struct admission_outcome *outcome)
{
	outcome->verdict = INJECT_REFUSE;
	(void)why_set(&outcome->detail, ERR_LIMIT, "a pod with a patch of at most 512 KiB",
		"shorten the probes of the pod's containers, or set the annotation handfast.dev/rewrite-probes: "
		"disabled",
		"the patch of this pod is too long");
	return refusal_of(&outcome->detail);
}

static enum err encode(json_t *response, const char *uid, const json_t *warnings, struct buf *out)
{
	CHECK(response != NULL && json_object_set_new(response, "uid", json_string(uid)) == 0);
	if (json_array_size(warnings) > 0)
		CHECK(json_object_set(response, "warnings", (json_t *)(uintptr_t)warnings) == 0);
	json_t *review = json_pack("{s:s, s:s, s:o}", "apiVersion", "admission.k8s.io/v1", "kind", "AdmissionReview",
		"response", response);
	CHECK(review != NULL);
	enum err err = buf_append_json(out, review, JSON_COMPACT);
	json_decref(review);
	return err;
}

static enum err answer(
	const struct admission *admission, const json_t *request, struct buf *out, struct admission_outcome *outcome)
{
	struct inject_result result = {.warnings = NULL};
	struct inject_namespace ns = {.name = text_of(request, "namespace")};
	if (is_creation(request)) {
		admission->on_namespace(admission->arg, &ns);
		inject_pod(json_object_get(request, "object"), &ns, admission->options, &result);
	}
	outcome->verdict = result.verdict;
	outcome->detail = result.detail;
	json_t *response = response_of(&result);
	enum err err =
		encode(response != NULL ? response : too_long(outcome), text_of(request, "uid"), result.warnings, out);
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
