/* TokenReview (authentication.k8s.io/v1): what the API server is asked about a token, and its answer. Pure. */
#pragma once

#include "base/core/buf.h"
#include "control/kube/kube_subject.h"

#define TOKEN_REVIEW_PATH       "/apis/authentication.k8s.io/v1/tokenreviews"
#define TOKEN_REVIEW_STATUS     201   /* also for a token that is refused */
#define TOKEN_REVIEW_ANSWER_MAX 65536 /* it repeats the token */

/* The body of a POST; it has the token, so wipe it. ERR_MALFORMED: one of the two has a byte that no token has;
 * ERR_LIMIT. */
enum err token_review_encode(struct span token, const char *audience, struct buf *out) _must_use_;
/* The body of an answer with TOKEN_REVIEW_STATUS. ERR_DENIED: the API server refuses the
 * token or does not confirm that it is for this audience; *why has its own words. ERR_MALFORMED, ERR_DENIED: as
 * kube_subject_set(). ERR_PROTOCOL: it is no answer, and decides nothing about the token. */
enum err token_review_parse(
	struct span body, const char *audience, struct kube_subject *out, struct why *why) _must_use_;
