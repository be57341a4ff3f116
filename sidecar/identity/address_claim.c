#include "sidecar/identity/address_claim.h"

#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/core/random.h"
#include "sidecar/identity/certificate_request.h"
#include "sidecar/identity/claim_retry.h"
#include "sidecar/identity/messages.h"
#include "sidecar/identity/redial.h"

#define COMPONENT "identity"

enum { MESSAGE_UP_MAX = 1024, RARELY_MS = 60000, QUICK_TRIES = 4 };

struct address_claim {
	struct address_claim_options options;
	struct control_link *link;
	struct rpc_call *call; /* NULL: none */
	struct credentials *credentials;
	uint8_t family; /* to claim; 0: stopped */
	bool is_released, is_draining;
	struct redial redial;
	struct loop_timer dial_timer;
	struct loop_task give_up; /* closes the connection outside of its callbacks */
	enum redial_cause cause;
	uint32_t retry_after_ms;
	struct why detail;
	struct claimed_address claimed;
	struct claim_retry claim_retry;
};

uint32_t address_claim_wait_ms(enum err err, unsigned num_failed, uint32_t redial_ms)
{
	/* No route, or no address of this family on either side; or repeated failures while the identity stream is
	 * open. */
	bool is_unusable = err == ERR_UNREACHABLE || err == ERR_NOT_FOUND || num_failed >= QUICK_TRIES;
	return is_unusable && redial_ms < RARELY_MS ? RARELY_MS : redial_ms;
}

static void on_dial_timer(struct loop_timer *timer)
{
	struct address_claim *claim = container_of(timer, struct address_claim, dial_timer);
	CHECK(control_link_is_down(claim->link) && claim->call == NULL && claim->family != 0);
	control_link_dial(claim->link, claim->credentials, claim->family, redial_timeout_ms(&claim->redial));
}

static void dial_in(struct address_claim *claim, uint32_t delay_ms)
{
	loop_timer_start(claim->options.link.loop, &claim->dial_timer, delay_ms, on_dial_timer);
}

static void cut(struct address_claim *claim)
{
	claim->call = NULL;
	claim->claimed.is_held = false;
	loop_task_cancel(&claim->give_up);
	loop_timer_stop(&claim->dial_timer);
	claim_retry_stop(&claim->claim_retry);
	control_link_cut(claim->link);
}

static void give_up(struct loop_task *task)
{
	struct address_claim *claim = container_of(task, struct address_claim, give_up);
	CHECK(claim->family != 0);
	if (control_link_client(claim->link) != NULL)
		control_link_turn(claim->link);
	cut(claim);
	uint32_t wait = redial_failed_ms(&claim->redial, claim->cause, claim->retry_after_ms, random_u32());
	log_why(LOG_LEVEL_DEBUG, COMPONENT, "cannot claim the address of the other family; trying again",
		&claim->detail);
	dial_in(claim, address_claim_wait_ms(claim->detail.err, claim->redial.num_failed, wait));
}

static void fail(struct address_claim *claim, enum redial_cause cause, uint32_t retry_after_ms, const struct why *why)
{
	if (loop_task_is_posted(&claim->give_up))
		return; /* only the first failure counts */
	claim->cause = cause;
	claim->retry_after_ms = retry_after_ms;
	claim->detail = *why;
	loop_task_post(claim->options.link.loop, &claim->give_up, give_up);
}

static void on_down(void *arg, const struct why *why, enum redial_cause cause)
{
	fail(arg, cause, 0, why);
}

/* --- the stream --- */

static enum err send_claim(struct address_claim *claim);

static void repeat_claim(struct loop_timer *timer)
{
	struct address_claim *claim = container_of(timer, struct address_claim, claim_retry.timer);
	if (claim->call != NULL && !claim->is_released)
		(void)!send_claim(claim); /* a send that fails ends the stream, and the next stream claims */
}

static void on_answer(struct address_claim *claim, const struct identity_down *down)
{
	char text[ADDR_TEXT_MAX];
	redial_succeeded(&claim->redial);
	claim->claimed = (struct claimed_address){down->claimed.ip, down->is_claim_held, down->detail};
	if (!down->is_claim_held) {
		claim_retry_refused(&claim->claim_retry, "the control plane refused the claim of the other address",
			&down->detail, down->after_ms, repeat_claim);
		return;
	}
	claim_retry_held(&claim->claim_retry);
	log_notice(COMPONENT, "claimed the address %s, too", ip_addr_format(&down->claimed.ip, text));
}

static void on_message(void *arg, struct rpc_call *call, struct span message)
{
	struct address_claim *claim = arg;
	_cleanup_(identity_down_done) struct identity_down down = {0};
	struct why why = {0};
	CHECK(claim->call == call);
	if (message_identity_down_parse(message, claim->options.trust_domain, &down, &why) != ERR_NONE)
		fail(claim, REDIAL_REFUSED, 0, &why);
	else if (down.kind == DOWN_CLAIM && !claim->is_released)
		on_answer(claim, &down); /* the identity stream handles trust and slots */
}

