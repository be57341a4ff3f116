/* The webhook's registration at the API server: the MutatingWebhookConfiguration `handfast`, whose manifest carries no
 * caBundle. Each replica adds its own authorities to the caBundle of each of its webhooks by compare-and-swap, watches
 * the object, and repairs it at once when it is changed or applied anew. Where that happens again and again, the pause
 * between two patches doubles up to 8 s: replicas that undo each other's work do not storm the API server (K24).
 *
 * (The C keyword `register` cannot name a struct.) */
#pragma once

#include "base/kube/kube_client.h"
#include "control/kube/webhook_identity.h"
#include <jansson.h>

#define REGISTRATION_NAME "handfast"

struct registration_options {
	struct loop *loop;
	struct kube_client *client;        /* borrowed */
	struct webhook_identity *identity; /* borrowed */
};

struct registration;
struct registration *registration_new(const struct registration_options *options);
void registration_free(struct registration *registration);                /* before client and identity */
void registration_authorities_changed(struct registration *registration); /* from the identity's on_change */
/* Whether the API server trusts this replica's certificate: as long as it does not, pods wait. */
bool registration_is_done(const struct registration *registration);
/* Why not; empty: no reason is known yet. */
const struct why *registration_detail(const struct registration *registration);

/* The JSON patch (RFC 6902) that puts every caBundle of `configuration` right, with a test of its resourceVersion;
 * NULL: all of them are right. The caller releases it. Pure. */
json_t *registration_patch(const json_t *configuration, const struct span *own, size_t num_own, int64_t now_s);
