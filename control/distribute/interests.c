/* Who has asked about which destination, for the operators' page. */
#include "base/core/fair_rows.h"
#include "base/core/mem.h"
#include "control/distribute/distribute_private.h"

struct visit {
	uint64_t room; /* of this stream */
	distributor_interest_fn *each;
	void *arg;
};

static void visit_subscription(void *arg, struct table_link *link)
{
	struct visit *visit = arg;
	const struct subscription *subscription = container_of(link, struct subscription, link);
	const struct distributor_interest interest = {
		&subscription->stream->id, &subscription->topic->destination, subscription->since_s};
	if (visit->room == 0)
		return;
	visit->room--;
	visit->each(visit->arg, &interest);
}

uint64_t distributor_each_interest(
	const struct distributor *distributor, uint64_t max, distributor_interest_fn *each, void *arg)
{
	_cleanup_(mem_freep) struct fair_rows *streams = mem_calloc(distributor->num_streams, sizeof *streams);
	size_t num = 0, at = 0;
	uint64_t sum = 0;
	LIST_EACH(&distributor->streams, struct stream, stream, link) {
		streams[num++] = (struct fair_rows){stream->id.text, stream->subscriptions.num, 0};
		sum += stream->subscriptions.num;
	}
	(void)fair_rows_share(streams, num, max, max);
	LIST_EACH(&distributor->streams, struct stream, stream, link) {
		struct visit visit = {streams[at++].given, each, arg};
		if (visit.room > 0)
			table_each(&stream->subscriptions, visit_subscription, &visit);
	}
	return sum;
}
