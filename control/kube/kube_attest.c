#include "control/kube/kube_attest.h"
#include "base/core/check.h"
#include "base/core/list.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "control/kube/jwt.h"
#include "control/kube/kube_keys.h"
#include "control/kube/token_review.h"

#define COMPONENT "kube"

enum { AGAIN_MS = 25, QUESTION_MAX = JWT_MAX + 512 };

struct kube_attest {
	struct kube_attest_options options;
	struct kube_keys *keys;
	struct list reviews;
	unsigned num_reviews;
	bool is_offline;
	uint64_t asked_again_ms; /* while offline: when the next review asks the API server */
	struct why offline_detail;
};

struct review { /* one token until its answer */
	struct list_link link;
	struct kube_attest *attest;
	struct buf token; /* wiped */
	struct jwt jwt;
	struct ip_addr source;
	struct kube_request *request; /* NULL: not under way */
	bool is_accepted;             /* the token; what remains is its pod */
	uint64_t until_ms;
	struct loop_timer timer;
	struct loop_task later;
	enum err err; /* of the start */
	struct why detail;
	attest_reviewed_fn *on_done;
	void *done_arg;
};

static uint64_t now_ms(const struct kube_attest *attest)
{
	return loop_now_ms(attest->options.loop);
}

/* --- the end of a review --- */

static void end(struct review *review, enum err err)
{
	const struct attest_account account = {review->jwt.subject.namespace_, review->jwt.subject.account};
	CHECK(err != ERR_NONE || review->is_accepted);
	if (review->request != NULL)
		kube_request_cancel(review->request);
	loop_timer_stop(&review->timer);
	loop_task_cancel(&review->later);
	list_remove(&review->link);
	review->attest->num_reviews--;
	review->on_done(review->done_arg, err, err == ERR_NONE ? &account : NULL, &review->detail);
	jwt_done(&review->jwt);
	buf_wipe(&review->token);
	mem_free(review);
}

static void go_on(struct review *review);

static void on_timer(struct loop_timer *timer)
{
	go_on(container_of(timer, struct review, timer));
}

/* ERR_UNAVAILABLE is asked again until the time is over; everything else is the answer. */
static void end_or_wait(struct review *review, enum err err)
{
	if (err == ERR_UNAVAILABLE && now_ms(review->attest) < review->until_ms)
		loop_timer_start(review->attest->options.loop, &review->timer, AGAIN_MS, on_timer);
	else
		end(review, err);
}

/* --- the pod --- */

static enum err refuse_stranger(const struct review *review, const struct kube_pod_facts *pod, struct why *why)
{
	const struct kube_subject *subject = &review->jwt.subject;
	char from[ADDR_TEXT_MAX];
	return why_set(why, ERR_DENIED, "a connection from the pod that the token is bound to",
		"find out how the token came to another pod: this looks like an attack",
		"the token is of pod %.60s/%.60s, and %s is the address of %.40s/%.60s", subject->namespace_,
		subject->pod, ip_addr_format(&review->source, from), pod->namespace_, pod->name);
}

static enum err check_pod(const struct review *review, struct why *why)
{
	const struct kube_attest_options *options = &review->attest->options;
	const struct kube_subject *subject = &review->jwt.subject;
	struct kube_pod_facts pod;
	char from[ADDR_TEXT_MAX];
	/* A pod that is being deleted may still have the address in the view when its successor calls. */
	bool is_known = options->pod_at(options->arg, &review->source, &pod);
	bool is_its_pod = is_known && strcmp(pod.uid, subject->pod_uid) == 0;
	if (!is_known || (!is_its_pod && pod.is_deleting))
		return why_set(why, ERR_UNAVAILABLE, "a connection from the pod that the token is bound to",
			"wait: for a new pod the sidecar tries again; else let no address be translated on the way "
			"here",
			"no pod is known with the address %s: pod %.60s/%.60s is new or gone",
			ip_addr_format(&review->source, from), subject->namespace_, subject->pod);
	if (!is_its_pod || strcmp(pod.name, subject->pod) != 0 || strcmp(pod.namespace_, subject->namespace_) != 0)
		return refuse_stranger(review, &pod, why);
	if (strcmp(pod.service_account, subject->account) != 0)
		return why_set(why, ERR_DENIED, "a token of the pod's own service account",
			"find out who made this token: this looks like an attack",
			"the token is of the account %.80s and its pod runs as %.80s", subject->account,
			pod.service_account);
	return ERR_NONE;
}

