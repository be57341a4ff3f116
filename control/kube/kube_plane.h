/* The control plane's part in a cluster, put together: the view that follows the cluster's objects, attestation by
 * service account token, policies, and the injection webhook with its registration. */
#pragma once

#include "base/core/metrics.h"
#include "base/kube/kube_client.h"
#include "certs/digest.h"
#include "control/attest/attest.h"
#include "control/config/config.h"
#include "control/distribute/distribute.h"
#include "control/registry/registry.h"

struct kube_plane_options { /* all borrowed until kube_plane_free() */
	struct loop *loop;
	struct kube_client *client;
	const struct control_config *config;
	struct registry *registry;
	struct attest *attest;
	struct distributor *distributor;
	struct metric_shard *shard;
	const char *release;                /* of this program: pods are annotated with it */
	uint8_t bootstrap_hash[DIGEST_LEN]; /* SHA-256 of the bootstrap root, which injected sidecars pin */
	const char *replica;                /* the name of this pod */
	int webhook_fd;                     /* adopted; -1: no webhook */
};

struct kube_plane;
struct kube_plane *kube_plane_new(const struct kube_plane_options *options);
/* Another bootstrap root signs: pods that are injected from now on pin it. */
void kube_plane_set_bootstrap(struct kube_plane *plane, const uint8_t sha256[DIGEST_LEN]);
/* No new reviews of pods; those under way are answered. */
void kube_plane_drain(struct kube_plane *plane);
/* Before registry, attest, distributor and client; requests for attestation that are under way end. */
void kube_plane_free(struct kube_plane *plane);

/* Whether a replica of the control plane has a pod of this name, which has not finished; true while the pods have not
 * come in. */
bool kube_plane_has_replica(const struct kube_plane *plane, const char *name);

/* The authorities of the webhook's certificates, which end with them: kind "webhook". None without a webhook. */
#define KUBE_PLANE_CERTIFICATES_MAX 2
void kube_plane_each_certificate(
	const struct kube_plane *plane, void (*each)(void *arg, const char *kind, struct span der), void *arg);

/* A line "name: detail" per obstacle to readiness: the first state has not come in. */
void kube_plane_list_obstacles(const struct kube_plane *plane, struct buf *out);
/* A line "degraded: name: detail" per condition; one is that the API server does not know the webhook's certificate. */
void kube_plane_list_conditions(const struct kube_plane *plane, struct buf *out);
