/* Subscribed destinations and the answers about them. */
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "control/distribute/distribute_private.h"
#include "control/distribute/encode.h"

enum { ANSWER_LEAST = 256 }; /* the least cost of an answer, in bytes */

static uint64_t site_hash(const struct distributor *distributor, const struct ip_addr *ip)
{
	const struct addr addr = {.ip = *ip};
	return addr_hash(&addr, distributor->sites.seed);
}

static bool has_ip(const struct table_link *link, const void *ip)
{
	return ip_addr_eq(&container_of(link, const struct site, link)->ip, ip);
}

struct site *site_find(struct distributor *distributor, const struct ip_addr *ip)
{
	struct table_link *link = table_find(&distributor->sites, site_hash(distributor, ip), has_ip, ip);
	return link == NULL ? NULL : container_of(link, struct site, link);
}

static bool is_of(const struct table_link *link, const void *destination)
{
	return addr_eq(&container_of(link, const struct topic, link)->destination, destination);
}

static struct site *site_for(struct distributor *distributor, const struct ip_addr *ip)
{
	struct site *site = site_find(distributor, ip);
	if (site != NULL)
		return site;
	site = mem_new(struct site);
	site->ip = *ip;
	table_add(&distributor->sites, &site->link, site_hash(distributor, ip));
	return site;
}

struct topic *topic_take(struct distributor *distributor, const struct addr *destination)
{
	uint64_t hash = addr_hash(destination, distributor->topics.seed);
	struct table_link *link = table_find(&distributor->topics, hash, is_of, destination);
	if (link != NULL)
		return container_of(link, struct topic, link);
	struct topic *topic = mem_new(struct topic);
	topic->destination = *destination;
	topic->site = site_for(distributor, &destination->ip);
	list_push_front(&topic->site->topics, &topic->of_site);
	table_add(&distributor->topics, &topic->link, hash);
	return topic;
}

static void site_drop_if_unused(struct distributor *distributor, struct site *site)
{
	if (!list_is_empty(&site->topics))
		return;
	CHECK(site->cursor == NULL);
	work_stop_site(site);
	table_remove(&distributor->sites, &site->link);
	mem_free(site);
}

void topic_drop_if_unused(struct distributor *distributor, struct topic *topic)
{
	struct site *site = topic->site;
	if (!list_is_empty(&topic->subscriptions))
		return;
	CHECK(topic->cursor == NULL); /* each subscription was passed over before it was freed */
	work_stop_topic(topic);
	if (site->cursor == topic)
		site->cursor = LIST_NEXT(&site->topics, topic, of_site);
	list_remove(&topic->of_site);
	table_remove(&distributor->topics, &topic->link);
	mem_free(topic->message);
	mem_free(topic);
	site_drop_if_unused(distributor, site);
}

static void keep_message(struct topic *topic, struct span message)
{
	CHECK(message.len > 0);
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
