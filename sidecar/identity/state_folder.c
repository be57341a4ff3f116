#include "sidecar/identity/state_folder.h"

#include "base/core/check.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "sidecar/identity/kept_file.h"
#include "sidecar/identity/state_text.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KEY_FILE_MAX = 1024 };

struct state_folder {
	char *path, *key_path, *state_path;
	int fd; /* of the folder, for the lock */
	bool is_locked;
	bool is_left; /* to another process: nothing is written */
	bool waits;   /* for another process to leave it */
	struct private_key *key;
	struct enrolled_state enrolled;
};

#define FOLDER_EXPECTED "a folder of the sidecar's own that no other user can enter"
#define FOLDER_FIX      "chown it to the sidecar's user and chmod it to 0700"

static enum err check_folder(const char *path, struct why *why)
{
	struct stat stat;
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return why_set(why, err_from_errno(errno), FOLDER_EXPECTED, FOLDER_FIX, "cannot create %s: %m", path);
	if (lstat(path, &stat) != 0)
		return why_set(why, err_from_errno(errno), FOLDER_EXPECTED, FOLDER_FIX, "cannot inspect %s: %m", path);
	if (!S_ISDIR(stat.st_mode))
		return why_set(
			why, ERR_DENIED, FOLDER_EXPECTED, FOLDER_FIX, "%s is not a folder, or it is a link", path);
	/* A mounted volume may belong to root and give the sidecar access by its group. */
	if ((stat.st_uid != geteuid() && stat.st_uid != 0) || (stat.st_mode & 07) != 0)
		return why_set(why, ERR_DENIED, FOLDER_EXPECTED, FOLDER_FIX, "%s has owner %u and mode %04o", path,
			stat.st_uid, stat.st_mode & 07777);
	return ERR_NONE;
}

static enum err make_key(struct state_folder *state, struct why *why)
{
	_cleanup_(private_key_unrefp) struct private_key *key = private_key_generate();
	_cleanup_(buf_wipe) struct buf der = BUF_INIT(KEY_FILE_MAX);
	RETURN_IF_ERR(private_key_encode(key, &der));
	RETURN_IF_ERR(fd_write_file(state->key_path, buf_span(&der), 0600, why));
	state->key = TAKE_PTR(key);
	return ERR_NONE;
}

/* The enrolled state belongs to one key: if only one of both files is there, the state is damaged, not new. */
static enum err load_key(struct state_folder *state, bool is_enrolled, struct why *why)
{
	_cleanup_(buf_wipe) struct buf der = BUF_INIT(KEY_FILE_MAX);
	enum err err = fd_read_private_file(state->key_path, KEY_FILE_MAX, &der, why);
	if (err == ERR_NOT_FOUND && is_enrolled)
		return why_set(why, ERR_STATE_DAMAGED, "the attestation key that was enrolled",
			"restore the file, or remove the state folder and enroll again with a new token: `handfast "
			"token create`",
			"%s is missing", state->key_path);
	if (err == ERR_NOT_FOUND)
		return make_key(state, why);
	RETURN_IF_ERR(err);
	if (private_key_parse(buf_span(&der), &state->key, NULL) != ERR_NONE)
		return why_set(why, ERR_STATE_DAMAGED, "a private key, PKCS#8",
			"restore the file, or remove the state folder and enroll again with a new token: `handfast "
			"token create`",
			"%s does not contain a private key", state->key_path);
	return ERR_NONE;
}

static enum err load_enrolled(struct state_folder *state, bool *out_is_enrolled, struct why *why)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT(STATE_TEXT_MAX);
	enum err err = fd_read_private_file(state->state_path, STATE_TEXT_MAX, &text, why);
	if (err == ERR_NOT_FOUND) {
		*out_is_enrolled = false;
		return ERR_NONE;
	}
	RETURN_IF_ERR(err);
	*out_is_enrolled = true;
	return state_text_parse(buf_span(&text), &state->enrolled, why);
}

