/* Subscribed destinations and the answers about them. */
#include "base/core/log.h"
#include "base/core/mem.h"
#include "control/distribute/distribute_private.h"
#include "control/distribute/encode.h"

enum { ANSWER_LEAST = 256 }; /* the least cost of an answer, in bytes */

static struct site **site_slot(struct distributor *distributor, const struct ip_addr *ip)
{
	const struct addr addr = {.ip = *ip};
	struct site **slot = &distributor->sites[addr_hash(&addr, distributor->seed) % SITE_BUCKETS];
	while (*slot != NULL && !ip_addr_eq(&(*slot)->ip, ip))
		slot = &(*slot)->next;
	return slot;
}

struct site *site_find(struct distributor *distributor, const struct ip_addr *ip)
{
	return *site_slot(distributor, ip);
}

static struct topic **topic_slot(struct distributor *distributor, const struct addr *destination)
{
	struct topic **slot = &distributor->topics[addr_hash(destination, distributor->seed) % TOPIC_BUCKETS];
	while (*slot != NULL && !addr_eq(&(*slot)->destination, destination))
		slot = &(*slot)->next;
	return slot;
}

static void site_add(struct site *site, struct topic *topic)
{
	topic->site = site;
	topic->next_of_site = site->topics;
	topic->prev_of_site = &site->topics;
	if (topic->next_of_site != NULL)
		topic->next_of_site->prev_of_site = &topic->next_of_site;
	site->topics = topic;
}

struct topic *topic_take(struct distributor *distributor, const struct addr *destination)
{
	struct topic **slot = topic_slot(distributor, destination);
	struct site **site = site_slot(distributor, &destination->ip);
	if (*slot != NULL)
		return *slot;
	if (*site == NULL) {
		*site = mem_new(struct site);
		(*site)->ip = destination->ip;
	}
	*slot = mem_new(struct topic);
	(*slot)->destination = *destination;
	site_add(*site, *slot);
	return *slot;
}

static void site_drop_if_unused(struct distributor *distributor, struct site *site)
{
	if (site->topics != NULL)
		return;
	work_stop_site(distributor, site);
	*site_slot(distributor, &site->ip) = site->next;
	mem_free(site);
}

void topic_drop_if_unused(struct distributor *distributor, struct topic *topic)
{
	struct site *site = topic->site;
	if (topic->subscriptions != NULL)
		return;
	work_stop_topic(distributor, topic);
	if (site->cursor == topic)
		site->cursor = topic->next_of_site;
	*topic->prev_of_site = topic->next_of_site;
	if (topic->next_of_site != NULL)
		topic->next_of_site->prev_of_site = topic->prev_of_site;
	*topic_slot(distributor, &topic->destination) = topic->next;
	mem_free(topic->message);
	mem_free(topic);
	site_drop_if_unused(distributor, site);
}

static void keep_message(struct topic *topic, struct span message)
{
	topic->message = mem_realloc(topic->message, message.len);
	memcpy(topic->message, message.ptr, message.len);
	topic->message_len = message.len;
}

static void note_cut(struct distributor *distributor, struct topic *topic, const struct resolution *resolution)
{
	bool begins = resolution->is_cut && !topic->is_cut;
	topic->is_cut = resolution->is_cut;
	if (begins && limited_log_allows_identity(distributor->lines, resolution->service, "more endpoints"))
		log_warning("distribute",
			"service %s has more than %u endpoints of one family, and the others get no calls: split the "
			"service",
			resolution->service, RESOLUTION_ENDPOINTS_MAX);
}

static enum err encode(struct distributor *distributor, const struct topic *topic, const struct resolution *resolution,
	uint64_t version)
{
	buf_clear(&distributor->message);
	enum err err = encode_answer(&topic->destination, resolution, version, &distributor->message);
	distributor->spent += ANSWER_LEAST + buf_len(&distributor->message);
	return err;
}

/* Encoded with its present version, an unchanged answer has the same bytes. */
bool topic_resolve(struct distributor *distributor, struct topic *topic)
{
	struct resolution resolution;
	registry_resolve(distributor->registry, &topic->destination, &resolution);
	note_cut(distributor, topic, &resolution);
	if (topic->content != 0 && encode(distributor, topic, &resolution, topic->version) == ERR_NONE &&
		span_eq(buf_span(&distributor->message), span_of(topic->message, topic->message_len)))
		return false;
	uint64_t version = ++distributor->answer_version;
	if (encode(distributor, topic, &resolution, version) != ERR_NONE)
		return false;
	topic->content = topic->version = version;
	keep_message(topic, buf_span(&distributor->message));
	distributor->counts.num_encoded++;
	return true;
}

void topic_renumber(struct distributor *distributor, struct topic *topic)
{
	struct resolution resolution;
	uint64_t version = ++distributor->answer_version;
	registry_resolve(distributor->registry, &topic->destination, &resolution);
	if (encode(distributor, topic, &resolution, version) != ERR_NONE)
		return;
	topic->version = version;
	keep_message(topic, buf_span(&distributor->message));
	distributor->counts.num_encoded++;
}
