/* handfast-control restore: an operator confirms that the present state folder, a backup or the remainder of the state,
 * is to be used. It gets a new incarnation, which sidecars accept although its counters are lower; the signer drops its
 * mark of the former store; bans of a newer copy of the store are taken over; and join tokens that are unused in this
 * copy are removed. Offline: the control plane must not run, which the store's lock ensures. */
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/sandbox/sandbox.h"
#include "control/control_private.h"
#include "control/registry/revocations.h"
#include "control/registry/svid_holders.h"
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

struct restoring {
	struct control *control;
	const char *bans_from; /* NULL: none */
	const char *present;   /* the state folder whose place the backup takes; NULL: none */
	bool is_confirmed;     /* by another control plane with the same etcd */
	size_t num_withdrawn, num_tokens;
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

/* Bans, and revoked certificates. */
static enum err merge_withdrawn(struct restoring *restoring, const char *file)
{
	static const char *const prefixes[] = {SVID_HOLDERS_BAN_PREFIX, REVOCATIONS_PREFIX};
	for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
		size_t num = 0;
		RETURN_IF_ERR(store_merge(restoring->control->store, file, prefixes[i], &num, &restoring->detail));
		restoring->num_withdrawn += num;
	}
	return ERR_NONE;
}

/* A present store that cannot be read is why there is a restore; one that is in use is not to be replaced. */
static enum err merge_present(struct restoring *restoring)
{
	if (restoring->present == NULL)
		return ERR_NONE;
	_cleanup_(mem_freep) char *file = mem_printf("%s/" BACKUP_STORE, restoring->present);
	enum err err = merge_withdrawn(restoring, file);
	if (err == ERR_NONE || err == ERR_EXISTS)
		return err;
	if (err != ERR_NOT_FOUND)
		log_why(LOG_LEVEL_WARNING, "control",
			"the present store cannot be read: what it has withdrawn since the backup is not known",
			&restoring->detail);
	return ERR_NONE;
}

static enum err merge_bans(struct restoring *restoring)
{
	RETURN_IF_ERR(merge_present(restoring));
	if (restoring->bans_from == NULL)
		return ERR_NONE;
	_cleanup_(mem_freep) char *file = store_file(restoring->bans_from);
	return merge_withdrawn(restoring, file);
}

static void on_judged(void *arg, enum err err, const struct issued *issued, const struct why *why)
{
	struct restoring *restoring = arg;
	if (err != ERR_NONE)
		restoring->detail = *why;
	else
		err = control_keep_authorities(restoring->control, issued, &restoring->detail);
	end(restoring, err);
}

/* Of several control planes with one etcd the first one does this. */
static enum err confirm(struct restoring *restoring)
{
	struct store *store = restoring->control->store;
	if (restoring->is_confirmed)
		return ERR_NONE;
	RETURN_IF_ERR(merge_bans(restoring));
	RETURN_IF_ERR(attest_tokens_drop_unused(store, &restoring->num_tokens, &restoring->detail));
	return store_begin_incarnation(store, &restoring->detail);
}

static void on_signer_lost(void *arg, enum err err)
{
	struct restoring *restoring = arg;
	end(restoring, why_set(&restoring->detail, err, "a signer that runs", "see its last log line above",
			       "the signer has ended"));
}

/* Without keys there is nothing to restore, and no folder is to be made for a mistyped path. */
enum err control_keys_are_there(const struct control_config *config, struct why *why)
{
	struct stat found;
	_cleanup_(mem_freep) char *keys = mem_printf("%s/keys", config->state_dir);
	if (stat(keys, &found) == 0 || (errno != ENOENT && errno != ENOTDIR))
		return ERR_NONE; /* later steps report other errors */
	return why_set(why, ERR_STATE_DAMAGED, "a state folder with keys, such as a backup",
		"put the backup there first, or correct state_dir", "cannot open the key folder %s: %m", keys);
}

