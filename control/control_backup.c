/* handfast-control backup: the keys and the store of one moment in one file, sealed by a passphrase. The control plane
 * may run meanwhile. Restored by control_unpack.c. */
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "control/archive.h"
#include "control/control_private.h"
#include "control/issue/passphrase.h"
#include "control/store/record.h"
#include "control/store/store_copy.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define KEY_FILE_MAX 16384
#define KEYS_MAX     (ARCHIVE_FILES_MAX * KEY_FILE_MAX)
enum { TRIES = 20 };

static bool is_key_file(const char *name)
{
	size_t len = strlen(name);
	return len > 4 && len < ARCHIVE_NAME_MAX - 8 && strcmp(name + len - 4, ".pem") == 0 && name[0] != '.';
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_key_entry(const struct dirent *entry)
{
	return is_key_file(entry->d_name);
}

static enum err add_key(const char *folder, const char *name, struct buf *out, struct why *why)
{
	char path_in_archive[ARCHIVE_NAME_MAX + 1];
	_cleanup_(mem_freep) char *path = mem_printf("%s/%s", folder, name);
	_cleanup_(buf_wipe) struct buf content = BUF_INIT(KEY_FILE_MAX);
	RETURN_IF_ERR(fd_read_file(path, KEY_FILE_MAX, &content, why));
	(void)snprintf(path_in_archive, sizeof path_in_archive, "keys/%.48s", name);
	return archive_add(out, path_in_archive, buf_span(&content));
}

/* All of them, in the order of their names: those of a rotation under way belong to the store as well. */
static enum err read_keys(const char *folder, struct buf *out, struct why *why)
{
	struct dirent **entries;
	enum err err = ERR_NONE;
	int num = scandir(folder, &entries, is_key_entry, by_name);
	buf_clear(out);
	if (num < 0)
		return why_set(why, err_from_errno(errno), "the key folder of a control plane", "check state_dir",
			"cannot read %s: %m", folder);
	for (int i = 0; i < num; i++) {
		if (err == ERR_NONE)
			err = add_key(folder, entries[i]->d_name, out, why);
		mem_free(entries[i]);
	}
	mem_free(entries);
	if (err == ERR_NONE && num == 0)
		return why_set(why, ERR_NOT_FOUND, "keys, made by a first start", "start the control plane once",
			"%s has no keys", folder);
	return err;
}

/* The store between two looks at the same keys: no rotation has replaced one in between. */
static enum err read_moment(const struct state_folder *state, const char *copied, struct buf *keys, struct why *why)
{
	_cleanup_(buf_wipe) struct buf after = BUF_INIT(KEYS_MAX);
	for (unsigned i = 0; i < TRIES; i++) {
		unlink(copied);
		RETURN_IF_ERR(read_keys(state->key_folder, keys, why));
		RETURN_IF_ERR(store_copy(state->store_path, copied, why));
		RETURN_IF_ERR(read_keys(state->key_folder, &after, why));
		if (span_eq(buf_span(keys), buf_span(&after)))
			return ERR_NONE;
	}
	return why_set(why, ERR_UNAVAILABLE, "keys that stay the same while the store is read", "try again",
		"the keys in %s have changed during each of %d tries", state->key_folder, TRIES);
}

/* What the backup is of; the first file of the archive. */
static enum err put_about(const struct control_config *config, struct buf *out)
{
	_cleanup_(buf_done) struct buf about = BUF_INIT(1024);
	RETURN_IF_ERR(record_put(&about, "trust_domain", span_of_str(config->trust_domain.name)));
	RETURN_IF_ERR(record_put_number(&about, "made_ms", clock_system.wall_ms(&clock_system)));
	return archive_add(out, BACKUP_ABOUT, buf_span(&about));
}

/* Two at once would write over each other's copy of the store. The lock ends with the descriptor. */
static enum err lock_out_others(const char *folder, int *out_fd, struct why *why)
{
	*out_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*out_fd < 0)
		return why_set(why, err_from_errno(errno), "the store's folder", "check state_dir",
			"cannot open %s: %m", folder);
	if (flock(*out_fd, LOCK_EX | LOCK_NB) == 0)
		return ERR_NONE;
	return why_set(why, ERR_EXISTS, "one backup at a time", "wait until the other has ended",
		"another backup of %s is under way", folder);
}

static enum err gather(
	const struct control_config *config, const struct state_folder *state, struct buf *out, struct why *why)
{
	_cleanup_(mem_freep) char *copied = mem_printf("%s/backup.db", state->store_folder);
	_cleanup_(buf_wipe) struct buf keys = BUF_INIT(KEYS_MAX), store = BUF_INIT(STORE_COPY_MAX);
	_cleanup_fd_ int lock = -1;
	RETURN_IF_ERR(lock_out_others(state->store_folder, &lock, why));
	enum err err = read_moment(state, copied, &keys, why);
	if (err == ERR_NONE)
		err = fd_read_file(copied, STORE_COPY_MAX, &store, why);
	unlink(copied);
	RETURN_IF_ERR(err);
	RETURN_IF_ERR(put_about(config, out));
	RETURN_IF_ERR(buf_append(out, buf_span(&keys)));
	return archive_add(out, BACKUP_STORE, buf_span(&store));
}

static enum err expect_files(const struct control_config *config, struct why *why)
{
	if (config->kubernetes.is_enabled)
		return why_set(why, ERR_UNSUPPORTED, "a control plane outside Kubernetes",
			"back up the Secret handfast-control-keys and the records, with `kubectl get --output yaml`",
			"backup is for a state folder");
	if (config->etcd.num_endpoints > 0)
		return why_set(why, ERR_UNSUPPORTED, "a control plane with a store of its own",
			"back up etcd with `etcdctl snapshot save`, and the keys with `handfast-control keys export`",
			"backup is for a state folder");
	return ERR_NONE;
}

enum err control_backup(const struct control_config *config, const struct keys_file *file, struct why *why)
{
	_cleanup_(state_folder_done) struct state_folder state = {0};
	_cleanup_(buf_wipe) struct buf passphrase = BUF_INIT(PASSPHRASE_MAX + 1);
	_cleanup_(buf_wipe) struct buf archive = BUF_INIT(BACKUP_MAX);
	_cleanup_(buf_done) struct buf sealed = BUF_INIT(BACKUP_MAX + 1024);
	struct span text = {0};
	RETURN_IF_ERR(expect_files(config, why));
	RETURN_IF_ERR(control_read_passphrase(file->passphrase_file, &passphrase, &text, why));
	RETURN_IF_ERR(control_keys_are_there(config, why));
	RETURN_IF_ERR(state_folder_open(config->state_dir, &state, why));
	RETURN_IF_ERR(gather(config, &state, &archive, why));
	RETURN_IF_ERR(passphrase_seal(PASSPHRASE_BACKUP, text, buf_span(&archive), &sealed, why));
	RETURN_IF_ERR(fd_write_file(file->path, buf_span(&sealed), 0600, why));
	log_notice("audit", "backed up keys and store to %s", file->path);
	return ERR_NONE;
}
