#include "control/kube/kube_keys.h"
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "control/kube/jwks.h"

#define COMPONENT "kube"

#define ISSUER_PATH "/.well-known/openid-configuration"
#define KEYS_PATH   "/openid/v1/jwks"
#define KEYS_ACCEPT "application/jwk-set+json" /* application/json is answered by 406 */

enum { TIMEOUT_MS = 5000 };

struct kube_keys {
	struct loop *loop;
	struct kube_client *client;
	struct kube_request *issuer_request, *keys_request; /* NULL: not under way */
	struct loop_timer timer;                            /* the next fetch */
	char *issuer;                                       /* NULL: not known yet */
	struct jwks jwks;                                   /* num 0: not known yet */
	uint64_t begun_ms, fetched_ms;                      /* of the last fetch, and of the last good one */
	bool has_begun, has_fetched, has_failed;            /* has_failed: the last fetch; logged once */
};

static void fetch(struct kube_keys *keys);

static void on_timer(struct loop_timer *timer)
{
	fetch(container_of(timer, struct kube_keys, timer));
}

static void fetch_in(struct kube_keys *keys, uint64_t delay_ms)
{
	loop_timer_start(keys->loop, &keys->timer, delay_ms, on_timer);
}

static void failed(struct kube_keys *keys, const struct why *why)
{
	if (!keys->has_failed)
		log_why(LOG_LEVEL_WARNING, COMPONENT,
			"cannot fetch the keys of service account tokens; the last ones stay in use", why);
	keys->has_failed = true;
	fetch_in(keys, KUBE_KEYS_LEAST_MS);
}

static enum err check_status(enum err err, const struct kube_response *response, const char *path, struct why *why,
	const struct why *from_client)
{
	if (err != ERR_NONE) {
		*why = *from_client;
		return err;
	}
	if (response->status == 200)
		return ERR_NONE;
	return why_set(why, response->status == 403 ? ERR_DENIED : ERR_UNAVAILABLE, "status 200",
		"bind ClusterRole system:service-account-issuer-discovery to the control plane's service account",
		"the API server answers %s with status %u", path, response->status);
}

static void on_issuer(void *arg, enum err err, const struct kube_response *response, const struct why *from_client)
{
	struct kube_keys *keys = arg;
	struct why why = {0};
	char *issuer = NULL;
	keys->issuer_request = NULL;
	err = check_status(err, response, ISSUER_PATH, &why, from_client);
	if (err == ERR_NONE)
		err = jwks_issuer_parse(response->body, &issuer, &why);
	if (err != ERR_NONE) {
		failed(keys, &why);
		return;
	}
	mem_free(keys->issuer);
	keys->issuer = issuer;
}

static void on_keys(void *arg, enum err err, const struct kube_response *response, const struct why *from_client)
{
	struct kube_keys *keys = arg;
	struct why why = {0};
	struct jwks jwks = {0};
	keys->keys_request = NULL;
	err = check_status(err, response, KEYS_PATH, &why, from_client);
	if (err == ERR_NONE)
		err = jwks_parse(response->body, &jwks, &why);
	if (err != ERR_NONE) {
		failed(keys, &why);
		return;
	}
	jwks_done(&keys->jwks);
	keys->jwks = jwks;
	keys->fetched_ms = loop_now_ms(keys->loop);
	if (keys->has_failed || !keys->has_fetched)
		log_notice(COMPONENT, "keys of service account tokens that are known: %zu", jwks.num);
	keys->has_fetched = true;
	keys->has_failed = false;
}

static struct kube_request *get(struct kube_keys *keys, const char *path, const char *accept, kube_done_fn *on_done)
{
	const struct kube_request_options options = {
		.method = "GET", .path = path, .accept = accept, .timeout_ms = TIMEOUT_MS, .response_max = JWKS_MAX};
	return kube_request_start(keys->client, &options, on_done, keys);
}

static void fetch(struct kube_keys *keys)
{
	fetch_in(keys, KUBE_KEYS_EACH_MS);
	keys->begun_ms = loop_now_ms(keys->loop);
	keys->has_begun = true;
	if (keys->issuer_request == NULL)
		keys->issuer_request = get(keys, ISSUER_PATH, NULL, on_issuer);
	if (keys->keys_request == NULL)
		keys->keys_request = get(keys, KEYS_PATH, KEYS_ACCEPT, on_keys);
}

struct kube_keys *kube_keys_new(struct loop *loop, struct kube_client *client)
{
	struct kube_keys *keys = mem_new(struct kube_keys);
	keys->loop = loop;
	keys->client = client;
	fetch(keys);
	return keys;
}

void kube_keys_free(struct kube_keys *keys)
{
	loop_timer_stop(&keys->timer);
	if (keys->issuer_request != NULL)
		kube_request_cancel(keys->issuer_request);
	if (keys->keys_request != NULL)
		kube_request_cancel(keys->keys_request);
	jwks_done(&keys->jwks);
	mem_free(keys->issuer);
	mem_free(keys);
}

/* Whether the answer "unknown" is final: the set was fetched within the shortest time between two fetches. */
static bool is_fresh(const struct kube_keys *keys)
{
	return keys->has_fetched && loop_now_ms(keys->loop) - keys->fetched_ms < KUBE_KEYS_LEAST_MS;
}

static enum err refuse_unknown(struct kube_keys *keys, const struct jwt *jwt, struct why *why)
{
	CHECK(keys->has_begun);
	if (keys->issuer != NULL && is_fresh(keys) && keys->keys_request == NULL)
		return why_set(why, ERR_DENIED, "a token signed by a key that the API server publishes",
			"let the sidecar attest to the control plane of its own cluster",
			"the token's key %.64s is not one of the API server's", jwt->kid);
	if (loop_now_ms(keys->loop) - keys->begun_ms >= KUBE_KEYS_LEAST_MS)
		fetch(keys);
	return why_set(why, ERR_UNAVAILABLE, "an API server that reviews tokens, or keys of it that are known",
		"wait: the sidecar tries again; find out why the API server does not answer",
		"the API server reviews no tokens now, and the token's key %.64s is unknown", jwt->kid);
}

enum err kube_keys_check(struct kube_keys *keys, const struct jwt *jwt, struct why *why)
{
	if (keys->issuer == NULL || !jwks_has(&keys->jwks, jwt->kid))
		return refuse_unknown(keys, jwt, why);
	RETURN_IF_ERR(jwks_verify(&keys->jwks, jwt, why));
	RETURN_IF_ERR(jwt_check_issuer(jwt, keys->issuer, why));
	const struct clock *clock = loop_clock(keys->loop);
	return jwt_check_times(jwt, clock->wall_ms(clock) / 1000, why);
}
