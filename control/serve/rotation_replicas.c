/* What the replicas of the control plane know of a rotation. Pods have no records, and a sidecar is connected to one
 * replica: so a phase also waits until each replica has taken it over, and with it the sidecars that are connected to
 * it. A replica that is cut off from the store would go on with the former root. Each has a record with the last phase
 * that it has taken over; it counts as long as the replica's pod is there. */
#include "base/core/check.h"
#include "control/serve/serve_private.h"
#include "control/store/record.h"
#include <limits.h>
#include <stdio.h>

#define PREFIX     "replicas/"
#define KEY_MAX    (sizeof PREFIX + 256)
#define RECORD_MAX 256

/* What is replaced, and how far: as in the record of a replica. */
struct progress {
	const char *number_name, *phase_name;
	int64_t number, phase;
};

static struct progress progress_of(const struct serve *serve, enum replicas_of what)
{
	const struct rotation_state *root = rotation_state_of(serve->options.rotation);
	const struct bootstrap_state *bootstrap = bootstrap_state_of(serve->options.bootstrap);
	return what == REPLICAS_ROTATION ? (struct progress){"rotation", "phase", (int64_t)root->number, root->phase}
					 : (struct progress){"bootstrap", "bootstrap_phase", (int64_t)bootstrap->number,
						   bootstrap->phase};
}

/* A release before 0.2 knows no successor of the bootstrap root. */
static int64_t number_in(struct span record, const struct progress *progress, const char *name)
{
	return record_number(record, name, progress->number == 0 ? 0 : -1);
}

static bool has_taken_over(const struct progress *progress, struct span record)
{
	return number_in(record, progress, progress->number_name) == progress->number &&
	       number_in(record, progress, progress->phase_name) == progress->phase;
}

static enum err put_progress(struct buf *record, const struct progress *progress)
{
	RETURN_IF_ERR(record_put_number(record, progress->number_name, progress->number));
	return record_put_number(record, progress->phase_name, progress->phase);
}

/* What this one has taken over: else it stays as it was noted. */
static struct progress own_progress(const struct serve *serve, enum replicas_of what, bool is_done, struct span record)
{
	struct progress own = progress_of(serve, what);
	if (is_done)
		return own;
	own.number = record_number(record, own.number_name, 0);
	own.phase = record_number(record, own.phase_name, 0);
	return own;
}

void rotation_replicas_note(const struct serve *serve, bool has_rotation, bool has_bootstrap)
{
	_cleanup_(buf_done) struct buf record = BUF_INIT(RECORD_MAX);
	struct store_value value = {0};
	char key[KEY_MAX];
	if (serve->options.replica == NULL)
		return;
	int len = snprintf(key, sizeof key, PREFIX "%s", serve->options.replica);
	CHECK(len > 0 && (size_t)len < sizeof key); /* a pod's name has 253 bytes at most */
	bool is_there = store_get(serve->options.store, key, &value);
	const struct progress rotation = own_progress(serve, REPLICAS_ROTATION, has_rotation, value.bytes);
	const struct progress bootstrap = own_progress(serve, REPLICAS_BOOTSTRAP, has_bootstrap, value.bytes);
	if (is_there && has_taken_over(&rotation, value.bytes) && has_taken_over(&bootstrap, value.bytes))
		return;
	CHECK(put_progress(&record, &rotation) == ERR_NONE && put_progress(&record, &bootstrap) == ERR_NONE);
	store_swap(serve->options.store, key, is_there ? value.version : 0, buf_span(&record), NULL, NULL);
}

struct looking {
	const struct serve *serve;
	struct progress progress;
	unsigned num;
	waited_replica_fn *each;
	void *arg;
};

static void on_record(void *arg, const char *key, const struct store_value *value)
{
	struct looking *looking = arg;
	const struct serve_options *options = &looking->serve->options;
	const char *name = key + strlen(PREFIX);
	if (has_taken_over(&looking->progress, value->bytes) || !options->is_replica(options->replicas_arg, name))
		return;
	looking->num++;
	if (looking->each != NULL)
		looking->each(looking->arg, name);
}

unsigned rotation_replicas_waited(const struct serve *serve, enum replicas_of what, waited_replica_fn *each, void *arg)
{
	struct looking looking = {serve, progress_of(serve, what), 0, each, arg};
	if (serve->options.replica != NULL)
		store_list(serve->options.store, PREFIX, on_record, &looking);
	return looking.num;
}

static bool is_gone(void *arg, const char *key, struct span record)
{
	const struct serve_options *options = arg;
	(void)record;
	return !options->is_replica(options->replicas_arg, key + strlen(PREFIX));
}

void rotation_replicas_prune(struct serve *serve)
{
	if (serve->options.replica != NULL)
		(void)store_prune(serve->options.store, PREFIX, UINT_MAX, is_gone, &serve->options);
}
