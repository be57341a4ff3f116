#include "control/kube/objects.h"
#include <string.h>

enum {
	AFFINITY_S = 10800,     /* ClientIPConfig.timeoutSeconds, its default */
	AFFINITY_MAX_S = 86400, /* and the most that the API takes */
	STAMP_DIGITS = 14,      /* of a time in RFC 3339 up to its seconds */
	NAME_MAX_LEN = 253,     /* a DNS subdomain, the longest name of an object */
	UID_MAX_LEN = 63,       /* 36 today: a UUID */
};

#define INJECT_LABEL        "handfast.dev/inject"
#define SERVICE_OF_A_SLICE  "kubernetes.io/service-name"
#define LOAD_BALANCER_PROXY "Proxy" /* LoadBalancerIngress.ipMode: nodes do not take the address for their own */

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text == NULL ? "" : text;
}

static bool is_text(const json_t *object, const char *key, const char *text)
{
	return strcmp(text_of(object, key), text) == 0;
}

static bool flag_of(const json_t *object, const char *key, bool fallback)
{
	const json_t *value = json_object_get(object, key);
	return json_is_boolean(value) ? json_is_true(value) : fallback;
}

static uint16_t port_of(const json_t *object, const char *key)
{
	json_int_t port = json_integer_value(json_object_get(object, key));
	return port > 0 && port <= UINT16_MAX ? (uint16_t)port : 0;
}

static bool is_tcp(const json_t *port)
{
	return is_text(port, "protocol", "TCP") || is_text(port, "protocol", "");
}

static bool ip_of(const char *text, struct ip_addr *out)
{
	return text != NULL && ip_addr_parse(span_of_str(text), out) == ERR_NONE;
}

enum err kube_meta_parse(const json_t *object, struct kube_meta *out, struct why *why)
{
	const json_t *meta = json_object_get(object, "metadata");
	struct kube_meta found = {text_of(meta, "namespace"), text_of(meta, "name"), text_of(meta, "uid")};
	if (found.name[0] == '\0' || strlen(found.name) > NAME_MAX_LEN || strlen(found.namespace_) > NAME_MAX_LEN ||
		found.uid[0] == '\0' || strlen(found.uid) > UID_MAX_LEN)
		return why_set(why, ERR_MALFORMED, "an object of Kubernetes with metadata.name and metadata.uid",
			"check what answers at the address of the API server",
			"an object of %zu members has the name '%.80s' and the uid '%.80s'", json_object_size(object),
			found.name, found.uid);
	*out = found;
	return ERR_NONE;
}

/* --- pods --- */

static bool has_sidecar_in(const json_t *spec, const char *list)
{
	const json_t *containers = json_object_get(spec, list);
	for (size_t i = 0; i < json_array_size(containers); i++)
		if (is_text(json_array_get(containers, i), "name", KUBE_SIDECAR_CONTAINER))
			return true;
	return false;
}

static void sidecar_parse(const json_t *object, const json_t *spec, struct kube_pod *out)
{
	const json_t *annotations = json_object_get(json_object_get(object, "metadata"), "annotations");
	bool is_marked = text_of(annotations, KUBE_INJECTED_ANNOTATION)[0] != '\0';
	bool is_there = has_sidecar_in(spec, "initContainers") || has_sidecar_in(spec, "containers");
	out->has_sidecar = is_there && is_marked;
	out->has_unmarked_sidecar = is_there && !is_marked;
}

static enum kube_foreign foreign_of(const json_t *meta)
{
	const json_t *labels = json_object_get(meta, "labels");
	if (is_text(json_object_get(meta, "annotations"), "ambient.istio.io/redirection", "enabled") ||
		is_text(labels, "networking.istio.io/tunnel", "http"))
		return KUBE_FOREIGN_HBONE;
	return is_text(labels, "security.istio.io/tlsMode", "istio") ? KUBE_FOREIGN_ISTIO_TLS : KUBE_FOREIGN_NONE;
}

static bool has_opted_out(const json_t *meta)
{
	const json_t *annotations = json_object_get(meta, "annotations");
	const char *annotation = text_of(annotations, INJECT_LABEL);
	const char *label = text_of(json_object_get(meta, "labels"), INJECT_LABEL);
	return (annotation[0] != '\0' && strcmp(annotation, "enabled") != 0) ||
	       (label[0] != '\0' && strcmp(label, "enabled") != 0) ||
	       json_object_get(annotations, "kubernetes.io/config.mirror") != NULL;
}

