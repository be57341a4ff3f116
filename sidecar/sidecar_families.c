/* Address families that the mesh networks do not cover: connections of the workload over them leave in plaintext (or
 * are refused, in mode require). A condition, a metric and a warning report this, in case the operator did not intend
 * it. */
#include "sidecar/sidecar_private.h"

#include "base/core/log.h"
#include "base/net/own_address.h"

#define COMPONENT "mesh"

static const struct {
	uint8_t family;
	const char *name;
	unsigned metric;
} FAMILIES[SIDECAR_FAMILIES] = {
	{AF_INET, "IPv4", METRIC_FAMILY_OUTSIDE_IPV4},
	{AF_INET6, "IPv6", METRIC_FAMILY_OUTSIDE_IPV6},
};

void sidecar_families_update(struct sidecar *sidecar, const struct mesh_networks *networks)
{
	for (size_t i = 0; i < SIDECAR_FAMILIES; i++)
		sidecar->families[i].is_uncovered = !mesh_networks_have_family(networks, FAMILIES[i].family);
	sidecar_families_poll(sidecar);
}

/* In mode off, all connections leave unchanged, which the operator has chosen. */
static bool is_outside(const struct sidecar *sidecar, size_t i, struct ip_addr *out_own)
{
	return sidecar->families[i].is_uncovered && sidecar->config->outbound_mode != OUTBOUND_OFF &&
	       own_address_find(FAMILIES[i].family, out_own);
}

static void report(struct sidecar *sidecar, size_t i)
{
	char text[ADDR_TEXT_MAX];
	struct sidecar_family *family = &sidecar->families[i];
	if (!family->is_outside) {
		family->detail[0] = '\0';
		log_notice(COMPONENT, "the mesh networks cover %s now, or this host has no %s address",
			FAMILIES[i].name, FAMILIES[i].name);
		return;
	}
	snprintf(family->name, sizeof(family->name), "%s outside the mesh", FAMILIES[i].name);
	snprintf(family->detail, sizeof(family->detail),
		"this host has the address %s, and mesh.networks has no %s network: each outbound connection over %s "
		"%s",
		ip_addr_format(&family->own, text), FAMILIES[i].name, FAMILIES[i].name,
		sidecar->config->outbound_mode == OUTBOUND_REQUIRE ? "is refused" : "leaves in plaintext");
	log_warning(COMPONENT, "%s; %s", family->detail, SIDECAR_FAMILY_FIX);
}

/* An address may be added or removed at any time. */
void sidecar_families_poll(struct sidecar *sidecar)
{
	for (size_t i = 0; i < SIDECAR_FAMILIES; i++) {
		struct sidecar_family *family = &sidecar->families[i];
		bool was_outside = family->is_outside;
		family->is_outside = is_outside(sidecar, i, &family->own);
		metric_set(sidecar_shard(sidecar), FAMILIES[i].metric, family->is_outside);
		if (family->is_outside != was_outside)
			report(sidecar, i);
	}
}
