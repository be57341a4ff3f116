/* Attestation by a projected service account token (control/attest): whose it is, and whether it comes from its pod.
 *
 * 1. The token is well formed, for our audience, and bound to a pod.
 * 2. The API server accepts it (TokenReview). Without an answer of it, its key set decides (kube_keys.h).
 * 3. The connection comes from the address of the pod that the token is bound to: same uid, same account.
 *
 * All within KUBE_ATTEST_MS, as a sidecar's first three tries end after a second: the API server gets KUBE_REVIEW_MS,
 * and a pod that is not known yet, because the watch is a moment behind, is waited for. */
#pragma once

#include "base/kube/kube_client.h"
#include "control/attest/attest.h"

#define KUBE_ATTEST_MS  700
#define KUBE_REVIEW_MS  400
#define KUBE_ATTEST_MAX 512  /* under way at once, 12 KB each */
#define KUBE_AWAY_MS    2000 /* after a review without an answer the key set decides for so long */

struct kube_pod_facts { /* borrowed until the view changes */
	const char *namespace_, *name, *service_account, *uid;
	bool is_deleting; /* its address may already belong to another pod */
};

struct kube_attest_options {
	struct loop *loop;
	struct kube_client *client; /* borrowed */
	const char *audience;       /* borrowed */
	/* The pod that has this address now and has not finished. False: none, or the pods are not known yet. */
	bool (*pod_at)(void *arg, const struct ip_addr *ip, struct kube_pod_facts *out);
	void *arg;
};

struct kube_attest;
struct kube_attest *kube_attest_new(const struct kube_attest_options *options);
/* Answers what is under way with ERR_CLOSED: before attest_free() and one more round of the loop. */
void kube_attest_free(struct kube_attest *attest);
/* For attest_set_kubernetes(); valid as long as `attest`. Errors: ERR_MALFORMED, ERR_TOO_LARGE, ERR_UNSUPPORTED,
 * ERR_DENIED, ERR_EXPIRED, ERR_NOT_YET_VALID, ERR_CRYPTO, ERR_LIMIT; ERR_UNAVAILABLE: try again. */
struct attest_kubernetes kube_attest_reviewer(struct kube_attest *attest);
/* Whether reviews are not answered, and the key set decides: for a condition. */
bool kube_attest_is_offline(const struct kube_attest *attest, struct why *out_why);
