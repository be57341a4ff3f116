/* Whom a change of the trust state has reached (decision 108). A control plane that ends at once after a command would
 * else have answered to what no sidecar hears of until it is back. */
#include "base/core/check.h"
#include "control/serve/operator_private.h"

/* A sidecar that is frozen, or refuses to answer, holds up no operator for longer. */
#define REACH_MS  2000
#define REPEAT_MS 10

static void count(void *arg, const struct identity_view *view)
{
	struct operator_request *request = arg;
	if (!view->answers_trust)
		return;
	request->reach.num_connected++;
	if (request->is_revocation && !view->knows_revocations)
		return;
	request->reach.num_acknowledged += view->acked.incarnation == request->must_reach.incarnation &&
					   request->must_reach.counter > 0 &&
					   view->acked.counter >= request->must_reach.counter;
}

static bool is_reached(struct operator_request *request)
{
	const struct trust *trust = request->serve->options.trust;
	if (request->must_reach.counter == 0 && trust_is_stored(trust))
		request->must_reach = trust_epoch(trust);
	request->reach = (struct reach){.is_known = true};
	identity_each(request->serve, count, request);
	return request->must_reach.counter > 0 && request->reach.num_acknowledged == request->reach.num_connected;
}

static void on_reaching(struct loop_timer *timer)
{
	struct operator_request *request = container_of(timer, struct operator_request, reaching);
	struct loop *loop = request->serve->options.loop;
	CHECK(request->call != NULL);
	if (is_reached(request) || loop_now_ms(loop) - request->reaching_since_ms >= REACH_MS)
		request->on_reached(request);
	else
		loop_timer_start(loop, &request->reaching, REPEAT_MS, on_reaching);
}

void operator_reach(struct operator_request *request, void (*on_reached)(struct operator_request *request))
{
	CHECK(!loop_timer_is_armed(&request->reaching));
	if (request->call == NULL) { /* no operator waits for the answer */
		operator_request_unref(request);
		return;
	}
	request->on_reached = on_reached;
	request->reaching_since_ms = loop_now_ms(request->serve->options.loop);
	loop_timer_start(request->serve->options.loop, &request->reaching, 0, on_reaching);
}

void operator_reach_abandon(struct operator_request *request)
{
	if (!loop_timer_is_armed(&request->reaching))
		return;
	loop_timer_stop(&request->reaching);
	operator_request_unref(request);
}