static void on_done(
	void *arg, struct rpc_call *call, enum rpc_status status, const char *message, uint32_t retry_after_ms)
{
	struct address_claim *claim = arg;
	struct why why;
	CHECK(claim->call == call);
	claim->call = NULL;
	bool is_refusal = status == RPC_PERMISSION_DENIED || status == RPC_UNAUTHENTICATED;
	const struct why otherwise = {
		.err = is_refusal ? ERR_DENIED : ERR_CLOSED,
		.expected = "a claim stream that stays open",
		.got = "the claim stream ended",
		.fix = "inspect the control plane's log",
	};
	rpc_status_why(status, message, &otherwise, &why);
	fail(claim, is_refusal ? REDIAL_REFUSED : REDIAL_UNREACHABLE, retry_after_ms, &why);
}

static const struct rpc_call_handlers handlers = {.on_message = on_message, .on_done = on_done};

static enum err send_claim(struct address_claim *claim)
{
	_cleanup_(buf_done) struct buf message = BUF_INIT(MESSAGE_UP_MAX);
	RETURN_IF_ERR(claim->is_released ? message_release_encode(&message)
					 : claim_make(rpc_client_tls(control_link_client(claim->link)),
						   state_folder_key(claim->options.state), &message));
	return rpc_call_send(claim->call, buf_span(&message));
}

static enum err send_hello(struct address_claim *claim)
{
	_cleanup_(buf_done) struct buf hello = BUF_INIT(MESSAGE_UP_MAX);
	const struct hello content = {
		.release = claim->options.release, .is_draining = claim->is_draining, .zone = claim->options.zone};
	RETURN_IF_ERR(message_hello_encode(&content, &hello));
	return rpc_call_send(claim->call, buf_span(&hello));
}

static enum err open_stream(struct address_claim *claim)
{
	RETURN_IF_ERR(
		rpc_client_call(control_link_client(claim->link), IDENTITY_PATH, 0, &handlers, claim, &claim->call));
	RETURN_IF_ERR(send_hello(claim));
	return send_claim(claim);
}

static void on_up(void *arg)
{
	struct address_claim *claim = arg;
	struct why why;
	CHECK(claim->call == NULL);
	enum err err = open_stream(claim);
	if (err == ERR_NONE)
		return;
	why_set(&why, err, "a claim stream that accepts messages", "inspect the control plane's log",
		"cannot send on the claim stream: %s", err_text(err));
	fail(claim, REDIAL_UNREACHABLE, 0, &why);
}

/* --- called by the identity client --- */

static void use_credentials(struct address_claim *claim, struct credentials *credentials)
{
	credentials_unref(claim->credentials);
	claim->credentials = credentials == NULL ? NULL : credentials_ref(credentials);
}

void address_claim_start(struct address_claim *claim, uint8_t used, struct credentials *credentials)
{
	uint8_t family = used == AF_INET ? AF_INET6 : AF_INET;
	use_credentials(claim, credentials);
	if (claim->family == family && claim->call != NULL)
		return;
	cut(claim);
	if (claim->family != family)
		claim->claimed = (struct claimed_address){.is_held = false};
	claim->family = family;
	redial_init(&claim->redial);
	dial_in(claim, 0);
}

void address_claim_renewed(struct address_claim *claim, struct credentials *credentials)
{
	if (claim->family == 0)
		return;
	use_credentials(claim, credentials);
	if (claim->call == NULL)
		return; /* the next try uses them */
	cut(claim);
	dial_in(claim, 0);
}

void address_claim_stop(struct address_claim *claim)
{
	cut(claim);
	use_credentials(claim, NULL);
	claim->family = 0;
}

void address_claim_release(struct address_claim *claim)
{
	claim->is_released = true;
	claim_retry_stop(&claim->claim_retry);
	claim->claimed = (struct claimed_address){.is_held = false};
	if (claim->call != NULL) {
		(void)!send_claim(claim); /* a send that fails ends the stream, and the next stream releases */
	} else if (loop_timer_is_armed(&claim->dial_timer)) {
		redial_init(&claim->redial);
		dial_in(claim, 0); /* the process may end before the next try */
	}
}

void address_claim_drain(struct address_claim *claim)
{
	claim->is_draining = true;
	if (claim->call != NULL)
		(void)!send_hello(claim); /* a send that fails ends the stream, and the next stream begins with it */
}

const struct claimed_address *address_claim_get(const struct address_claim *claim)
{
	return &claim->claimed;
}

/* --- create and free --- */

static int64_t now_s(void *arg)
{
	const struct address_claim *claim = arg;
	return claim->options.link.now_s(claim->options.now_arg);
}

enum err address_claim_new(const struct address_claim_options *options, struct address_claim **out, struct why *why)
{
	struct address_claim *claim = mem_new(struct address_claim);
	struct control_link_options link = options->link;
	claim->options = *options;
	claim->options.link.expected = (struct spiffe_id){0}; /* the link has a copy */
	redial_init(&claim->redial);
	claim_retry_init(&claim->claim_retry, options->link.loop);
	link.now_s = now_s;
	link.on_up = on_up;
	link.on_down = on_down;
	link.arg = claim;
	enum err err = control_link_new(&link, &claim->link, why);
	if (err != ERR_NONE) {
		mem_free(claim);
		return err;
	}
	*out = claim;
	return ERR_NONE;
}

void address_claim_free(struct address_claim *claim)
{
	address_claim_stop(claim);
	control_link_free(claim->link);
	mem_free(claim);
}
