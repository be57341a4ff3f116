/* Services whose address a sidecar asked for by name, for listeners that lead to them: part of the mesh's state of that
 * sidecar, which gets a new one when an address changes. A name is resolved once for all sidecars that have it, and
 * once per change of anything; a pass over all names, and then over the streams that have some, is done in slices. */
#include "base/core/check.h"
#include "base/core/hash.h"
#include "base/core/mem.h"
#include "control/distribute/distribute_private.h"
#include <string.h>

enum {
	SETTLE_MS = 100, /* a cluster's objects can change very often */

	/* The most that one round does of each: about a millisecond in all. */
	SLICE_RESOLVED = 512,
	SLICE_COMPARED = 4096, /* names of streams */
};

struct name {
	struct table_link link;
	struct list_link of_names;
	unsigned refs;
	bool exists;
	struct ip_addr ip;
	uint64_t resolved; /* names_changes of then */
	uint64_t version;  /* of its address: of names_version when it changed */
	char text[];
};

/* --- names --- */

static bool is_name(const struct table_link *link, const void *text)
{
	return strcmp(container_of(link, const struct name, link)->text, text) == 0;
}

static struct name *name_make(struct distributor *distributor, const char *text, uint64_t hash)
{
	size_t len = strlen(text) + 1;
	struct name *name = mem_zalloc(sizeof(*name) + len);
	memcpy(name->text, text, len);
	list_push_back(&distributor->names, &name->of_names);
	table_add(&distributor->names_by_text, &name->link, hash);
	return name;
}

static struct name *name_take(struct distributor *distributor, const char *text)
{
	uint64_t hash = hash_bytes(span_of_str(text), distributor->names_by_text.seed);
	struct table_link *link = table_find(&distributor->names_by_text, hash, is_name, text);
	struct name *name = link != NULL ? container_of(link, struct name, link) : name_make(distributor, text, hash);
	name->refs++;
	return name;
}

static void name_drop(struct distributor *distributor, struct name *name)
{
	if (--name->refs > 0)
		return;
	if (distributor->next_name == name)
		distributor->next_name = LIST_NEXT(&distributor->names, name, of_names);
	list_remove(&name->of_names);
	table_remove(&distributor->names_by_text, &name->link);
	mem_free(name);
}

static void name_resolve(struct distributor *distributor, struct name *name)
{
	struct ip_addr ip = {0};
	if (name->resolved == distributor->names_changes)
		return;
	bool exists = registry_service_address(distributor->registry, name->text, &ip);
	if (exists != name->exists || (exists && !ip_addr_eq(&ip, &name->ip)))
		name->version = ++distributor->names_version;
	name->exists = exists;
	name->ip = ip;
	name->resolved = distributor->names_changes;
}

/* --- names of a stream --- */

void named_take(struct stream *stream, char *const *services, size_t num)
{
	struct distributor *distributor = stream->distributor;
	CHECK(stream->services == NULL && num <= NAMED_SERVICES_MAX);
	if (num == 0)
		return;
	stream->services = mem_calloc(num, sizeof(struct name *));
	for (size_t i = 0; i < num; i++)
		stream->services[i] = name_take(distributor, services[i]);
	stream->num_services = num;
	list_push_back(&distributor->naming, &stream->of_naming);
}

void named_stop(struct stream *stream)
{
	struct distributor *distributor = stream->distributor;
	if (stream->num_services == 0)
		return;
	if (distributor->next_naming == stream)
		distributor->next_naming = LIST_NEXT(&distributor->naming, stream, of_naming);
	list_remove(&stream->of_naming);
	for (size_t i = 0; i < stream->num_services; i++)
		name_drop(distributor, stream->services[i]);
	mem_free(stream->services);
	stream->num_services = 0;
}

static uint64_t newest_version(const struct stream *stream)
{
	uint64_t newest = 0;
	for (size_t i = 0; i < stream->num_services; i++)
		if (stream->services[i]->version > newest)
			newest = stream->services[i]->version;
	return newest;
}

size_t named_gather(struct stream *stream, struct named_service out[NAMED_SERVICES_MAX])
{
	size_t num = 0;
	for (size_t i = 0; i < stream->num_services; i++) {
		struct name *name = stream->services[i];
		name_resolve(stream->distributor, name);
		if (name->exists)
			out[num++] = (struct named_service){name->text, name->ip};
	}
	stream->services_sent = newest_version(stream);
	return num;
}

/* --- a pass, after a change --- */

static void resolve_slice(struct distributor *distributor)
{
	for (unsigned num = 0; num < SLICE_RESOLVED && distributor->next_name != NULL; num++) {
		struct name *name = distributor->next_name;
		distributor->next_name = LIST_NEXT(&distributor->names, name, of_names);
		name_resolve(distributor, name);
	}
	if (distributor->next_name != NULL || distributor->names_version == distributor->names_compared)
		return;
	distributor->names_compared = distributor->names_version;
	distributor->next_naming = LIST_FIRST(&distributor->naming, struct stream, of_naming);
}

static void compare_slice(struct distributor *distributor)
{
	uint64_t version = 0;
	for (size_t num = 0; num < SLICE_COMPARED && distributor->next_naming != NULL;) {
		struct stream *stream = distributor->next_naming;
		distributor->next_naming = LIST_NEXT(&distributor->naming, stream, of_naming);
		num += stream->num_services;
		if (newest_version(stream) > stream->services_sent && stream->mesh_sent == stream->mesh_wanted)
			policies_renew(stream, &version);
	}
}

static bool is_under_way(const struct distributor *distributor)
{
	return distributor->next_name != NULL || distributor->next_naming != NULL;
}

static void pass_start(struct distributor *distributor)
{
	distributor->has_new_names = false;
	distributor->next_name = LIST_FIRST(&distributor->names, struct name, of_names);
}

static void on_settled(struct loop_timer *timer)
{
	struct distributor *distributor = container_of(timer, struct distributor, naming_timer);
	if (!is_under_way(distributor))
		pass_start(distributor);
	if (distributor->next_naming == NULL)
		resolve_slice(distributor);
	else
		compare_slice(distributor);
	if (is_under_way(distributor))
		loop_timer_start(distributor->loop, timer, 0, on_settled);
	else if (distributor->has_new_names)
		loop_timer_start(distributor->loop, timer, SETTLE_MS, on_settled);
}

void named_changed(struct distributor *distributor)
{
	distributor->names_changes++;
	if (list_is_empty(&distributor->naming))
		return;
	distributor->has_new_names = true;
	if (!loop_timer_is_armed(&distributor->naming_timer))
		loop_timer_start(distributor->loop, &distributor->naming_timer, SETTLE_MS, on_settled);
}
