/* Who a service account token is for: the account, and the pod that the token is bound to. Names are checked when they
 * are set, so that they make a valid SPIFFE ID path: RFC 1123 labels and subdomains, as the API server demands. Pure.
 */
#pragma once

#include "base/core/err.h"
#include "base/core/span.h"

#define KUBE_LABEL_MAX     63  /* bytes of a namespace's name */
#define KUBE_SUBDOMAIN_MAX 253 /* bytes of an account's or a pod's name */
#define KUBE_UID_MAX       128 /* bytes; a UUID, for static pods a hash */

struct kube_subject { /* plain data */
	char namespace_[KUBE_LABEL_MAX + 1];
	char account[KUBE_SUBDOMAIN_MAX + 1];
	char pod[KUBE_SUBDOMAIN_MAX + 1];
	char pod_uid[KUBE_UID_MAX + 1];
};

struct kube_subject_names { /* borrowed, unchecked; NULL: missing */
	const char *namespace_, *account, *pod, *pod_uid;
};
/* ERR_MALFORMED: a name is missing or not valid. ERR_DENIED: no pod, a token that is bound to none. */
enum err kube_subject_set(struct kube_subject *out, const struct kube_subject_names *names, struct why *why) _must_use_;
/* Whether `text` is the user name of this account, "system:serviceaccount:<namespace>:<account>". */
bool kube_subject_is_user(const struct kube_subject *subject, const char *text);
bool kube_subject_eq(const struct kube_subject *a, const struct kube_subject *b);
