/* For tests: a view of a cluster whose objects are written in few words. */
#pragma once

#include "control/kube/view.h"

struct cluster {
	struct kube_view *view;
	unsigned num_changes;       /* since cluster_forget_changes() */
	struct ip_addr changes[32]; /* the first ones */
	struct resolution answer;   /* of the last cluster_resolve() */
	bool is_known;
};

/* Fixtures for cmocka: *state is a cluster that has synced, and is empty. */
int cluster_set_up(void **state);
int cluster_set_up_unsynced(void **state);
int cluster_tear_down(void **state);
#define CLUSTER_TEST(name)  cmocka_unit_test_setup_teardown(name, cluster_set_up, cluster_tear_down)
#define UNSYNCED_TEST(name) cmocka_unit_test_setup_teardown(name, cluster_set_up_unsynced, cluster_tear_down)

/* JSON as the API writes it, with ' for ". */
void cluster_put(struct cluster *cluster, enum kube_kind kind, const char *format, ...) _printf_(3, 4);
void cluster_delete(struct cluster *cluster, enum kube_kind kind, const char *name); /* its uid is its name */
void cluster_begin(struct cluster *cluster, enum kube_kind kind);
void cluster_synced(struct cluster *cluster, enum kube_kind kind);
void cluster_sync_all(struct cluster *cluster);

struct cluster_pod {
	const char *name, *ip, *ip6, *account; /* its uid is its name; account NULL: "cart" */
	unsigned minute;                       /* of its start */
	bool is_plain, is_deleting, has_finished, is_host_network;
};
#define HOST_IP "203.0.113.1" /* the node of all pods */
void cluster_pod(struct cluster *cluster, const struct cluster_pod *pod);

/* `ports`: "http 80 8080, admin 81 9000" (name, port, what the pods listen at; "-" for a port without a name). */
void cluster_service(struct cluster *cluster, const char *name, const char *cluster_ips, const char *ports,
	const char *more_of_spec);

/* `endpoints`: "cart-1 192.0.2.1 ready, cart-2 192.0.2.2 serving" (the pod or "-", its address, and one of ready,
 * unready, serving (and terminating), ending (terminating, not serving)). */
void cluster_slice(
	struct cluster *cluster, const char *name, const char *service, const char *ports, const char *endpoints);

/* The kind of the answer; the rest is in cluster->answer. */
enum resolution_kind cluster_resolve(struct cluster *cluster, const char *destination);
/* Expects a meshed answer with these endpoints: "192.0.2.1:8080 cart, 192.0.2.2:8080 cart". */
void cluster_expect_meshed(struct cluster *cluster, const char *destination, const char *endpoints);
void cluster_expect_draining(struct cluster *cluster, const char *endpoints); /* of the last answer */
void cluster_expect_unknown(struct cluster *cluster, const char *destination);
void cluster_expect_outside(
	struct cluster *cluster, const char *destination); /* no object of the cluster is about it */
void cluster_forget_changes(struct cluster *cluster);
bool cluster_has_changed(const struct cluster *cluster, const char *ip);