/* --- the token --- */

static enum err check_offline(struct review *review)
{
	enum err err = kube_keys_check(review->attest->keys, &review->jwt, &review->detail);
	review->is_accepted = err == ERR_NONE;
	return err;
}

static void go_on(struct review *review)
{
	enum err err = review->is_accepted ? ERR_NONE : check_offline(review);
	if (err == ERR_NONE)
		err = check_pod(review, &review->detail);
	end_or_wait(review, err);
}

static void note_offline(struct kube_attest *attest, const struct why *why)
{
	attest->asked_again_ms = now_ms(attest) + KUBE_AWAY_MS;
	attest->offline_detail = *why;
	if (!attest->is_offline)
		log_why(LOG_LEVEL_WARNING, COMPONENT, "the API server reviews no tokens; its last known keys decide",
			why);
	attest->is_offline = true;
}

static void note_online(struct kube_attest *attest)
{
	if (attest->is_offline)
		log_notice(COMPONENT, "the API server reviews tokens again");
	attest->is_offline = false;
	attest->offline_detail = (struct why){0};
}

/* The API server's answer is about the very token that was parsed here (W13). */
static enum err check_answer(struct review *review, const struct kube_response *response)
{
	struct kube_subject subject;
	struct why *why = &review->detail;
	if (response->status != TOKEN_REVIEW_STATUS)
		return why_set(why, ERR_PROTOCOL, "status 201",
			"let the control plane's service account create tokenreviews (ClusterRole of the install)",
			"the API server answers a review with status %u", response->status);
	RETURN_IF_ERR(token_review_parse(response->body, review->attest->options.audience, &subject, why));
	if (!kube_subject_eq(&subject, &review->jwt.subject))
		return why_set(why, ERR_DENIED, "a review of the pod and account that the token names",
			"find out who made this token: this looks like an attack",
			"the API server knows the token as one of %.60s/%.60s", subject.namespace_, subject.pod);
	return ERR_NONE;
}

/* Which of the API server's refusals it was, where that is known: its own words for an expired token and for one whose
 * pod is gone are both "invalid bearer token". They only explain. */
static enum err refusal_of(struct review *review, enum err err)
{
	const struct clock *clock = loop_clock(review->attest->options.loop);
	const struct kube_subject *subject = &review->jwt.subject;
	struct why why = {0};
	enum err times = jwt_check_times(&review->jwt, clock->wall_ms(clock) / 1000, &why);
	if (times != ERR_NONE) {
		review->detail = why;
		return times;
	}
	if (strstr(review->detail.got, "has been invalidated") != NULL)
		return why_set(&review->detail, ERR_DENIED, "a token of a pod that exists",
			"if the pod is gone for good, find out where its token is still used",
			"the API server has invalidated the token: pod %.60s/%.60s or its account is gone",
			subject->namespace_, subject->pod);
	return err;
}

static void on_answer(void *arg, enum err err, const struct kube_response *response, const struct why *why)
{
	struct review *review = arg;
	review->request = NULL;
	if (err == ERR_NONE)
		err = check_answer(review, response);
	else
		review->detail = *why;
	if (response == NULL || err == ERR_PROTOCOL) {
		note_offline(review->attest, &review->detail);
		go_on(review);
		return;
	}
	note_online(review->attest);
	if (err != ERR_NONE) {
		end(review, refusal_of(review, err));
		return;
	}
	review->is_accepted = true;
	go_on(review);
}