enum err state_folder_open(const char *path, struct state_folder **out, struct why *why)
{
	bool is_enrolled = false;
	RETURN_IF_ERR(check_folder(path, why));
	_cleanup_(state_folder_freep) struct state_folder *state = mem_new(struct state_folder);
	state->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (state->fd < 0)
		return why_set(why, err_from_errno(errno), FOLDER_EXPECTED, FOLDER_FIX, "cannot open %s: %m", path);
	state->path = mem_strdup(path);
	state->key_path = mem_printf("%s/attestation.key", path);
	state->state_path = mem_printf("%s/enrolled", path);
	RETURN_IF_ERR(load_enrolled(state, &is_enrolled, why));
	RETURN_IF_ERR(load_key(state, is_enrolled, why));
	*out = TAKE_PTR(state);
	return ERR_NONE;
}

static void unlock(struct state_folder *state)
{
	if (state->is_locked)
		CHECK(flock(state->fd, LOCK_UN) == 0);
	state->is_locked = false;
}

void state_folder_leave(struct state_folder *state)
{
	state->is_left = true;
	unlock(state);
}

void state_folder_wait(struct state_folder *state, bool waits)
{
	state->waits = waits;
	if (waits)
		unlock(state);
}

bool state_folder_waits(const struct state_folder *state)
{
	return state->waits;
}

void state_folder_free(struct state_folder *state)
{
	private_key_unref(state->key);
	fd_close(state->fd);
	mem_free(state->path);
	mem_free(state->key_path);
	mem_free(state->state_path);
	mem_free(state);
}

struct private_key *state_folder_key(const struct state_folder *state)
{
	return state->key;
}

const struct enrolled_state *state_folder_get(const struct state_folder *state)
{
	return &state->enrolled;
}

enum err state_folder_put(struct state_folder *state, const struct enrolled_state *fresh, struct why *why)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT(STATE_TEXT_MAX), before = BUF_INIT(STATE_TEXT_MAX);
	CHECK(state_text_encode(fresh, &text) == ERR_NONE);
	CHECK(state_text_encode(&state->enrolled, &before) == ERR_NONE);
	if (span_eq(buf_span(&text), buf_span(&before)))
		return ERR_NONE;
	if (!state->is_left)
		RETURN_IF_ERR(fd_write_file(state->state_path, buf_span(&text), 0600, why));
	state->enrolled = *fresh;
	return ERR_NONE;
}

/* --- what is kept --- */

/* Not a condition for a start: the sidecar that ran before may still drain. */
static enum err lock(struct state_folder *state, struct why *why)
{
	bool is_free = state->is_locked || (!state->waits && flock(state->fd, LOCK_EX | LOCK_NB) == 0);
	if (!is_free)
		return why_set(why, ERR_CONFLICT, "a state folder of one sidecar alone",
			"wait until the other one has ended, or set another state_dir",
			"another sidecar that runs uses %s", state->path);
	state->is_locked = true;
	return ERR_NONE;
}

static char *kept_path(const struct state_folder *state, const char *name)
{
	CHECK(strchr(name, '/') == NULL);
	return mem_printf("%s/%s", state->path, name);
}

enum err state_folder_keep(struct state_folder *state, const char *name, struct span content, struct why *why)
{
	_cleanup_(mem_freep) char *path = kept_path(state, name);
	_cleanup_(buf_done) struct buf binding = BUF_INIT(KEY_FILE_MAX);
	if (state->is_left)
		return ERR_NONE;
	RETURN_IF_ERR(lock(state, why));
	RETURN_IF_ERR(private_key_public(state->key, &binding));
	return kept_file_write(path, buf_span(&binding), content, why);
}

enum err state_folder_drop(struct state_folder *state, const char *name, struct why *why)
{
	_cleanup_(mem_freep) char *path = kept_path(state, name);
	if (state->is_left)
		return ERR_NONE;
	RETURN_IF_ERR(lock(state, why));
	return fd_remove_file(path, why);
}

enum err state_folder_kept(const struct state_folder *state, const char *name, struct buf *out, struct why *why)
{
	_cleanup_(mem_freep) char *path = kept_path(state, name);
	_cleanup_(buf_done) struct buf binding = BUF_INIT(KEY_FILE_MAX);
	RETURN_IF_ERR(private_key_public(state->key, &binding));
	return kept_file_read(path, buf_span(&binding), out, why);
}