static enum err run(struct restoring *restoring)
{
	struct control *control = restoring->control;
	RETURN_IF_ERR(control_keys_are_there(control->config, &restoring->detail));
	RETURN_IF_ERR(control_load(control, &restoring->detail));
	RETURN_IF_ERR(
		control_start_signer(control, KEYS_TAKE_ANY_STORE, on_signer_lost, restoring, &restoring->detail));
	RETURN_IF_ERR(sandbox_close(&restoring->detail)); /* from here on it starts nothing */
	RETURN_IF_ERR(sandbox_enter(SANDBOX_CONTROL, &restoring->detail));
	const struct store_mark found = control_store_mark(control);
	issuer_judge(control->issuer, &found, on_judged, restoring);
	loop_run(control->loop);
	RETURN_IF_ERR(restoring->err);
	RETURN_IF_ERR(confirm(restoring));
	/* The signer last: if a step before fails, it still refuses this store, and restore is run again. */
	const struct store_mark mark = control_store_mark(control);
	issuer_introduce(control->issuer, &mark, on_introduced, restoring);
	loop_run(control->loop);
	return restoring->err;
}

static void report(const struct restoring *restoring)
{
	if (restoring->bans_from != NULL || restoring->num_withdrawn > 0)
		log_notice("audit", "restored: %zu bans were taken over from %s", restoring->num_withdrawn,
			restoring->bans_from != NULL ? restoring->bans_from : "the present store");
	if (restoring->is_confirmed)
		log_notice("audit", "restored: this control plane takes the store that another one has confirmed");
	else
		log_notice("audit",
			"restored: this store has a new incarnation; %zu unused join tokens were revoked: make new "
			"ones",
			restoring->num_tokens);
}

/* Adopts config. present: see struct restoring. */
static enum err restore(const struct control_source *source, struct control_config *config,
	const struct restore_source *from, const char *present, struct why *why)
{
	_cleanup_(control_freep) struct control *control = control_make(source, config, "");
	struct restoring restoring = {.control = control,
		.bans_from = from->bans_from,
		.present = present,
		.is_confirmed = from->is_confirmed};
	control->takes_any_store = true;
	if (from->is_confirmed && !control_has_etcd(control))
		return why_set(why, ERR_CONFIG, "--confirmed with store.etcd alone", "leave it out",
			"another control plane cannot have confirmed this store");
	enum err err = run(&restoring);
	if (err != ERR_NONE)
		*why = restoring.detail;
	else
		report(&restoring);
	return err;
}

/* Beside the present state, whose place it takes at the end. Adopts config. */
static enum err restore_backup(const struct control_source *source, struct control_config *config,
	const struct restore_source *from, struct why *why)
{
	_cleanup_(mem_freep) char *state_dir = mem_strdup(config->state_dir);
	_cleanup_(mem_freep) char *staging = mem_printf("%s/restore", state_dir);
	/* Root could go on, without the bans of a store that is another user's, and the control plane not start. */
	enum err err = state_folder_own(state_dir, why);
	if (err == ERR_NONE)
		err = control_unpack(config, &from->backup, staging, why);
	if (err != ERR_NONE) {
		control_config_free(config);
		return err;
	}
	mem_free(config->state_dir);
	config->state_dir = mem_strdup(staging);
	RETURN_IF_ERR(restore(source, config, from, state_dir, why));
	return control_put_in_place(staging, state_dir, why);
}

enum err control_restore(const struct control_source *source, struct control_config *config,
	const struct restore_source *from, struct why *why)
{
	enum err err = ERR_NONE;
	if (config->kubernetes.is_enabled)
		err = why_set(why, ERR_UNSUPPORTED, "a control plane outside Kubernetes",
			"in Kubernetes the state is in records: restore them, and the Secret with the keys, with "
			"`kubectl apply`",
			"restore is for a state folder");
	else if (from->backup.path != NULL && config->etcd.num_endpoints > 0)
		err = why_set(why, ERR_UNSUPPORTED, "a control plane with a store of its own",
			"restore etcd with `etcdctl snapshot restore`, then run restore without --from",
			"a backup has the store of a state folder");
	if (err != ERR_NONE) {
		control_config_free(config);
		return err;
	}
	return from->backup.path != NULL ? restore_backup(source, config, from, why)
					 : restore(source, config, from, NULL, why);
}