static size_t ips_of(const json_t *status, const char *plural, const char *singular, struct ip_addr *out)
{
	const json_t *list = json_object_get(status, plural);
	size_t num = 0;
	for (size_t i = 0; i < json_array_size(list) && num < KUBE_POD_IPS_MAX; i++)
		num += ip_of(text_of(json_array_get(list, i), "ip"), &out[num]);
	if (num == 0)
		num = ip_of(text_of(status, singular), &out[0]);
	return num;
}

/* "2026-11-28T04:14:09Z", as the API writes all times of an object. */
static uint64_t stamp_of(const char *text)
{
	uint64_t stamp = 0;
	unsigned num = 0;
	for (; *text != '\0' && num < STAMP_DIGITS; text++)
		if (*text >= '0' && *text <= '9') {
			stamp = 10 * stamp + (uint64_t)(*text - '0');
			num++;
		}
	return num == STAMP_DIGITS ? stamp : 0;
}

enum err kube_pod_parse(const json_t *object, struct kube_pod *out, struct why *why)
{
	const json_t *spec = json_object_get(object, "spec"), *status = json_object_get(object, "status");
	const json_t *meta = json_object_get(object, "metadata");
	*out = (struct kube_pod){0};
	RETURN_IF_ERR(kube_meta_parse(object, &out->meta, why));
	if (out->meta.namespace_[0] == '\0' || !json_is_object(spec))
		return why_set(why, ERR_MALFORMED, "a pod with a namespace and a spec",
			"check what answers at the address of the API server", "the pod '%.120s' has none",
			out->meta.name);
	out->service_account = text_of(spec, "serviceAccountName");
	if (out->service_account[0] == '\0')
		out->service_account = "default";
	out->num_host_ips = ips_of(status, "hostIPs", "hostIP", out->host_ips);
	out->is_host_network = flag_of(spec, "hostNetwork", false);
	if (!out->is_host_network) {
		out->num_ips = ips_of(status, "podIPs", "podIP", out->ips);
		sidecar_parse(object, spec, out);
		out->foreign = foreign_of(meta);
	}
	out->started = stamp_of(text_of(status, "startTime"));
	if (out->started == 0)
		out->started = stamp_of(text_of(meta, "creationTimestamp"));
	out->is_deleting = text_of(meta, "deletionTimestamp")[0] != '\0';
	out->has_opted_out = has_opted_out(meta);
	out->has_finished = is_text(status, "phase", "Succeeded") || is_text(status, "phase", "Failed");
	return ERR_NONE;
}

/* --- services --- */

static void address_add(struct kube_service *out, const char *text, enum kube_address_kind kind)
{
	struct kube_service_address *address = &out->addresses[out->num_addresses];
	if (out->num_addresses == KUBE_SERVICE_ADDRESSES_MAX || !ip_of(text, &address->ip)) /* "None": headless */
		return;
	address->kind = kind;
	out->num_addresses++;
}

static void addresses_parse(const json_t *object, const json_t *spec, struct kube_service *out)
{
	const json_t *cluster = json_object_get(spec, "clusterIPs"), *external = json_object_get(spec, "externalIPs");
	const json_t *balancer = json_object_get(json_object_get(object, "status"), "loadBalancer");
	const json_t *ingress = json_object_get(balancer, "ingress");
	for (size_t i = 0; i < json_array_size(cluster) && i < KUBE_POD_IPS_MAX; i++)
		address_add(out, json_string_value(json_array_get(cluster, i)), KUBE_ADDRESS_CLUSTER);
	if (json_array_size(cluster) == 0)
		address_add(out, text_of(spec, "clusterIP"), KUBE_ADDRESS_CLUSTER);
	for (size_t i = 0; i < json_array_size(external); i++)
		address_add(out, json_string_value(json_array_get(external, i)), KUBE_ADDRESS_EXTERNAL);
	for (size_t i = 0; i < json_array_size(ingress); i++) {
		const json_t *at = json_array_get(ingress, i);
		if (!is_text(at, "ipMode", LOAD_BALANCER_PROXY))
			address_add(out, text_of(at, "ip"), KUBE_ADDRESS_EXTERNAL);
	}
}

static void service_ports_parse(const json_t *spec, struct kube_service *out)
{
	const json_t *ports = json_object_get(spec, "ports");
	for (size_t i = 0; i < json_array_size(ports) && out->num_ports < KUBE_SERVICE_PORTS_MAX; i++) {
		const json_t *port = json_array_get(ports, i);
		if (is_tcp(port) && port_of(port, "port") != 0)
			out->ports[out->num_ports++] = (struct kube_service_port){
				text_of(port, "name"), port_of(port, "port"), port_of(port, "nodePort")};
	}
}

