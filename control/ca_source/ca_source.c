#include "control/ca_source/ca_source.h"
#include "base/core/backoff.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/core/random.h"
#include "certs/digest.h"
#include "certs/pem.h"
#include "control/issue/certificate.h"

#define RETRY_FIRST_MS 10000
#define RETRY_MAX_MS   600000

struct ca_source {
	struct ca_source_options options;
	struct loop_timer timer;
	struct issuer_request *at_signer; /* NULL: none */
	bool is_asking;                   /* the command runs, or a rotation is being stored */
	uint8_t root[DIGEST_LEN];         /* of what was imported last */
	bool has_root;
	int64_t renew_s; /* the command is asked again from then on; 0: at once */
	uint64_t retry_ms;
	struct backoff backoff;
	struct why trouble;
};

static int64_t wall_s(const struct ca_source *source)
{
	const struct clock *clock = loop_clock(source->options.loop);
	return clock->wall_ms(clock) / 1000;
}

const struct why *ca_source_trouble(const struct ca_source *source)
{
	return &source->trouble;
}

/* --- the end of an attempt --- */

static void fail(struct ca_source *source, enum err err, const struct why *why)
{
	struct why own = {0};
	if (why == NULL || why->err == ERR_NONE) {
		(void)why_set(&own, err, "an intermediate of the operator's authority",
			"check identity.ca in the settings, and the log lines before this one",
			"the attempt failed: %s", err_text(err));
		why = &own;
	}
	if (strcmp(source->trouble.got, why->got) != 0) /* files are read again every few seconds */
		log_why(LOG_LEVEL_ERROR, "ca-source", "no intermediate was taken over", why);
	source->trouble = *why;
	source->retry_ms = loop_now_ms(source->options.loop) + backoff_next_ms(&source->backoff, random_u32());
}

static void succeed(struct ca_source *source)
{
	if (source->trouble.err != ERR_NONE)
		log_notice("ca-source", "the operator's authority is in use again");
	source->trouble = (struct why){0};
	source->retry_ms = 0;
	backoff_reset(&source->backoff);
}

static void on_taken(void *arg, enum err err, const struct why *why)
{
	struct ca_source *source = arg;
	source->is_asking = false;
	if (err != ERR_NONE)
		fail(source, err, why);
	else
		succeed(source);
}

/* Half of its life is left for what goes wrong. */
static void remember(
	struct ca_source *source, const struct span *root, const struct span *intermediate, int64_t since_s)
{
	int64_t from, to;
	digest_sha256(*root, source->root);
	source->has_root = true;
	source->renew_s = 0;
	if (certificate_validity(*intermediate, &from, &to) == ERR_NONE)
		source->renew_s = (from > since_s ? from : since_s) + (to - (from > since_s ? from : since_s)) / 2;
}

static void on_imported(void *arg, enum err err, const struct issued *issued, const struct why *why)
{
	struct ca_source *source = arg;
	source->at_signer = NULL;
	if (err == ERR_NONE && issued->num_chain != 2)
		err = ERR_MALFORMED;
	if (err != ERR_NONE) {
		fail(source, err, why);
		return;
	}
	remember(source, &issued->chain[0], &issued->chain[1], wall_s(source));
	source->is_asking = true;
	rotation_take_root(source->options.rotation, issued->chain[0], on_taken, source);
}

/* pem empty: the files. */
static void import(struct ca_source *source, struct span pem)
{
	uint8_t wanted[DIGEST_LEN];
	bool must_be = rotation_wants_root(source->options.rotation, wanted);
	source->at_signer = issuer_import(
		source->options.issuer, pem, span_of(wanted, must_be ? DIGEST_LEN : 0), on_imported, source);
}

/* --- the command --- */

static void on_signed(void *arg, enum err err, struct span output, const struct why *why)
{
	struct ca_source *source = arg;
	source->is_asking = false;
	if (err != ERR_NONE)
		fail(source, err, why);
	else
		import(source, output);
}

static void on_request(void *arg, enum err err, const struct issued *issued, const struct why *why)
{
	struct ca_source *source = arg;
	_cleanup_(buf_done) struct buf pem = BUF_INIT(8192);
	source->at_signer = NULL;
	if (err == ERR_NONE)
		err = pem_encode("CERTIFICATE REQUEST", issued->sealed, &pem);
	if (err != ERR_NONE) {
		fail(source, err, why);
		return;
	}
	source->is_asking = true;
	ca_command_sign(source->options.command, buf_span(&pem), on_signed, source);
}

/* The root is still or again the signer's own, another control plane has brought another root, or the intermediate
 * ages. */
static bool is_due(const struct ca_source *source)
{
	const struct rotation *rotation = source->options.rotation;
	uint8_t wanted[DIGEST_LEN];
	if (rotation_wants_root(rotation, wanted))
		return !source->has_root || memcmp(wanted, source->root, DIGEST_LEN) != 0;
	return !source->has_root || !rotation_is_own_root(rotation) || wall_s(source) >= source->renew_s;
}

static void poll_now(struct ca_source *source)
{
	if (source->at_signer != NULL || source->is_asking)
		return;
	bool may_try = loop_now_ms(source->options.loop) >= source->retry_ms;
	if (source->options.command == NULL && (may_try || !source->options.has_token))
		import(source, (struct span){0});
	else if (source->options.command != NULL && may_try && is_due(source))
		source->at_signer = issuer_request_intermediate(source->options.issuer, on_request, source);
}

static void on_timer(struct loop_timer *timer)
{
	struct ca_source *source = container_of(timer, struct ca_source, timer);
	poll_now(source);
	loop_timer_start(source->options.loop, &source->timer, CA_SOURCE_POLL_MS, on_timer);
}

void ca_source_poll(struct ca_source *source)
{
	source->retry_ms = 0;
	poll_now(source);
}

/* What was imported before the start is used until its half. */
static void on_shown(void *arg, enum err err, const struct issued *issued, _unused_ const struct why *why)
{
	struct ca_source *source = arg;
	source->at_signer = NULL;
	if (err == ERR_NONE && issued->num_chain == 3 && issued->chain[2].len > 0 &&
		rotation_is_own_root(source->options.rotation))
		remember(source, &issued->chain[1], &issued->chain[2], 0);
	poll_now(source);
}

struct ca_source *ca_source_new(const struct ca_source_options *options)
{
	struct ca_source *source = mem_new(struct ca_source);
	source->options = *options;
	backoff_init(&source->backoff, RETRY_FIRST_MS, RETRY_MAX_MS);
	source->at_signer = issuer_poll(options->issuer, on_shown, source);
	loop_timer_start(options->loop, &source->timer, CA_SOURCE_POLL_MS, on_timer);
	return source;
}

void ca_source_free(struct ca_source *source)
{
	if (source->at_signer != NULL)
		issuer_abandon(source->at_signer);
	loop_timer_stop(&source->timer);
	mem_free(source);
}
