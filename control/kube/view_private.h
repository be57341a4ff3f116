/* The view's tables; only files of this folder include this.
 *
 * A place is one address with all that stands there: pods (the owner first), Services, endpoints of slices, nodes. A
 * change of a pod finds the Services that it concerns through the endpoints at its place. */
#pragma once

#include "base/core/list.h"
#include "base/core/table.h"
#include "control/kube/objects.h"
#include "control/kube/view.h"

enum share_kind { SHARE_PODS, SHARE_SERVICES, SHARE_SLICES, SHARE_ENDPOINTS, NUM_SHARES };

struct share { /* what a namespace has of the limits */
	struct table_link link;
	size_t num[NUM_SHARES];
	char namespace_[];
};

struct account { /* interned: one for all its pods */
	struct table_link link;
	struct share *share;
	char *namespace_, *name;
	struct spiffe_id id;
	unsigned refs;
};

struct zone_vote {
	uint32_t zone;
	unsigned num; /* pods */
};

struct place {
	struct table_link link;
	struct ip_addr ip;
	bool was_meshed;         /* its last owner was */
	unsigned num_hosts;      /* pods of the node that has it */
	uint32_t zone;           /* of that node, as most of its pods have it; 0: not known */
	struct zone_vote *votes; /* of those pods, owned; some may have none */
	unsigned num_votes;
	size_t num_meshed; /* of `services`, those that are meshed: thousands may share an external address */
	uint64_t gone_ms;  /* since when it has no owner, in view->gone */
	struct list pods;  /* of struct pod_address; the owner first */
	struct list services, endpoints;
	struct list_link of_view; /* in view->hosts or in view->gone, or in none */
};

struct pod_address {
	struct list_link of_place;
	struct place *place;
	struct pod *pod;
};

struct pod {
	struct table_link link; /* by uid */
	struct account *account;
	uint64_t started, content;
	uint32_t generation;
	uint32_t zone;    /* its vote on that of its hosts; 0: none */
	bool has_sidecar; /* ours, or it is one of an Istio mesh that counts as such (kube_view_take_istio()) */
	bool has_unmarked_sidecar, is_host_network, is_deleting;
	bool is_foreign, is_istio_tls; /* of an Istio mesh alone; reached without a tunnel */
	bool lacks_sidecar;            /* where its namespace is injected */
	uint8_t num_addresses, num_hosts;
	struct pod_address addresses[KUBE_POD_IPS_MAX]; /* none once it has finished */
	struct place *hosts[KUBE_POD_IPS_MAX];
	const char *name; /* behind uid */
	char uid[];
};

enum service_state {
	SERVICE_NEW,
	SERVICE_PLAIN,
	SERVICE_MESHED,
	SERVICE_UNSURE, /* never what it was last: an endpoint of it may be anything */
};

struct service_port {
	struct table_link by_node_port; /* node_port 0: not linked */
	struct service *service;
	char *name;
	uint16_t port, node_port;
};

struct service_address {
	struct list_link of_place;
	struct place *place;
	struct service *service;
	enum kube_address_kind kind;
};

struct service {                /* also for slices whose Service has not come in */
	struct table_link link; /* by name */
	bool exists;
	bool is_cut;             /* a slice of it was left out, in the generation `cut` of slices */
	enum service_state last; /* as it was when it last had an endpoint */
	uint32_t generation, affinity_s, cut;
	uint64_t content;
	struct service_port *ports;
	struct service_address *addresses;
	size_t num_ports, num_addresses;
	struct share *share;
	struct list slices;
	struct list_link due; /* in view->due */
	char name[];          /* "namespace/name" */
};

struct endpoint {
	struct list_link of_place;
	struct place *place;
	struct slice *slice;
	uint64_t uid_hash;                    /* of its pod; 0: the slice names none */
	uint32_t zone;                        /* of its node (base/core/zone.h); 0: not known */
	uint32_t zones[RESOLUTION_ZONES_MAX]; /* of callers that are to prefer it */
	bool is_ready, is_serving, is_terminating;
};

struct slice_port {
	char *name;
	uint16_t port;
};

struct slice {
	struct table_link link; /* by name */
	struct share *share;
	struct service *service;
	struct list_link of_service;
	uint32_t generation;
	bool is_cut; /* it has changed since, to more than the limits allow */
	uint64_t content;
	struct slice_port *ports;
	struct endpoint *endpoints;
	size_t num_ports, num_endpoints;
	char name[]; /* "namespace/name" */
};

/* A /24 or a /64 in which something is, or was; a /112 for Services. */
struct net {
	struct table_link link;
	struct network at;
	bool has_pods, has_hosts, has_services;
	bool is_cut; /* a pod in it was left out, in the generation `cut` of pods */
	uint32_t cut;
};

struct cover {             /* of one family: the smallest network with all cluster addresses */
	struct network at; /* family 0: none */
	bool is_unsound;   /* it is more than the range of Services */
};

struct held {
	struct table_link link;
	struct list_link of_view; /* in view->undecided or view->decided */
	struct ip_addr ip;
	uint64_t asked_ms;
	bool is_decided;
};

struct namespace_ {
	struct table_link link;
	uint32_t generation;
	bool is_injected;
	char pod_security[16];
	char interception[16]; /* longer ones are cut, and are no mode then */
	char name[];
};