static uint32_t affinity_of(const json_t *spec)
{
	const json_t *config = json_object_get(json_object_get(spec, "sessionAffinityConfig"), "clientIP");
	json_int_t seconds = json_integer_value(json_object_get(config, "timeoutSeconds"));
	if (!is_text(spec, "sessionAffinity", "ClientIP"))
		return 0;
	return seconds > 0 && seconds <= AFFINITY_MAX_S ? (uint32_t)seconds : AFFINITY_S;
}

enum err kube_service_parse(const json_t *object, struct kube_service *out, struct why *why)
{
	const json_t *spec = json_object_get(object, "spec");
	out->num_ports = out->num_addresses = 0;
	RETURN_IF_ERR(kube_meta_parse(object, &out->meta, why));
	out->affinity_s = affinity_of(spec);
	if (is_text(spec, "type", "ExternalName")) /* a CNAME, and no address of its own */
		return ERR_NONE;
	addresses_parse(object, spec, out);
	service_ports_parse(spec, out);
	return ERR_NONE;
}

/* --- slices --- */

static void zones_parse(const json_t *endpoint, struct kube_endpoint *out)
{
	const json_t *zones = json_object_get(json_object_get(endpoint, "hints"), "forZones");
	out->zone = text_of(endpoint, "zone");
	for (size_t i = 0; i < json_array_size(zones) && out->num_for_zones < KUBE_ENDPOINT_ZONES_MAX; i++)
		out->for_zones[out->num_for_zones++] = text_of(json_array_get(zones, i), "name");
}

/* EndpointConditions: ready and serving are true where they are absent. */
static bool endpoint_parse(const json_t *endpoint, struct kube_endpoint *out)
{
	const json_t *conditions = json_object_get(endpoint, "conditions");
	const json_t *target = json_object_get(endpoint, "targetRef");
	const json_t *first = json_array_get(json_object_get(endpoint, "addresses"), 0); /* the others are equivalent */
	*out = (struct kube_endpoint){.pod_uid = is_text(target, "kind", "Pod") ? text_of(target, "uid") : ""};
	zones_parse(endpoint, out);
	out->is_ready = flag_of(conditions, "ready", true);
	out->is_serving = flag_of(conditions, "serving", true);
	out->is_terminating = flag_of(conditions, "terminating", false);
	return ip_of(json_string_value(first), &out->ip);
}

static void slice_ports_parse(const json_t *object, struct kube_slice *out)
{
	const json_t *ports = json_object_get(object, "ports");
	for (size_t i = 0; i < json_array_size(ports) && out->num_ports < KUBE_SLICE_PORTS_MAX; i++) {
		const json_t *port = json_array_get(ports, i);
		if (is_tcp(port) && port_of(port, "port") != 0)
			out->ports[out->num_ports++] =
				(struct kube_slice_port){text_of(port, "name"), port_of(port, "port")};
	}
}

enum err kube_slice_parse(const json_t *object, struct kube_slice *out, struct why *why)
{
	const json_t *endpoints = json_object_get(object, "endpoints");
	out->num_ports = out->num_endpoints = 0;
	RETURN_IF_ERR(kube_meta_parse(object, &out->meta, why));
	out->service = text_of(json_object_get(json_object_get(object, "metadata"), "labels"), SERVICE_OF_A_SLICE);
	slice_ports_parse(object, out);
	out->is_cut = json_array_size(json_object_get(object, "ports")) > KUBE_SLICE_PORTS_MAX ||
		      json_array_size(endpoints) > KUBE_SLICE_ENDPOINTS_MAX;
	for (size_t i = 0; i < json_array_size(endpoints) && out->num_endpoints < KUBE_SLICE_ENDPOINTS_MAX; i++)
		out->num_endpoints += endpoint_parse(json_array_get(endpoints, i), &out->endpoints[out->num_endpoints]);
	return ERR_NONE;
}

/* --- namespaces --- */

enum err kube_namespace_parse(const json_t *object, struct kube_namespace *out, struct why *why)
{
	RETURN_IF_ERR(kube_meta_parse(object, &out->meta, why));
	const json_t *metadata = json_object_get(object, "metadata"), *labels = json_object_get(metadata, "labels");
	out->is_injected = is_text(labels, INJECT_LABEL, "enabled");
	out->interception = text_of(json_object_get(metadata, "annotations"), "handfast.dev/interception");
	out->pod_security = text_of(labels, "pod-security.kubernetes.io/enforce");
	return ERR_NONE;
}
