#include "control/kube/token_review.h"
#include "base/core/mem.h"
#include <jansson.h>

#define EXPECTED "a token that the API server accepts"
#define FIX      "mount a projected token for the audience of the control plane's kubernetes.audience"
#define USER     "system:serviceaccount:"
#define EXTRA    "authentication.kubernetes.io/"

/* What needs no escape in JSON. */
static bool is_plain(struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] <= ' ' || text.ptr[i] > '~' || text.ptr[i] == '"' || text.ptr[i] == '\\')
			return false;
	return text.len > 0;
}

/* Written into one buffer, which the caller wipes: the JSON library would leave copies of the token. */
enum err token_review_encode(struct span token, const char *audience, struct buf *out)
{
	if (!is_plain(token) || !is_plain(span_of_str(audience)))
		return ERR_MALFORMED;
	return buf_printf(out,
		"{\"apiVersion\":\"authentication.k8s.io/v1\",\"kind\":\"TokenReview\",\"spec\":{\"token\":\"%.*s\","
		"\"audiences\":[\"%s\"]}}",
		(int)token.len, (const char *)token.ptr, audience);
}

static enum err refused(struct why *why, const char *got, const char *words)
{
	return why_set(why, ERR_DENIED, EXPECTED, FIX, "%s%s", got, words == NULL ? "no reason is given" : words);
}

static bool has_text(const json_t *list, const char *text)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *item = json_string_value(json_array_get(list, i));
		if (item != NULL && strcmp(item, text) == 0)
			return true;
	}
	return false;
}

/* An extra field is a list; these have one value. */
static const char *extra(const json_t *user, const char *name)
{
	const json_t *values = json_object_get(json_object_get(user, "extra"), name);
	return json_array_size(values) == 1 ? json_string_value(json_array_get(values, 0)) : NULL;
}

static enum err read_user(const json_t *user, struct kube_subject *out, struct why *why)
{
	const char *name = json_string_value(json_object_get(user, "username"));
	const char *both = name != NULL && strncmp(name, USER, sizeof USER - 1) == 0 ? name + sizeof USER - 1 : "";
	const char *colon = strchr(both, ':');
	if (colon == NULL)
		return refused(why, "the token is of no service account: ", name);
	_cleanup_(mem_freep) char *namespace_ = mem_printf("%.*s", (int)(colon - both), both);
	const struct kube_subject_names names = {
		namespace_, colon + 1, extra(user, EXTRA "pod-name"), extra(user, EXTRA "pod-uid")};
	return kube_subject_set(out, &names, why);
}

static enum err read_status(const json_t *status, const char *audience, struct kube_subject *out, struct why *why)
{
	const char *error = json_string_value(json_object_get(status, "error"));
	if (!json_is_object(status))
		return why_set(why, ERR_PROTOCOL, "a TokenReview with a status", "inspect the API server's log",
			"the API server's answer is not a TokenReview");
	/* On failure `authenticated` is absent. An error beside it means that it was not decided. */
	if (!json_is_true(json_object_get(status, "authenticated")) || error != NULL)
		return refused(why, "the API server refuses the token: ", error);
	/* Without audiences the authenticator did not look at them (TokenReviewStatus.audiences). */
	if (!has_text(json_object_get(status, "audiences"), audience))
		return refused(why, "the API server does not confirm that the token is for ", audience);
	return read_user(json_object_get(status, "user"), out, why);
}

enum err token_review_parse(struct span body, const char *audience, struct kube_subject *out, struct why *why)
{
	json_t *review = json_loadb((const char *)body.ptr, body.len, JSON_REJECT_DUPLICATES, NULL);
	enum err err = read_status(json_object_get(review, "status"), audience, out, why);
	json_decref(review);
	return err;
}
