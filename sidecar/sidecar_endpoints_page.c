/* /endpoints: the destinations that this sidecar knows, each with its endpoints, their zones, and which are preferred;
 * and this host's own zone. A zone is known by its name where it is that of the settings, else by its hash (decision
 * 087). */
#include "base/core/mem.h"
#include "base/settings/settings_record.h"
#include "sidecar/report/pages.h"
#include "sidecar/sidecar_private.h"
#include "sidecar/worker/worker_set_aside.h"
#include <stdio.h>

enum {
	DESTINATIONS_MAX = 1000,
	ENDPOINTS_MAX = 2000 /* of all destinations: the page stays below what a command reads */
};

struct endpoints_page {
	const struct sidecar *sidecar;
	struct http_request *request;
	const struct set_aside_endpoints *set_aside; /* while it is made */
	json_t *destinations;
	size_t num_endpoints;
};

static const char *zone_name(const struct sidecar *sidecar)
{
	const struct setting_row *row = settings_record_find(sidecar->in_force, "zone");
	return row == NULL ? NULL : row->value;
}

static json_t *zone_json(const struct sidecar *sidecar, uint32_t zone)
{
	char text[16];
	if (zone == 0)
		return json_null();
	if (zone == sidecar->config->zone)
		return page_text(zone_name(sidecar));
	(void)snprintf(text, sizeof(text), "#%08x", zone);
	return page_text(text);
}

static json_t *own_zone_json(const struct sidecar *sidecar)
{
	const char *from = sidecar->zone == 0 ? NULL : sidecar->config->zone != 0 ? "settings" : "control plane";
	return json_pack("{s:o, s:o, s:b}", "name", zone_json(sidecar, sidecar->zone), "from", page_text(from),
		"preferred", sidecar->config->prefers_zone);
}

/* --- one destination --- */

static bool is_set_aside(const struct endpoints_page *page, const struct endpoint *endpoint)
{
	return set_aside_has(page->set_aside, &endpoint->address);
}

/* As choose_endpoint.c decides for each connection: those in the own zone, while at least half of them serve. */
static bool prefers_near(const struct endpoints_page *page, const struct answer *answer)
{
	size_t num_near = 0, num_open = 0;
	if (!page->sidecar->config->prefers_zone || answer->affinity_s > 0)
		return false;
	for (size_t i = 0; i < answer->num_endpoints - answer->num_draining; i++)
		if (endpoint_is_near(&answer->endpoints[i], page->sidecar->zone)) {
			num_near++;
			num_open += !is_set_aside(page, &answer->endpoints[i]);
		}
	return num_open > 0 && 2 * num_open >= num_near;
}

static json_t *endpoint_json(const struct endpoints_page *page, const struct answer *answer, size_t at, bool prefers)
{
	const struct endpoint *endpoint = &answer->endpoints[at];
	bool is_draining = at >= answer->num_endpoints - answer->num_draining;
	json_t *zones = json_array();
	for (size_t i = 0; i < ENDPOINT_ZONES_MAX && endpoint->zones[i] != 0; i++)
		json_array_append_new(zones, zone_json(page->sidecar, endpoint->zones[i]));
	return json_pack("{s:o, s:o, s:s, s:o, s:b, s:b, s:b}", "address", page_addr(&endpoint->address), "identity",
		page_text(endpoint->id.text), "transport",
		endpoint->transport == TRANSPORT_TUNNEL ? "tunnel" : "istio_tls", "zones", zones, "preferred",
		prefers && !is_draining && endpoint_is_near(endpoint, page->sidecar->zone), "set_aside",
		is_set_aside(page, endpoint), "draining", is_draining);
}

static bool add_destination(void *arg, const struct answer *answer)
{
	static const char *const kinds[] = {[DESTINATION_MESHED] = "meshed",
		[DESTINATION_PLAINTEXT] = "plaintext",
		[DESTINATION_UNKNOWN] = "unknown"};
	struct endpoints_page *page = arg;
	bool prefers = prefers_near(page, answer);
	json_t *endpoints = json_array();
	for (size_t i = 0; i < answer->num_endpoints && page->num_endpoints < ENDPOINTS_MAX; i++) {
		json_array_append_new(endpoints, endpoint_json(page, answer, i, prefers));
		page->num_endpoints++;
	}
	json_array_append_new(page->destinations,
		json_pack("{s:o, s:s, s:o, s:I, s:o}", "destination", page_addr(&answer->destination), "kind",
			kinds[answer->kind], "service",
			page_text(answer->kind == DESTINATION_MESHED ? answer->reason : NULL), "num_endpoints",
			(json_int_t)answer->num_endpoints, "endpoints", endpoints));
	return json_array_size(page->destinations) < DESTINATIONS_MAX && page->num_endpoints < ENDPOINTS_MAX;
}

/* --- the page --- */

static void on_set_aside(void *arg, const struct set_aside_endpoints *endpoints)
{
	struct endpoints_page *page = arg;
	const struct discovery_client *discovery = page->sidecar->discovery;
	page->set_aside = endpoints;
	page->destinations = json_array();
	discovery_client_each_answer(discovery, add_destination, page);
	admin_answer_json(page->request,
		json_pack("{s:o, s:I, s:I, s:o}", "zone", own_zone_json(page->sidecar), "total",
			(json_int_t)discovery_client_num_subscriptions(discovery), "shown",
			(json_int_t)json_array_size(page->destinations), "destinations", page->destinations));
	mem_free(page);
}

void sidecar_on_endpoints(void *arg, struct http_request *request)
{
	const struct sidecar *sidecar = arg;
	struct endpoints_page *page = mem_new(struct endpoints_page);
	page->sidecar = sidecar;
	page->request = request;
	worker_gather_set_aside(sidecar->workers, sidecar->num_workers, sidecar->loop, on_set_aside, page);
}
