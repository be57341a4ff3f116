#include "sidecar/route/endpoint.h"
#include "base/core/check.h"
#include "base/core/mem.h"

struct answer *answer_new(
	const struct addr *destination, enum destination_kind kind, uint64_t version, size_t num_endpoints)
{
	struct answer *answer = mem_new(struct answer);
	answer->refs = 1;
	answer->version = version;
	answer->destination = *destination;
	answer->kind = kind;
	answer->num_endpoints = num_endpoints;
	answer->endpoints = num_endpoints == 0 ? NULL : mem_calloc(num_endpoints, sizeof(*answer->endpoints));
	return answer;
}

const struct endpoint *answer_endpoint(const struct answer *answer, uint32_t seed, size_t n)
{
	CHECK(n < answer->num_endpoints && answer->num_draining <= answer->num_endpoints);
	size_t num_staying = answer->num_endpoints - answer->num_draining;
	seed = answer->affinity_s > 0 ? answer->pinned : seed;
	if (n < num_staying)
		return &answer->endpoints[(seed % num_staying + n) % num_staying];
	return &answer->endpoints[num_staying + (seed % answer->num_draining + n - num_staying) % answer->num_draining];
}

bool endpoint_is_near(const struct endpoint *endpoint, uint32_t zone)
{
	for (unsigned i = 0; zone != 0 && i < ENDPOINT_ZONES_MAX; i++)
		if (endpoint->zones[i] == zone)
			return true;
	return false;
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
