/* AdmissionReview (admission.k8s.io/v1): a review as bytes in, its answer as bytes out. Pure. The API server sends one
 * per pod that is created in a namespace with our label; anyone who reaches the port can send anything. */
#pragma once

#include "control/kube/inject.h"

#define ADMISSION_BODY_MAX   (3u * 1024 * 1024) /* the API server's own limit of a request */
#define ADMISSION_ANSWER_MAX (1024u * 1024)

/* Whether a review's first bytes, as the API server writes them, show that it is about pods. With ADMISSION_BEGINNING
 * bytes the answer is final. A review with other spacing or order counts as one of another kind. */
#define ADMISSION_BEGINNING 512u
bool admission_is_of_pods(struct span beginning);

/* Fills what is known of a namespace; *out has its name. */
typedef void admission_namespace_fn(void *arg, struct inject_namespace *out);

struct admission {
	const struct inject_options *options; /* of this moment */
	admission_namespace_fn *on_namespace;
	void *arg;
};

struct admission_outcome { /* for the log */
	enum inject_verdict verdict;
	char pod[192];     /* "shop/cart-", as text; cut */
	struct why detail; /* INJECT_REFUSE */
};

/* Appends the answer. ERR_MALFORMED, ERR_LIMIT, ERR_UNSUPPORTED: no review, which HTTP answers with 400. */
enum err admission_review(const struct admission *admission, struct span body, struct buf *out,
	struct admission_outcome *outcome, struct why *why) _must_use_;