struct kube_view {
	struct trust_domain trust_domain;
	struct kube_view_observer observer;
	bool takes_istio;
	uint64_t now_ms;
	bool has_synced[NUM_KUBE_KINDS];
	bool is_cut;      /* Services were left out since there are too many, in this generation or the last */
	bool will_be_cut; /* in this one */
	uint32_t generations[NUM_KUBE_KINDS];
	bool is_synced;   /* what answers need */
	bool is_changing; /* Services are judged after a change or a sweep, and once each */
	struct list due;  /* those Services */
	bool is_stale;
	bool is_flat;       /* nodes have addresses of networks with pods, so other hosts can have some */
	bool was_flat;      /* before the change that is under way */
	bool has_many_nets; /* beyond the limit: an address that nothing is known about may lie in any */
	struct cover covers[2];
	struct list undecided, decided; /* of struct held; the oldest first */
	struct table held, shares, nets, places, accounts, pods, services, slices, namespaces, node_ports;
	struct list hosts, gone; /* places; gone: the oldest first */
	size_t num_gone, num_endpoints;
	struct { /* room to parse into */
		struct kube_pod pod;
		struct kube_service service;
		struct kube_slice slice;
		struct kube_namespace namespace_;
	} parsed;
};

uint64_t content_mix(uint64_t content, const char *text);
uint64_t content_mix_ip(uint64_t content, const struct ip_addr *ip);

/* view_places.c */
struct place *place_find(const struct kube_view *view, const struct ip_addr *ip); /* NULL: none */
struct place *place_for(struct kube_view *view, const struct ip_addr *ip);        /* made if there is none */
/* After a pod or a Service has come or has changed. */
void place_taken(struct kube_view *view, struct place *place);
/* After something left it: forgotten when nothing is there, or kept among the gone ones. */
void place_left(struct kube_view *view, struct place *place);
void place_host_added(struct kube_view *view, struct place *place);
void place_host_removed(struct kube_view *view, struct place *place);
struct pod *place_owner(const struct place *place); /* NULL: no pod */
void places_forget_old(struct kube_view *view);
/* Notifies the observer of the address and of the Services that have an endpoint there. */
void place_changed(struct kube_view *view, const struct ip_addr *ip);

/* view_nets.c: where pods, nodes and Services are. */
enum net_kind {
	NET_OUTSIDE,
	NET_PODS,     /* of pods alone */
	NET_SHARED,   /* of pods and other hosts */
	NET_SERVICES, /* of cluster addresses */
	NET_ANY,      /* not known: there are too many */
};
void net_note_pod(struct kube_view *view, const struct ip_addr *ip);
void net_note_pod_left_out(struct kube_view *view, const struct ip_addr *ip);
void net_note_host(struct kube_view *view, const struct ip_addr *ip);
void net_note_service(struct kube_view *view, const struct ip_addr *ip); /* of its cluster addresses */
enum net_kind net_kind(const struct kube_view *view, const struct ip_addr *ip);
void nets_uncut(struct kube_view *view); /* the whole state of pods has come in */
void nets_done(struct kube_view *view);

/* view_held.c */
bool held_is_decided(struct kube_view *view, const struct ip_addr *ip); /* asked for now, if not before */
void held_forget(struct kube_view *view, const struct ip_addr *ip);     /* a pod has it */
void held_pass(struct kube_view *view);
void held_done(struct kube_view *view);

/* view_shares.c */
bool share_has_room(const struct kube_view *view, const char *namespace_, enum share_kind kind, size_t more);
struct share *share_take(struct kube_view *view, const char *namespace_, enum share_kind kind); /* one more */
void share_drop(struct kube_view *view, struct share *share, enum share_kind kind);             /* freed if empty */

/* view_pods.c */
enum err pod_put(struct kube_view *view, const struct kube_pod *pod, struct why *why) _must_use_;
void pod_deleted(struct kube_view *view, const char *uid);
struct pod *pod_by_hash(const struct kube_view *view, uint64_t uid_hash); /* NULL: none */
uint64_t pod_uid_hash(const struct kube_view *view, const char *uid);     /* never 0 */
void pod_remove(struct kube_view *view, struct pod *pod);

/* view_services.c */
enum err service_put(struct kube_view *view, const struct kube_service *service, struct why *why) _must_use_;
void service_deleted(struct kube_view *view, const struct kube_meta *meta);
void service_remove(struct kube_view *view, struct service *service); /* its object is gone */
struct service *service_find(const struct kube_view *view, const char *namespace_, const char *name);
struct service *service_for(struct kube_view *view, const char *namespace_, const char *name); /* NULL: no room */
void service_left(struct kube_view *view, struct service *service); /* freed when there is nothing left of it */
/* Its endpoints or its object have changed: notes what it is now, and notifies the observer of its addresses. Within a
 * change or a sweep that is done at its end: judging a Service costs as much as it has endpoints. */
void service_changed(struct kube_view *view, struct service *service);
void services_settle(struct kube_view *view);                      /* after a change or a sweep */
void service_cut(struct kube_view *view, struct service *service); /* a slice of it was left out */

/* view_slices.c */
enum err slice_put(struct kube_view *view, const struct kube_slice *slice, struct why *why) _must_use_;
void slice_deleted(struct kube_view *view, const struct kube_meta *meta);
void slice_remove(struct kube_view *view, struct slice *slice);

/* view_zones.c */
void zones_of(const struct kube_endpoint *from, struct endpoint *out);
void zone_note(struct kube_view *view, const struct endpoint *endpoint); /* for the node of its pod */
void zone_note_pod(struct kube_view *view, struct pod *pod);             /* by the endpoints that it is */
void zone_drop_vote(struct pod *pod);                        /* its hosts change; they keep their zones for now */
void zone_pod_gone(struct kube_view *view, struct pod *pod); /* before it leaves its hosts: the others decide */
void zone_host_gone(struct place *node);                     /* without pods */

/* view_resolve.c */
/* What it is by its endpoints that are used; without one, what it was. */
enum service_state service_judge(const struct kube_view *view, const struct service *service);
