#include "sidecar/route/endpoint.h"
#include "base/core/check.h"
#include "base/core/mem.h"
#include <stdlib.h>

struct answer *answer_new(
	const struct addr *destination, enum destination_kind kind, uint64_t version, size_t num_endpoints)
{
	CHECK(num_endpoints <= ANSWER_ENDPOINTS_MAX);
	struct answer *answer = mem_new(struct answer);
	answer->refs = 1;
	answer->version = version;
	answer->destination = *destination;
	answer->kind = kind;
	answer->num_endpoints = num_endpoints;
	answer->endpoints = num_endpoints == 0 ? NULL : mem_calloc(num_endpoints, sizeof(*answer->endpoints));
	return answer;
}

bool endpoint_is_near(const struct endpoint *endpoint, uint32_t zone)
{
	for (unsigned i = 0; zone != 0 && i < ENDPOINT_ZONES_MAX; i++)
		if (endpoint->zones[i] == zone)
			return true;
	return false;
}

static int by_zone(const void *left, const void *right)
{
	const struct near_place *a = left, *b = right;
	if (a->zone != b->zone)
		return a->zone < b->zone ? -1 : 1;
	return (int)a->at - (int)b->at;
}

static bool is_sorted_in(const struct answer *answer, size_t at, uint32_t zone)
{
	for (size_t i = answer->num_near; i > 0 && answer->near[i - 1].at == at; i--)
		if (answer->near[i - 1].zone == zone)
			return true;
	return false;
}

void answer_sort_zones(struct answer *answer)
{
	size_t num = answer->num_endpoints - answer->num_draining;
	CHECK(answer->refs == 1 && answer->num_draining <= answer->num_endpoints);
	mem_free(answer->near);
	answer->near = NULL;
	answer->num_near = 0;
	for (size_t at = 0; at < num; at++)
		for (unsigned i = 0; i < ENDPOINT_ZONES_MAX; i++) {
			uint32_t zone = answer->endpoints[at].zones[i];
			if (zone == 0 || is_sorted_in(answer, at, zone))
				continue;
			if (answer->near == NULL)
				answer->near = mem_calloc(num * ENDPOINT_ZONES_MAX, sizeof(*answer->near));
			answer->near[answer->num_near++] = (struct near_place){zone, (uint16_t)at};
		}
	if (answer->num_near == 0)
		return;
	answer->near = mem_realloc(answer->near, answer->num_near * sizeof(*answer->near));
	qsort(answer->near, answer->num_near, sizeof(*answer->near), by_zone);
}

/* How many places are of a zone below this one. */
static size_t num_below(const struct answer *answer, uint64_t zone)
{
	size_t from = 0, to = answer->num_near;
	while (from < to) {
		size_t middle = (from + to) / 2;
		if (answer->near[middle].zone < zone)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

const struct near_place *answer_near(const struct answer *answer, uint32_t zone, size_t *out_num)
{
	size_t from = zone == 0 ? 0 : num_below(answer, zone);
	*out_num = zone == 0 ? 0 : num_below(answer, (uint64_t)zone + 1) - from;
	return answer->near == NULL ? NULL : &answer->near[from];
}

struct answer *answer_ref(struct answer *answer)
{
	unsigned before = __atomic_fetch_add(&answer->refs, 1, __ATOMIC_RELAXED);
	CHECK(before > 0);
	return answer;
}

void answer_unref(struct answer *answer)
{
	if (answer == NULL)
		return;
	unsigned refs = __atomic_fetch_sub(&answer->refs, 1, __ATOMIC_ACQ_REL);
	CHECK(refs > 0);
	if (refs > 1)
		return;
	for (size_t i = 0; i < answer->num_endpoints; i++)
		spiffe_id_done(&answer->endpoints[i].id);
	mem_free(answer->endpoints);
	mem_free(answer->near);
	mem_free(answer->reason);
	mem_free(answer);
}

static struct network *networks_new(size_t num)
{
	return num == 0 ? NULL : mem_calloc(num, sizeof(struct network));
}

struct mesh_networks *mesh_networks_new(size_t num_inside, size_t num_plaintext, size_t num_require_mtls)
{
	struct mesh_networks *networks = mem_new(struct mesh_networks);
	*networks = (struct mesh_networks){
		.refs = 1,
		.inside = networks_new(num_inside),
		.num_inside = num_inside,
		.plaintext = networks_new(num_plaintext),
		.num_plaintext = num_plaintext,
		.require_mtls = networks_new(num_require_mtls),
		.num_require_mtls = num_require_mtls,
	};
	return networks;
}

void mesh_networks_add_service(struct mesh_networks *networks, struct span name, const struct ip_addr *ip)
{
	networks->services =
		mem_realloc(networks->services, (networks->num_services + 1) * sizeof(*networks->services));
	networks->services[networks->num_services++] =
		(struct mesh_service){mem_printf("%.*s", (int)name.len, (const char *)name.ptr), *ip};
}

const struct ip_addr *mesh_networks_service(const struct mesh_networks *networks, const char *name)
{
	for (size_t i = 0; i < networks->num_services; i++)
		if (strcmp(networks->services[i].name, name) == 0)
			return &networks->services[i].ip;
	return NULL;
}

struct mesh_networks *mesh_networks_ref(struct mesh_networks *networks)
{
	unsigned before = __atomic_fetch_add(&networks->refs, 1, __ATOMIC_RELAXED);
	CHECK(before > 0);
	return networks;
}

void mesh_networks_unref(struct mesh_networks *networks)
{
	if (networks == NULL)
		return;
	unsigned refs = __atomic_fetch_sub(&networks->refs, 1, __ATOMIC_ACQ_REL);
	CHECK(refs > 0);
	if (refs > 1)
		return;
	mem_free(networks->inside);
	mem_free(networks->plaintext);
	mem_free(networks->require_mtls);
	for (size_t i = 0; i < networks->num_services; i++)
		mem_free(networks->services[i].name);
	mem_free(networks->services);
	mem_free(networks);
}

static bool any_contains(const struct network *networks, size_t num, const struct ip_addr *ip)
{
	for (size_t i = 0; i < num; i++)
		if (network_contains(&networks[i], ip))
			return true;
	return false;
}

bool mesh_networks_needs_answer(const struct mesh_networks *networks, const struct ip_addr *ip)
{
	return any_contains(networks->inside, networks->num_inside, ip) &&
	       !any_contains(networks->plaintext, networks->num_plaintext, ip);
}

static bool any_of_family(const struct network *networks, size_t num, uint8_t family)
{
	for (size_t i = 0; i < num; i++)
		if (networks[i].base.family == family)
			return true;
	return false;
}

bool mesh_networks_have_family(const struct mesh_networks *networks, uint8_t family)
{
	return any_of_family(networks->inside, networks->num_inside, family) ||
	       any_of_family(networks->plaintext, networks->num_plaintext, family);
}

bool mesh_networks_requires_mtls(const struct mesh_networks *networks, const struct ip_addr *ip)
{
	return any_contains(networks->require_mtls, networks->num_require_mtls, ip);
}
