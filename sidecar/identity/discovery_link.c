#include "sidecar/identity/discovery_link.h"

#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/core/random.h"
#include "sidecar/identity/control_link.h"
#include "sidecar/identity/redial.h"

#define COMPONENT "identity"

struct discovery_link {
	struct discovery_link_options options;
	struct control_link *link;
	struct bootstrap_pins pins;
	struct trusted_time time;        /* no authenticated time: the system's clock */
	struct credentials *credentials; /* NULL: none that are valid */
	struct redial redial;
	struct loop_timer dial_timer;
	struct why failure;
};

static void on_dial_timer(struct loop_timer *timer)
{
	struct discovery_link *link = container_of(timer, struct discovery_link, dial_timer);
	CHECK(control_link_is_down(link->link));
	if (link->credentials != NULL)
		control_link_dial(link->link, link->credentials, 0, redial_timeout_ms(&link->redial));
}

static void dial_in(struct discovery_link *link, uint32_t delay_ms)
{
	loop_timer_start(link->options.loop, &link->dial_timer, delay_ms, on_dial_timer);
}

static void on_up(void *arg)
{
	struct discovery_link *link = arg;
	redial_succeeded(&link->redial);
	link->failure = (struct why){0};
	link->options.on_connection(link->options.arg, control_link_client(link->link));
}

static void on_down(void *arg, const struct why *why, enum redial_cause cause)
{
	struct discovery_link *link = arg;
	link->options.on_connection(link->options.arg, NULL);
	uint32_t wait = redial_failed_ms(&link->redial, cause, 0, random_u32());
	log_why(link->redial.num_failed == 1 || link->failure.err != why->err ? LOG_LEVEL_WARNING : LOG_LEVEL_DEBUG,
		COMPONENT, "no connection to the control plane; trying again", why);
	link->failure = *why;
	link->options.on_event(link->options.arg, IDENTITY_UNREACHABLE, why);
	dial_in(link, wait);
}

static bool is_same_svid(const struct credentials *a, const struct credentials *b)
{
	return a != NULL && b != NULL && svid_eq(credentials_svid(a), credentials_svid(b));
}

void discovery_link_set_credentials(struct discovery_link *link, struct credentials *credentials)
{
	bool is_same = is_same_svid(link->credentials, credentials);
	struct credentials *before = link->credentials;
	link->credentials = credentials == NULL ? NULL : credentials_ref(credentials);
	credentials_unref(before);
	if (credentials == NULL || is_same)
		return;
	link->options.on_connection(link->options.arg, NULL);
	control_link_cut(link->link);
	dial_in(link, 0);
}

static int64_t server_now_s(void *arg)
{
	const struct discovery_link *link = arg;
	return trusted_time_earlier_s(&link->time, loop_clock(link->options.loop));
}

static enum err gather_pins(struct discovery_link *link, struct why *why)
{
	const struct enrolled_state *state = state_folder_get(link->options.state);
	if (link->options.bootstrap_root_sha256 != NULL)
		bootstrap_pins_add(&link->pins, link->options.bootstrap_root_sha256);
	for (size_t i = 0; i < state->num_pins; i++)
		bootstrap_pins_add(&link->pins, state->pins[i]);
	if (link->pins.num > 0)
		return ERR_NONE;
	return why_set(why, ERR_CONFIG, "the SHA-256 of the bootstrap root", "set control.bootstrap_root_sha256",
		"no bootstrap root is configured, so any server could impersonate the control plane");
}

static enum err link_make(struct discovery_link *link, struct why *why)
{
	struct control_link_options options = {
		.loop = link->options.loop,
		.context = link->options.context,
		.address = link->options.address,
		.pins = &link->pins,
		.now_s = server_now_s,
		.on_up = on_up,
		.on_down = on_down,
		.arg = link,
	};
	_cleanup_(mem_freep) char *name = mem_printf("spiffe://%s/handfast/control", link->options.trust_domain.name);
	CHECK(spiffe_id_parse(span_of_str(name), &options.expected, NULL) == ERR_NONE);
	enum err err = control_link_new(&options, &link->link, why);
	spiffe_id_done(&options.expected);
	return err;
}

enum err discovery_link_new(const struct discovery_link_options *options, struct discovery_link **out, struct why *why)
{
	struct discovery_link *link = mem_new(struct discovery_link);
	link->options = *options;
	redial_init(&link->redial);
	enum err err = gather_pins(link, why);
	if (err == ERR_NONE)
		err = link_make(link, why);
	if (err != ERR_NONE) {
		mem_free(link);
		return err;
	}
	*out = link;
	return ERR_NONE;
}

void discovery_link_free(struct discovery_link *link)
{
	if (link == NULL)
		return;
	loop_timer_stop(&link->dial_timer);
	control_link_free(link->link);
	credentials_unref(link->credentials);
	mem_free(link);
}

bool discovery_link_is_up(const struct discovery_link *link)
{
	return control_link_client(link->link) != NULL;
}

const struct why *discovery_link_failure(const struct discovery_link *link)
{
	return &link->failure;
}

struct addr discovery_link_dialed(const struct discovery_link *link)
{
	return control_link_dialed(link->link);
}
