/* What the control plane reads of Kubernetes' objects: JSON of the API (v1 Pod, Service and Namespace,
 * discovery.k8s.io/v1 EndpointSlice) to small structs. Pure. All texts are borrowed from the JSON and never NULL.
 * Members that are missing or of another type count as absent, as the API's own decoders take them, so that a newer
 * release adds members without harm; only what names an object is required. */
#pragma once

#include "base/core/addr.h"
#include <jansson.h>

/* A pod has at most one address per family (PodStatus.podIPs), and its node as well. */
#define KUBE_POD_IPS_MAX           2
#define KUBE_SERVICE_PORTS_MAX     1024 /* per Service; further ports are unknown */
#define KUBE_SERVICE_ADDRESSES_MAX 66   /* two cluster addresses and so many external ones; further ones are unknown */
#define KUBE_SLICE_PORTS_MAX       1024 /* as of a Service */
#define KUBE_SLICE_ENDPOINTS_MAX   1000 /* EndpointSlice.endpoints, the most that the API takes */
#define KUBE_ENDPOINT_ZONES_MAX    4    /* the API takes 8, and controllers give 1 */

/* The annotation of an injected pod, and the container that it then has. */
#define KUBE_INJECTED_ANNOTATION "handfast.dev/injected"
#define KUBE_SIDECAR_CONTAINER   "handfast"

struct kube_meta {
	const char *namespace_; /* "": of the cluster */
	const char *name;
	const char *uid;
};

/* How a pod of an Istio mesh is reached, by what Istio itself puts on it (or an operator, on one that speaks HBONE). */
enum kube_foreign {
	KUBE_FOREIGN_NONE,
	KUBE_FOREIGN_HBONE,     /* captured by a ztunnel, or labeled networking.istio.io/tunnel=http */
	KUBE_FOREIGN_ISTIO_TLS, /* a sidecar of Istio, by its label security.istio.io/tlsMode=istio */
};

struct kube_pod {
	struct kube_meta meta;
	const char *service_account;
	struct ip_addr ips[KUBE_POD_IPS_MAX];      /* its own; host network: none */
	struct ip_addr host_ips[KUBE_POD_IPS_MAX]; /* of its node */
	size_t num_ips, num_host_ips;
	uint64_t started; /* YYYYMMDDhhmmss of its start, else of its creation, to be compared alone; 0: unknown */
	bool has_sidecar; /* ours: the container and the annotation */
	bool has_unmarked_sidecar; /* the container alone: it was not injected, and its identity is not known */
	enum kube_foreign foreign; /* also beside a sidecar of ours */
	bool is_host_network;
	bool is_deleting;   /* metadata.deletionTimestamp; such a pod turns Ready again */
	bool has_opted_out; /* handfast.dev/inject is there and not "enabled", or it is a mirror of a static pod */
	bool has_finished;  /* phase Succeeded or Failed: its address may belong to another pod */
};

enum kube_address_kind {
	KUBE_ADDRESS_CLUSTER,  /* spec.clusterIPs */
	KUBE_ADDRESS_EXTERNAL, /* spec.externalIPs, status.loadBalancer.ingress that does not go through a proxy */
};

struct kube_service {
	struct kube_meta meta;
	uint32_t affinity_s; /* sessionAffinity ClientIP: for how long a client keeps its endpoint; 0: not */
	struct kube_service_port {
		const char *name;         /* "": the only port */
		uint16_t port, node_port; /* node_port 0: none */
	} ports[KUBE_SERVICE_PORTS_MAX];  /* TCP */
	struct kube_service_address {
		struct ip_addr ip;
		enum kube_address_kind kind;
	} addresses[KUBE_SERVICE_ADDRESSES_MAX]; /* headless and ExternalName: no cluster address */
	size_t num_ports, num_addresses;
};

struct kube_slice {
	struct kube_meta meta;
	const char *service; /* its name, in the namespace of the slice; "": none */
	struct kube_slice_port {
		const char *name;      /* as in the Service */
		uint16_t port;         /* where the pods listen: named target ports are resolved */
	} ports[KUBE_SLICE_PORTS_MAX]; /* TCP */
	size_t num_ports;
	struct kube_endpoint {
		struct ip_addr ip;
		const char *pod_uid; /* targetRef of kind Pod; "": no pod */
		bool is_ready, is_serving, is_terminating;
		const char *zone; /* of its node; "": not known */
		/* hints.forZones: callers in these are to prefer it; none: those of `zone` are. */
		const char *for_zones[KUBE_ENDPOINT_ZONES_MAX];
		size_t num_for_zones;
	} endpoints[KUBE_SLICE_ENDPOINTS_MAX]; /* addressType FQDN: none */
	size_t num_endpoints;
	bool is_cut; /* it has more ports or endpoints than these */
};

struct kube_namespace {
	struct kube_meta meta;
	bool is_injected;         /* label handfast.dev/inject=enabled */
	const char *pod_security; /* label pod-security.kubernetes.io/enforce; "": none */
	const char *interception; /* annotation handfast.dev/interception; "": none */
};

/* ERR_MALFORMED: no object of that kind. The structs with arrays are large (slice: 40 KB). */
enum err kube_pod_parse(const json_t *object, struct kube_pod *out, struct why *why) _must_use_;
enum err kube_service_parse(const json_t *object, struct kube_service *out, struct why *why) _must_use_;
enum err kube_slice_parse(const json_t *object, struct kube_slice *out, struct why *why) _must_use_;
enum err kube_namespace_parse(const json_t *object, struct kube_namespace *out, struct why *why) _must_use_;
/* What names an object, of any kind: enough for one that was deleted. */
enum err kube_meta_parse(const json_t *object, struct kube_meta *out, struct why *why) _must_use_;
