#include "control/kube/kube_subject.h"
#include <stdio.h>

#define EXPECTED "a token of a service account, bound to a pod"
#define FIX      "mount a projected token (serviceAccountToken) for the sidecar"
#define USER     "system:serviceaccount:"

static bool is_alphanumeric(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* One label: lower case, digits and hyphens, and no hyphen at either end (RFC 1123 2.1). */
static bool is_label(const char *text, size_t len)
{
	if (len == 0 || len > KUBE_LABEL_MAX || !is_alphanumeric(text[0]) || !is_alphanumeric(text[len - 1]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_alphanumeric(text[i]) && text[i] != '-')
			return false;
	return true;
}

/* The API server's "subdomain" has no limit per label but that of the whole. */
static bool is_subdomain(const char *text)
{
	size_t len = strlen(text);
	if (len == 0 || len > KUBE_SUBDOMAIN_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		bool is_edge = i == 0 || i == len - 1 || text[i - 1] == '.' || text[i + 1] == '.';
		if (!is_alphanumeric(text[i]) && (is_edge || (text[i] != '-' && text[i] != '.')))
			return false;
	}
	return true;
}

static bool is_uid(const char *text)
{
	size_t len = strlen(text);
	if (len == 0 || len > KUBE_UID_MAX)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_alphanumeric(text[i]) && !(text[i] >= 'A' && text[i] <= 'Z') && text[i] != '-')
			return false;
	return true;
}

static enum err malformed(struct why *why, const char *got)
{
	return why_set(why, ERR_MALFORMED, EXPECTED, FIX, "%s", got);
}

enum err kube_subject_set(struct kube_subject *out, const struct kube_subject_names *names, struct why *why)
{
	if (names->namespace_ == NULL || !is_label(names->namespace_, strlen(names->namespace_)))
		return malformed(why, "the token names no namespace that can exist");
	if (names->account == NULL || !is_subdomain(names->account))
		return malformed(why, "the token names no service account that can exist");
	if (names->pod == NULL && names->pod_uid == NULL)
		return why_set(why, ERR_DENIED, EXPECTED, FIX, "the token of %s/%s is bound to no pod",
			names->namespace_, names->account);
	if (names->pod == NULL || !is_subdomain(names->pod) || names->pod_uid == NULL || !is_uid(names->pod_uid))
		return malformed(why, "the token names no pod that can exist");
	struct kube_subject subject = {0};
	(void)snprintf(subject.namespace_, sizeof subject.namespace_, "%s", names->namespace_);
	(void)snprintf(subject.account, sizeof subject.account, "%s", names->account);
	(void)snprintf(subject.pod, sizeof subject.pod, "%s", names->pod);
	(void)snprintf(subject.pod_uid, sizeof subject.pod_uid, "%s", names->pod_uid);
	*out = subject;
	return ERR_NONE;
}

bool kube_subject_is_user(const struct kube_subject *subject, const char *text)
{
	char user[sizeof USER + sizeof subject->namespace_ + sizeof subject->account];
	(void)snprintf(user, sizeof user, USER "%s:%s", subject->namespace_, subject->account);
	return text != NULL && strcmp(user, text) == 0;
}

bool kube_subject_eq(const struct kube_subject *a, const struct kube_subject *b)
{
	return strcmp(a->namespace_, b->namespace_) == 0 && strcmp(a->account, b->account) == 0 &&
	       strcmp(a->pod, b->pod) == 0 && strcmp(a->pod_uid, b->pod_uid) == 0;
}
