/* Subscribed destinations and the answers about them. */
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "certs/digest.h"
#include "control/distribute/distribute_private.h"
#include "control/distribute/encode.h"
#include <stdlib.h>

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
	mem_free(topic->endpoints);
	mem_free(topic);
	site_drop_if_unused(distributor, site);
}

static void keep_message(struct topic *topic, struct span message)
{
	CHECK(message.len > 0);
	topic->message = mem_realloc(topic->message, message.len);
	memcpy(topic->message, message.ptr, message.len);
	topic->message_len = message.len;
	/* The prefix ends with the length of what follows. */
	uint8_t prefix[ANSWERS_PREFIX_MAX];
	for (topic->prefix_len = 2; topic->prefix_len < ANSWERS_PREFIX_MAX; topic->prefix_len++)
		if (encode_answers_prefix(message.len - topic->prefix_len, prefix) == topic->prefix_len)
			break;
	CHECK(message.len > topic->prefix_len && memcmp(prefix, message.ptr, topic->prefix_len) == 0);
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
	struct answer_mark mark)
{
	buf_clear(&distributor->message);
	enum err err = encode_answer(&topic->destination, resolution, mark, &distributor->message);
	distributor->spent += ANSWER_LEAST + buf_len(&distributor->message);
	return err;
}

static enum err encode_anew(struct distributor *distributor, struct topic *topic, const struct resolution *resolution)
{
	uint64_t version = ++distributor->answer_version;
	const struct answer_mark mark = {version, topic->digest};
	RETURN_IF_ERR(encode(distributor, topic, resolution, mark));
	topic->version = version;
	keep_message(topic, buf_span(&distributor->message));
	distributor->counts.num_encoded++;
	return ERR_NONE;
}

static int by_address(const void *a, const void *b)
{
	const struct resolved_endpoint *left = a, *right = b;
	int ips = memcmp(&left->address.ip, &right->address.ip, sizeof left->address.ip);
	return ips != 0 ? ips : (int)left->address.port - (int)right->address.port;
}

/* In one order for all control planes, and after a restart: callers begin at a random endpoint. */
static void resolve(struct distributor *distributor, const struct topic *topic, struct resolution *out)
{
	registry_resolve(distributor->registry, &topic->destination, out);
	qsort(out->endpoints, out->num_endpoints, sizeof *out->endpoints, by_address);
	qsort(out->endpoints + out->num_endpoints, out->num_draining, sizeof *out->endpoints, by_address);
}

/* An unchanged answer has the same digest. */
bool topic_resolve(struct distributor *distributor, struct topic *topic)
{
	static const struct answer_mark none = {0};
	struct resolution resolution;
	uint8_t digest[DIGEST_LEN];
	resolve(distributor, topic, &resolution);
	note_cut(distributor, topic, &resolution);
	if (encode(distributor, topic, &resolution, none) != ERR_NONE)
		return false;
	digest_sha256(buf_span(&distributor->message), digest);
	if (topic->content != 0 && memcmp(digest, topic->digest, ANSWER_DIGEST_LEN) == 0)
		return false;
	memcpy(topic->digest, digest, ANSWER_DIGEST_LEN);
	if (encode_anew(distributor, topic, &resolution) != ERR_NONE)
		return false;
	topic->content = topic->version;
	topic->has_grown = growth_note(topic, &resolution, distributor->topics.seed);
	return true;
}

void topic_renumber(struct distributor *distributor, struct topic *topic)
{
	struct resolution resolution;
	resolve(distributor, topic, &resolution);
	enum err err = encode_anew(distributor, topic, &resolution);
	CHECK(err == ERR_NONE || topic->message != NULL); /* too large: the former one is sent again */
}
