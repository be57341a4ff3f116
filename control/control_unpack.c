/* handfast-control restore --from: a backup is unpacked beside the present state, restored there (control_restore.c),
 * and put in its place as the last step: first the keys, then the store, each by one exchange. Whatever interrupts it,
 * a start finds the former state, or keys and a store that do not belong together, which it refuses until restore is
 * run again.
 */
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "control/archive.h"
#include "control/control_private.h"
#include "control/issue/passphrase.h"
#include "control/store/record.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FORMER "before-restore"

static const char *const parts[] = {"keys", "store"};
enum { NUM_PARTS = sizeof parts / sizeof parts[0] };

static bool exists(const char *path)
{
	struct stat found;
	return lstat(path, &found) == 0;
}

/* --- folders of ours: files in "keys" and "store", nothing deeper --- */

static int is_file_name(const struct dirent *entry)
{
	return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static void empty(const char *folder)
{
	struct dirent **entries;
	int num = scandir(folder, &entries, is_file_name, alphasort);
	for (int i = 0; i < num; i++) {
		_cleanup_(mem_freep) char *path = mem_printf("%s/%s", folder, entries[i]->d_name);
		if (entries[i]->d_type != DT_DIR)
			unlink(path);
		mem_free(entries[i]);
	}
	if (num >= 0)
		mem_free(entries);
}

static void remove_state(const char *state_dir)
{
	for (size_t i = 0; i < NUM_PARTS; i++) {
		_cleanup_(mem_freep) char *part = mem_printf("%s/%s", state_dir, parts[i]);
		empty(part);
		rmdir(part);
	}
	rmdir(state_dir);
}

static enum err make_folders(const char *state_dir, struct why *why)
{
	remove_state(state_dir); /* of a try that was cut off; what was in place then is merged by the next one */
	RETURN_IF_ERR(folder_make(state_dir, 0700, why));
	for (size_t i = 0; i < NUM_PARTS; i++) {
		_cleanup_(mem_freep) char *part = mem_printf("%s/%s", state_dir, parts[i]);
		RETURN_IF_ERR(folder_make(part, 0700, why));
	}
	return ERR_NONE;
}

/* --- unpack --- */

static enum err check_about(const struct control_config *config, const struct archive *archive, struct why *why)
{
	const struct archive_file *about = archive_find(archive, BACKUP_ABOUT);
	struct span domain;
	if (about == NULL || archive_find(archive, BACKUP_STORE) == NULL ||
		!record_get(about->content, "trust_domain", 0, &domain))
		return why_set(why, ERR_MALFORMED, "a backup of this release", "use the release that made it",
			"the backup has no store, or no trust domain");
	if (span_eq(domain, span_of_str(config->trust_domain.name)))
		return ERR_NONE;
	return why_set(why, ERR_CONFIG, "a backup of this trust domain", "correct trust_domain, or name another backup",
		"the backup is of the trust domain %.*s", (int)domain.len, (const char *)domain.ptr);
}

/* An intermediate may have been revoked since: the signer makes another one, if it has the root's key. */
static bool can_make_intermediate(const struct archive *archive)
{
	const struct archive_file *root = archive_find(archive, "keys/root.pem");
	return root != NULL && memmem(root->content.ptr, root->content.len, "PRIVATE KEY", 11) != NULL;
}

static bool is_wanted(const struct archive *archive, const char *name)
{
	if (strcmp(name, "keys/intermediate.pem") == 0)
		return !can_make_intermediate(archive);
	return strncmp(name, "keys/", 5) == 0 || strcmp(name, BACKUP_STORE) == 0;
}

static enum err write_files(const struct archive *archive, const char *state_dir, struct why *why)
{
	for (size_t i = 0; i < archive->num; i++) {
		const struct archive_file *file = &archive->files[i];
		_cleanup_(mem_freep) char *path = mem_printf("%s/%s", state_dir, file->name);
		if (is_wanted(archive, file->name))
			RETURN_IF_ERR(fd_write_file(path, file->content, 0600, why));
	}
	return ERR_NONE;
}

enum err control_unpack(
	const struct control_config *config, const struct keys_file *file, const char *state_dir, struct why *why)
{
	_cleanup_(buf_wipe) struct buf passphrase = BUF_INIT(PASSPHRASE_MAX + 1);
	_cleanup_(buf_done) struct buf sealed = BUF_INIT(BACKUP_MAX + 1024);
	_cleanup_(buf_wipe) struct buf bytes = BUF_INIT(BACKUP_MAX);
	_cleanup_(mem_freep) struct archive *archive = mem_new(struct archive);
	struct span text = {0};
	RETURN_IF_ERR(control_read_passphrase(file->passphrase_file, &passphrase, &text, why));
	RETURN_IF_ERR(fd_read_file(file->path, BACKUP_MAX + 1024, &sealed, why));
	RETURN_IF_ERR(passphrase_open(PASSPHRASE_BACKUP, text, buf_span(&sealed), &bytes, why));
	RETURN_IF_ERR(archive_parse(buf_span(&bytes), archive, why));
	RETURN_IF_ERR(check_about(config, archive, why));
	RETURN_IF_ERR(make_folders(state_dir, why));
	return write_files(archive, state_dir, why);
}

/* --- put in place --- */

/* The audit log goes on: it is not taken back. */
static void link_audit_logs(const char *from, const char *to)
{
	struct dirent **entries;
	int num = scandir(from, &entries, is_file_name, alphasort);
	for (int i = 0; i < num; i++) {
		_cleanup_(mem_freep) char *old = mem_printf("%s/%s", from, entries[i]->d_name);
		_cleanup_(mem_freep) char *fresh = mem_printf("%s/%s", to, entries[i]->d_name);
		if (strncmp(entries[i]->d_name, "audit.log", 9) == 0 && link(old, fresh) != 0 && errno != EEXIST)
			log_warning("control", "the audit log starts again: cannot link %s to %s: %s", old, fresh,
				strerrordesc_np(errno));
		mem_free(entries[i]);
	}
	if (num >= 0)
		mem_free(entries);
}

static enum err put(const char *fresh, const char *place, struct why *why)
{
	unsigned flags = exists(place) ? RENAME_EXCHANGE : RENAME_NOREPLACE;
	if (renameat2(AT_FDCWD, fresh, AT_FDCWD, place, flags) == 0)
		return ERR_NONE;
	if (errno == EACCES || errno == EPERM)
		return why_set(why, err_from_errno(errno), "a state folder of which all is this process's user's",
			"chown -R state_dir to the control plane's user and run restore again as that user",
			"cannot put %s in the place of %s: %m", fresh, place);
	return why_set(why, err_from_errno(errno), "a file system that can exchange two folders",
		"put state_dir on ext4, XFS, Btrfs or tmpfs, or move the former state away by hand and run restore "
		"again",
		"cannot put %s in the place of %s: %m", fresh, place);
}

/* That of an earlier restore gets the next number: it may be the only copy of what a wrong backup replaced. */
static void keep_earlier(const char *former)
{
	enum { MAX_KEPT = 1000 };
	for (unsigned i = 1; exists(former) && i < MAX_KEPT; i++) {
		_cleanup_(mem_freep) char *earlier = mem_printf("%s.%u", former, i);
		if (renameat2(AT_FDCWD, former, AT_FDCWD, earlier, RENAME_NOREPLACE) == 0)
			log_notice("control", "the state that an earlier restore replaced is in %s now", earlier);
	}
}

enum err control_put_in_place(const char *staging, const char *state_dir, struct why *why)
{
	_cleanup_(mem_freep) char *former = mem_printf("%s/" FORMER, state_dir);
	for (size_t i = 0; i < NUM_PARTS; i++) {
		_cleanup_(mem_freep) char *fresh = mem_printf("%s/%s", staging, parts[i]);
		_cleanup_(mem_freep) char *place = mem_printf("%s/%s", state_dir, parts[i]);
		if (strcmp(parts[i], "store") == 0)
			link_audit_logs(place, fresh);
		RETURN_IF_ERR(put(fresh, place, why));
	}
	RETURN_IF_ERR(fd_sync_folder(state_dir, why));
	keep_earlier(former);
	if (rename(staging, former) == 0 && rmdir(former) != 0)
		log_notice("control", "the former state is in %s", former);
	return ERR_NONE;
}