static enum err ask(struct review *review)
{
	_cleanup_(buf_wipe) struct buf question = BUF_INIT(QUESTION_MAX);
	const struct kube_attest_options *options = &review->attest->options;
	RETURN_IF_ERR(token_review_encode(buf_span(&review->token), options->audience, &question));
	const struct kube_request_options request = {.method = "POST",
		.path = TOKEN_REVIEW_PATH,
		.body = buf_span(&question),
		.timeout_ms = KUBE_REVIEW_MS,
		.response_max = TOKEN_REVIEW_ANSWER_MAX};
	review->request = kube_request_start(options->client, &request, on_answer, review);
	return ERR_NONE;
}

/* One review asks whether the API server is back; the others do not wait for it meanwhile. */
static bool may_ask(struct kube_attest *attest)
{
	if (attest->is_offline && now_ms(attest) < attest->asked_again_ms)
		return false;
	attest->asked_again_ms = now_ms(attest) + KUBE_AWAY_MS;
	return true;
}

static enum err open_token(struct review *review, struct span token)
{
	struct why *why = &review->detail;
	if (review->attest->num_reviews > KUBE_ATTEST_MAX)
		return why_set(why, ERR_LIMIT, "few attestations at once", "wait: the sidecar tries again",
			"%d attestations by Kubernetes tokens are under way", KUBE_ATTEST_MAX);
	if (token.len > JWT_MAX)
		return jwt_parse(token, &review->jwt, why); /* ERR_TOO_LARGE */
	RETURN_IF_ERR(buf_append(&review->token, token));
	RETURN_IF_ERR(jwt_parse(buf_span(&review->token), &review->jwt, why));
	return jwt_check_audience(&review->jwt, review->attest->options.audience, why);
}

static void on_later(struct loop_task *task)
{
	struct review *review = container_of(task, struct review, later);
	if (review->err == ERR_NONE)
		go_on(review);
	else
		end(review, review->err);
}

static void start(
	void *arg, struct span token, const struct ip_addr *source, attest_reviewed_fn *on_done, void *done_arg)
{
	struct kube_attest *attest = arg;
	struct review *review = mem_new(struct review);
	*review = (struct review){.attest = attest,
		.token = BUF_INIT(JWT_MAX),
		.source = *source,
		.until_ms = now_ms(attest) + KUBE_ATTEST_MS,
		.on_done = on_done,
		.done_arg = done_arg};
	list_push_back(&attest->reviews, &review->link);
	attest->num_reviews++;
	review->err = open_token(review, token);
	bool asks = review->err == ERR_NONE && may_ask(attest);
	if (asks)
		review->err = ask(review);
	if (review->err != ERR_NONE || !asks)
		loop_task_post(attest->options.loop, &review->later, on_later);
}

struct kube_attest *kube_attest_new(const struct kube_attest_options *options)
{
	struct kube_attest *attest = mem_new(struct kube_attest);
	attest->options = *options;
	attest->keys = kube_keys_new(options->loop, options->client);
	return attest;
}

void kube_attest_free(struct kube_attest *attest)
{
	LIST_EACH_REMOVABLE(&attest->reviews, struct review, review, link) {
		(void)why_set(&review->detail, ERR_CLOSED, "a control plane that runs", "wait: the sidecar tries again",
			"the control plane ends");
		end(review, ERR_CLOSED);
	}
	CHECK(attest->num_reviews == 0);
	kube_keys_free(attest->keys);
	mem_free(attest);
}

struct attest_kubernetes kube_attest_reviewer(struct kube_attest *attest)
{
	return (struct attest_kubernetes){start, attest};
}

bool kube_attest_is_offline(const struct kube_attest *attest, struct why *out_why)
{
	*out_why = attest->offline_detail;
	return attest->is_offline;
}
