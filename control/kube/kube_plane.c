#include "control/kube/kube_plane.h"
#include "base/core/check.h"
#include "base/core/hex.h"
#include "base/core/mem.h"
#include "control/kube/feed.h"
#include "control/kube/inject_namespace.h"
#include "control/kube/kube_attest.h"
#include "control/kube/policies.h"
#include "control/kube/registration.h"
#include "control/kube/webhook.h"

#define CONTROL_SERVICE "handfast-control" /* the names of deploy/kubernetes */
#define WEBHOOK_SERVICE "handfast-webhook"
#define TEXT_MAX        700

struct kube_plane {
	struct kube_plane_options options;
	struct kube_view *view;
	struct kube_feed *feed;
	struct kube_attest *attest;
	struct kube_policies *policies;
	/* The webhook; NULL: none. */
	struct webhook_identity *identity;
	struct registration *registration;
	struct webhook *webhook;
	struct admission admission;
	struct inject_options inject;
	char bootstrap_hash[2 * DIGEST_LEN + 1];
	char control_address[2 * ADDR_TEXT_MAX + 2];
};

/* --- discovery and attestation --- */

/* The address of the control plane's Service, which injected sidecars use: it has no other name without DNS. */
static void update_control_address(struct kube_plane *plane)
{
	const struct control_config *config = plane->options.config;
	struct kube_service_view service;
	char text[ADDR_TEXT_MAX];
	size_t len = 0;
	plane->inject.control_address = NULL;
	if (!kube_view_service(plane->view, config->kubernetes.namespace_, CONTROL_SERVICE, &service))
		return;
	for (size_t i = 0; i < service.num_cluster_ips; i++) {
		const struct addr at = {.ip = service.cluster_ips[i], .port = config->streams_port};
		len += (size_t)snprintf(plane->control_address + len, sizeof plane->control_address - len, "%s%s",
			i == 0 ? "" : ",", addr_format(&at, text));
	}
	if (service.num_cluster_ips > 0)
		plane->inject.control_address = plane->control_address;
}

static void on_change(void *arg, const struct ip_addr *ip)
{
	struct kube_plane *plane = arg;
	registry_source_changed(plane->options.registry, ip);
}

static bool pod_at(void *arg, const struct ip_addr *ip, struct kube_pod_facts *out)
{
	const struct kube_plane *plane = arg;
	struct kube_pod_view pod;
	if (!kube_view_pod_at(plane->view, ip, &pod))
		return false;
	*out = (struct kube_pod_facts){.namespace_ = pod.namespace_,
		.name = pod.name,
		.service_account = pod.service_account,
		.uid = pod.uid,
		.is_deleting = pod.is_deleting};
	return true;
}

static void start_discovery(struct kube_plane *plane)
{
	const struct kube_plane_options *options = &plane->options;
	const struct kube_view_observer observer = {on_change, plane};
	plane->view = kube_view_new(&options->config->trust_domain, &observer);
	if (options->config->kubernetes.takes_istio)
		kube_view_take_istio(plane->view);
	const struct registry_source source = {.resolve = kube_view_resolve,
		.service_address = kube_view_service_address,
		.zone = kube_view_zone,
		.arg = plane->view};
	registry_set_source(options->registry, &source);
	plane->feed = kube_feed_start(options->loop, options->client, plane->view);
}

static void start_attestation(struct kube_plane *plane)
{
	const struct kube_plane_options *options = &plane->options;
	const struct kube_attest_options attest = {.loop = options->loop,
		.client = options->client,
		.audience = options->config->kubernetes.audience,
		.pod_at = pod_at,
		.arg = plane};
	plane->attest = kube_attest_new(&attest);
	const struct attest_kubernetes reviewer = kube_attest_reviewer(plane->attest);
	attest_set_kubernetes(options->attest, &reviewer);
}

/* --- policies --- */

bool kube_plane_has_replica(const struct kube_plane *plane, const char *name)
{
	return kube_view_has_pod(plane->view, plane->options.config->kubernetes.namespace_, name);
}

static bool is_replica(void *arg, const char *name)
{
	return kube_plane_has_replica(arg, name);
}

static void start_policies(struct kube_plane *plane)
{
	const struct kube_plane_options *options = &plane->options;
	const struct kube_policies_options policies = {.loop = options->loop,
		.client = options->client,
		.distributor = options->distributor,
		.trust_domain = &options->config->trust_domain,
		.replica = options->replica,
		.is_replica = is_replica,
		.arg = plane};
	plane->policies = kube_policies_start(&policies);
}

/* --- the webhook --- */

static void on_namespace(void *arg, struct inject_namespace *out)
{
	struct kube_plane *plane = arg;
	update_control_address(plane);
	inject_namespace_fill(plane->view, out);
}

static void on_authorities(void *arg)
{
	struct kube_plane *plane = arg;
	if (plane->registration != NULL)
		registration_authorities_changed(plane->registration);
}

