/* How a control plane ends: streams at once, since sidecars have another replica or wait; the webhook a little later.
 */
#include "base/core/log.h"
#include "base/net/service_manager.h"
#include "control/control_private.h"

static bool is_drained(const struct control *control)
{
	if (loop_now_ms(control->loop) >= control->drain_deadline_ms)
		return true;
	return !loop_timer_is_armed(&control->linger) && (control->serve == NULL || serve_is_drained(control->serve));
}

static void check_drained(struct loop_timer *timer)
{
	struct control *control = container_of(timer, struct control, drain);
	if (is_drained(control))
		loop_stop(control->loop);
	else
		loop_timer_start(control->loop, &control->drain, CONTROL_DRAIN_CHECK_MS, check_drained);
}

static void on_lingered(struct loop_timer *timer)
{
	kube_plane_drain(container_of(timer, struct control, linger)->plane);
}

void control_drain(struct control *control)
{
	if (control->is_draining) { /* the second signal ends it at once */
		loop_stop(control->loop);
		return;
	}
	control->is_draining = true;
	service_manager_stopping();
	log_notice("control", "stopping: no new connections; open ones get GOAWAY");
	if (control->serve != NULL)
		serve_drain(control->serve);
	if (control->plane != NULL && control->config->kubernetes.sidecar_image != NULL)
		loop_timer_start(control->loop, &control->linger, CONTROL_LINGER_MS, on_lingered);
	control->drain_deadline_ms = loop_now_ms(control->loop) + CONTROL_DRAIN_MS;
	loop_timer_start(control->loop, &control->drain, CONTROL_DRAIN_CHECK_MS, check_drained);
}
