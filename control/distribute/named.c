/* Services whose address a sidecar asked for by name, for listeners that lead to them: part of the mesh's state of that
 * sidecar, which gets a new one when an address changes. */
#include "base/core/check.h"
#include "base/core/hash.h"
#include "base/core/mem.h"
#include "control/distribute/distribute_private.h"
#include <string.h>

enum { SETTLE_MS = 100 }; /* a cluster's objects can change very often */

void named_take(struct stream *stream, char ***services, size_t *num)
{
	CHECK(stream->services == NULL && *num <= NAMED_SERVICES_MAX);
	stream->services = TAKE_PTR(*services);
	stream->num_services = *num;
	*num = 0;
	if (stream->num_services > 0)
		list_push_back(&stream->distributor->naming, &stream->of_naming);
}

static size_t find(const struct stream *stream, struct named_service *out, uint64_t *out_hash)
{
	const struct distributor *distributor = stream->distributor;
	size_t num = 0;
	*out_hash = 0;
	for (size_t i = 0; i < stream->num_services; i++) {
		struct addr at = {.port = 0};
		if (!registry_service_address(distributor->registry, stream->services[i], &at.ip))
			continue;
		out[num++] = (struct named_service){stream->services[i], at.ip};
		*out_hash = hash_mix(*out_hash + i, addr_hash(&at, distributor->topics.seed));
	}
	return num;
}

size_t named_gather(struct stream *stream, struct named_service out[NAMED_SERVICES_MAX])
{
	return find(stream, out, &stream->services_sent);
}

static void on_settled(struct loop_timer *timer)
{
	struct distributor *distributor = container_of(timer, struct distributor, names);
	struct named_service found[NAMED_SERVICES_MAX];
	uint64_t hash;
	uint64_t version = 0;
	LIST_EACH(&distributor->naming, struct stream, stream, of_naming) {
		(void)find(stream, found, &hash);
		if (hash == stream->services_sent || stream->mesh_sent != stream->mesh_wanted)
			continue;
		policies_renew(stream, &version);
	}
}

void named_changed(struct distributor *distributor)
{
	if (!list_is_empty(&distributor->naming) && !loop_timer_is_armed(&distributor->names))
		loop_timer_start(distributor->loop, &distributor->names, SETTLE_MS, on_settled);
}

void named_stop(struct stream *stream)
{
	if (list_is_linked(&stream->of_naming))
		list_remove(&stream->of_naming);
	for (size_t i = 0; i < stream->num_services; i++)
		mem_free(stream->services[i]);
	mem_free(stream->services);
}