static void start_webhook(struct kube_plane *plane)
{
	const struct kube_plane_options *options = &plane->options;
	const struct control_config *config = options->config;
	_cleanup_(mem_freep) char *name = mem_printf("%s.%s.svc", WEBHOOK_SERVICE, config->kubernetes.namespace_);
	hex_format(span_of(options->bootstrap_hash, DIGEST_LEN), plane->bootstrap_hash);
	plane->inject = (struct inject_options){.sidecar_image = config->kubernetes.sidecar_image,
		.init_image = config->kubernetes.init_image,
		.version = options->release,
		.trust_domain = config->trust_domain.name,
		.own_namespace = config->kubernetes.namespace_,
		.bootstrap_root_sha256 = plane->bootstrap_hash,
		.audience = config->kubernetes.audience,
		.keeps_source = config->kubernetes.keeps_source,
		.has_cni = config->kubernetes.has_cni};
	plane->admission = (struct admission){&plane->inject, on_namespace, plane};
	plane->identity = webhook_identity_new(options->loop, name, on_authorities, plane);
	const struct registration_options registration = {options->loop, options->client, plane->identity};
	plane->registration = registration_new(&registration);
	const struct webhook_options webhook = {.loop = options->loop,
		.listening_fd = options->webhook_fd,
		.identity = plane->identity,
		.admission = &plane->admission,
		.shard = options->shard};
	plane->webhook = webhook_new(&webhook);
}

struct kube_plane *kube_plane_new(const struct kube_plane_options *options)
{
	struct kube_plane *plane = mem_new(struct kube_plane);
	plane->options = *options;
	start_discovery(plane);
	start_attestation(plane);
	start_policies(plane);
	if (options->webhook_fd >= 0)
		start_webhook(plane);
	return plane;
}

void kube_plane_set_bootstrap(struct kube_plane *plane, const uint8_t sha256[DIGEST_LEN])
{
	hex_format(span_of(sha256, DIGEST_LEN), plane->bootstrap_hash);
}

void kube_plane_drain(struct kube_plane *plane)
{
	if (plane->webhook != NULL)
		webhook_drain(plane->webhook);
}

void kube_plane_free(struct kube_plane *plane)
{
	kube_policies_stop(plane->policies);
	attest_set_kubernetes(plane->options.attest, NULL);
	kube_attest_free(plane->attest);
	if (plane->webhook != NULL) {
		webhook_free(plane->webhook);
		registration_free(plane->registration);
		webhook_identity_free(plane->identity);
	}
	registry_set_source(plane->options.registry, &(struct registry_source){0});
	kube_feed_stop(plane->feed);
	kube_view_free(plane->view);
	mem_free(plane);
}

/* --- for operators --- */

static void put_line(struct buf *out, const char *prefix, const char *name, const char *detail)
{
	/* A page that is full shows what fits. */
	enum err full = buf_printf(out, "%s%s: %s\n", prefix, name, detail);
	(void)full;
}

void kube_plane_list_obstacles(const struct kube_plane *plane, struct buf *out)
{
	if (!kube_feed_has_synced(plane->feed))
		put_line(out, "", "kubernetes", "the cluster's objects have not been received");
	if (!kube_policies_are_known(plane->policies))
		put_line(out, "", "kube_policies", "the cluster's policies have not been received");
}

void kube_plane_each_certificate(
	const struct kube_plane *plane, void (*each)(void *arg, const char *kind, struct span der), void *arg)
{
	struct span der[WEBHOOK_AUTHORITIES_MAX];
	_Static_assert(WEBHOOK_AUTHORITIES_MAX <= KUBE_PLANE_CERTIFICATES_MAX, "room for all");
	size_t num = plane->identity == NULL ? 0 : webhook_identity_authorities(plane->identity, der);
	for (size_t i = 0; i < num; i++)
		each(arg, "webhook", der[i]);
}

static void put_condition(void *arg, const char *name, const struct why *why)
{
	char text[TEXT_MAX];
	put_line(arg, "degraded: ", name, why_format(why, text, sizeof text));
}

void kube_plane_list_conditions(const struct kube_plane *plane, struct buf *out)
{
	struct why why = {0};
	kube_feed_each_condition(plane->feed, put_condition, out);
	kube_policies_each_condition(plane->policies, put_condition, out);
	if (kube_attest_is_offline(plane->attest, &why))
		put_condition(out, "kube_tokens", &why);
	if (plane->identity != NULL && webhook_identity_is_late(plane->identity, &why))
		put_condition(out, "webhook_certificate_ends", &why);
	if (plane->registration == NULL || registration_is_done(plane->registration))
		return;
	const struct why *detail = registration_detail(plane->registration);
	if (detail->err == ERR_NONE)
		put_line(out, "degraded: ", "kube_webhook", "its certificate is not registered yet: new pods wait");
	else
		put_condition(out, "kube_webhook", detail);
}
