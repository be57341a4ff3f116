/* The state of a cluster by address: pods, Services, EndpointSlices and namespaces as tables, and the
 * answer for a destination that follows from them. Pure: objects and time come in, answers and changes go out.
 *
 * Absence never becomes plaintext: before the whole state has come in an address is unknown; a Service without an
 * endpoint stays what it was; an address that was meshed and belongs to nothing now is meshed without an endpoint for
 * KUBE_VIEW_GONE_MS; one that nothing is known about, in a network with pods or Services, is unknown. A slice that is
 * behind the pods is noticed by the pod's uid.
 *
 * About 500 bytes per pod with its endpoint. What a cluster can make it hold is bounded by the limits below. */
#pragma once

#include "certs/spiffe_id.h"
#include "control/registry/registry.h"
#include <jansson.h>

enum kube_kind { KUBE_PODS, KUBE_SERVICES, KUBE_SLICES, KUBE_NAMESPACES, NUM_KUBE_KINDS };

/* More than the largest clusters that Kubernetes supports (150,000 pods). Beyond, and beyond an eighth of each for one
 * namespace, objects are left out. */
#define KUBE_VIEW_PODS_MAX       200000
#define KUBE_VIEW_SERVICES_MAX   65536
#define KUBE_VIEW_SLICES_MAX     131072
#define KUBE_VIEW_NAMESPACES_MAX 65536
#define KUBE_VIEW_ENDPOINTS_MAX  400000
#define KUBE_VIEW_SHARES         8      /* no namespace has more than such a part of each */
#define KUBE_VIEW_NETS_MAX       131072 /* /24 and /64 with pods, nodes or Services; 10.0.0.0/8 has 65536 */
/* Addresses that were meshed and belong to nothing now; the oldest give way. */
#define KUBE_VIEW_GONE_MAX 65536
#define KUBE_VIEW_GONE_MS  3600000
/* In a network that pods share with other hosts: for how long an address that nothing is known about is unknown.
 * Shorter than sidecars hold a connection (timeouts.resolve). Of so many addresses it is noted; the oldest give way. */
#define KUBE_VIEW_HOLD_MS  3000
#define KUBE_VIEW_HELD_MAX 65536

struct kube_view;

struct kube_view_observer {
	/* Answers about this address may have changed; NULL: about any. Called from within kube_view_...(). */
	void (*on_change)(void *arg, const struct ip_addr *ip);
	void *arg;
};

struct kube_view *kube_view_new(const struct trust_domain *trust_domain, const struct kube_view_observer *observer);
/* Pods of an Istio mesh (enum kube_foreign) are meshed too, with the identity of their account. Before the first pod.
 */
void kube_view_take_istio(struct kube_view *view);
void kube_view_free(struct kube_view *view);
DEFINE_CLEANUP(struct kube_view *, kube_view_free)

/* The whole state of this kind follows. What was there stays in force until kube_view_synced(). */
void kube_view_begin(struct kube_view *view, enum kube_kind kind);
/* ERR_MALFORMED: the object is left out, and what was known of it stays. ERR_LIMIT: there are too many of its kind. */
enum err kube_view_put(struct kube_view *view, enum kube_kind kind, const json_t *object, struct why *why) _must_use_;
enum err kube_view_deleted(
	struct kube_view *view, enum kube_kind kind, const json_t *object, struct why *why) _must_use_;
/* The whole state of this kind was put: what was not put since kube_view_begin() is gone. */
void kube_view_synced(struct kube_view *view, enum kube_kind kind);
/* The objects may be behind the cluster: the API server is away, or a watch does not work. The last known state goes
 * on, and an address that nothing is known about is unknown where it lies among those of pods (in a /24, or a /64),
 * also where pods share that network with other hosts. */
void kube_view_set_stale(struct kube_view *view, bool is_stale);
/* Time goes on: at least once per second. */
void kube_view_pass(struct kube_view *view, uint64_t now_ms);

/* A struct registry_source's resolve; arg: the view. False: no object of the cluster concerns the address, and none
 * that has not come in can. It notes which addresses are held. */
bool kube_view_resolve(void *arg, const struct addr *destination, struct resolution *out);

/* A struct registry_source's service_address: "namespace/name" of a Service with a cluster IP. */
bool kube_view_service_address(void *arg, const char *name, struct ip_addr *out);

struct kube_pod_view { /* borrowed until the next change */
	const char *namespace_, *name, *service_account, *uid;
	bool has_sidecar, is_deleting;
};
/* The pod that has this address now; host network: none. False: none, or the pods have not come in. */
bool kube_view_pod_at(const struct kube_view *view, const struct ip_addr *ip, struct kube_pod_view *out);

/* Whether there is a pod of this name that has an address, which a finished one has not; true while the pods have not
 * come in. Looks at all pods. */
bool kube_view_has_pod(const struct kube_view *view, const char *namespace_, const char *name);

struct kube_namespace_view {
	bool is_injected; /* handfast.dev/inject=enabled */
	/* Borrowed until the next change; "": none. */
	const char *pod_security; /* label pod-security.kubernetes.io/enforce */
	const char *interception; /* annotation handfast.dev/interception; more than 15 bytes are cut */
};
/* False: there is none, or the namespaces have not come in. */
bool kube_view_namespace(const struct kube_view *view, const char *name, struct kube_namespace_view *out);

struct kube_unmeshed { /* pods of injected namespaces that run without a sidecar, and have not opted out */
	size_t num;
	char example[320]; /* "namespace/name" of one */
};
void kube_view_unmeshed(const struct kube_view *view, struct kube_unmeshed *out);

/* A struct registry_source's zone: of the node of the pod at this address, or of the node that has it
 * (base/core/zone.h); 0: not known. It is learned from the EndpointSlices with pods of that node. */
uint32_t kube_view_zone(void *arg, const struct ip_addr *ip);

struct kube_service_view {
	struct ip_addr cluster_ips[2];
	size_t num_cluster_ips;
};
bool kube_view_service(
	const struct kube_view *view, const char *namespace_, const char *name, struct kube_service_view *out);
