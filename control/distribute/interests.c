/* Who has asked about which destination, for the operators' page. */
#include "control/distribute/distribute_private.h"

struct visit {
	uint64_t max, num;
	distributor_interest_fn *each;
	void *arg;
};

static void visit_topic(void *arg, struct table_link *link)
{
	struct visit *visit = arg;
	const struct topic *topic = container_of(link, struct topic, link);
	LIST_EACH(&topic->subscriptions, struct subscription, subscription, of_topic) {
		const struct distributor_interest interest = {
			&subscription->stream->id, &topic->destination, subscription->since_s};
		if (visit->num++ < visit->max)
			visit->each(visit->arg, &interest);
	}
}

uint64_t distributor_each_interest(
	const struct distributor *distributor, uint64_t max, distributor_interest_fn *each, void *arg)
{
	struct visit visit = {.max = max, .each = each, .arg = arg};
	table_each(&distributor->topics, visit_topic, &visit);
	return visit.num;
}
