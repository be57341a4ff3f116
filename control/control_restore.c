/* handfast-control restore: an operator confirms that the present state folder, a backup or the remainder of the state,
 * is to be used. It gets a new incarnation, which sidecars accept although its counters are lower; the signer drops its
 * mark of the former store; bans of a newer copy of the store are taken over; and join tokens that are unused in this
 * copy are removed. Offline: the control plane must not run, which the store's lock ensures. */
#include "base/core/log.h"
#include "base/core/mem.h"
#include "control/control_private.h"
#include "control/registry/svid_holders.h"
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

struct restoring {
	struct control *control;
	const char *bans_from; /* NULL: none */
	size_t num_bans, num_tokens;
	enum err err;
	struct why detail;
};

static void end(struct restoring *restoring, enum err err)
{
	restoring->err = err;
	loop_stop(restoring->control->loop);
}

static void on_introduced(void *arg, enum err err, _unused_ const struct issued *issued, const struct why *why)
{
	struct restoring *restoring = arg;
	if (err != ERR_NONE)
		restoring->detail = *why;
	end(restoring, err);
}

/* A state folder, the store's folder in it, or the file. */
static char *store_file(const char *path)
{
	struct stat found;
	char *tries[] = {mem_printf("%s/store/control.db", path), mem_printf("%s/control.db", path), mem_strdup(path)};
	size_t i = 0;
	while (i < 2 && stat(tries[i], &found) != 0)
		i++;
	char *file = tries[i];
	for (size_t other = 0; other < 3; other++)
		if (other != i)
			mem_free(tries[other]);
	return file;
}

static enum err merge_bans(struct restoring *restoring)
{
	if (restoring->bans_from == NULL)
		return ERR_NONE;
	_cleanup_(mem_freep) char *file = store_file(restoring->bans_from);
	return store_merge(
		restoring->control->store, file, SVID_HOLDERS_BAN_PREFIX, &restoring->num_bans, &restoring->detail);
}

/* The signer last: if a step before fails, it still refuses this store, and restore is run again. */
static void on_judged(void *arg, enum err err, const struct issued *issued, const struct why *why)
{
	struct restoring *restoring = arg;
	struct control *control = restoring->control;
	if (err != ERR_NONE)
		restoring->detail = *why;
	else
		err = control_keep_authorities(control, issued, &restoring->detail);
	if (err == ERR_NONE)
		err = merge_bans(restoring);
	if (err == ERR_NONE)
		err = attest_tokens_drop_unused(control->store, &restoring->num_tokens, &restoring->detail);
	if (err == ERR_NONE)
		err = store_begin_incarnation(control->store, &restoring->detail);
	if (err != ERR_NONE) {
		end(restoring, err);
		return;
	}
	const struct store_mark mark = control_store_mark(control);
	issuer_introduce(control->issuer, &mark, on_introduced, restoring);
}

static void on_signer_lost(void *arg, enum err err)
{
	struct restoring *restoring = arg;
	end(restoring, why_set(&restoring->detail, err, "a signer that runs", "see its last log line above",
			       "the signer has ended"));
}

/* Without keys there is nothing to restore, and no folder is to be made for a mistyped path. */
static enum err keys_are_there(const struct control *control, struct why *why)
{
	struct stat found;
	_cleanup_(mem_freep) char *keys = mem_printf("%s/keys", control->config->state_dir);
	if (stat(keys, &found) == 0 || (errno != ENOENT && errno != ENOTDIR))
		return ERR_NONE; /* later steps report other errors */
	return why_set(why, ERR_STATE_DAMAGED, "a state folder with keys, such as a backup",
		"put the backup there first, or correct state_dir", "cannot open the key folder %s: %m", keys);
}

static enum err run(struct restoring *restoring)
{
	struct control *control = restoring->control;
	RETURN_IF_ERR(keys_are_there(control, &restoring->detail));
	RETURN_IF_ERR(control_load(control, &restoring->detail));
	RETURN_IF_ERR(
		control_start_signer(control, KEYS_TAKE_ANY_STORE, on_signer_lost, restoring, &restoring->detail));
	const struct store_mark mark = control_store_mark(control);
	issuer_judge(control->issuer, &mark, on_judged, restoring);
	loop_run(control->loop);
	return restoring->err;
}

enum err control_restore(
	const struct control_source *source, struct control_config *config, const char *bans_from, struct why *why)
{
	if (config->kubernetes.is_enabled)
		return why_set(why, ERR_UNSUPPORTED, "a control plane outside Kubernetes",
			"in Kubernetes the state is in records: restore them, and the Secret with the keys, by kubectl "
			"apply",
			"restore is for a state folder");
	_cleanup_(control_freep) struct control *control = control_make(source, config, "");
	struct restoring restoring = {.control = control, .bans_from = bans_from};
	enum err err = run(&restoring);
	if (err != ERR_NONE) {
		*why = restoring.detail;
		return err;
	}
	if (bans_from != NULL)
		log_notice("audit", "restored: %zu bans were taken over from %s", restoring.num_bans, bans_from);
	log_notice("audit",
		"restored: this store has a new incarnation; %zu unused join tokens were revoked: make new "
		"ones",
		restoring.num_tokens);
	return ERR_NONE;
}
