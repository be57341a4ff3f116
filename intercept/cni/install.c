#include "intercept/cni/install.h"
#include "base/core/check.h"
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define COMPONENT "install"

enum {
	REFRESH_MS = 30000,
	PROGRAM_MAX = 64 * 1024 * 1024,
	REMOVE_TRIES = 5,
};

struct install {
	struct loop *loop;
	struct install_options options;
	struct loop_io io;
	struct loop_timer timer;
	int fd;      /* of inotify; -1: the timer alone looks */
	bool exists; /* the program is in place */
	enum err err;
	struct why detail;
};

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name); /* not alphasort(), which asks the locale */
}

static int is_read(const struct dirent *entry)
{
	return conflist_is_read(entry->d_name);
}

/* Reads, edits and writes one file. Someone else's write in between is not overwritten: its notice causes another
 * refresh.
 */
static enum err edit(const char *path, const struct conflist_entry *entry, struct why *why)
{
	_cleanup_(buf_done) struct buf text = BUF_INIT(CONFLIST_MAX), now = BUF_INIT(CONFLIST_MAX),
				       out = BUF_INIT(CONFLIST_MAX);
	struct stat stat_of;
	RETURN_IF_ERR(fd_read_file(path, CONFLIST_MAX, &text, why));
	RETURN_IF_ERR(conflist_edit(buf_span(&text), entry, &out, why));
	if (buf_len(&out) == 0)
		return ERR_NONE;
	if (stat(path, &stat_of) != 0)
		return why_set(why, err_from_errno(errno), "a file that stays", "none: it is tried again",
			"cannot stat %s: %m", path);
	RETURN_IF_ERR(fd_read_file(path, CONFLIST_MAX, &now, why));
	if (!span_eq(buf_span(&now), buf_span(&text)))
		return why_set(why, ERR_CONFLICT, "a file that stays", "none: it is tried again",
			"%s was changed by another program", path);
	RETURN_IF_ERR(fd_write_file(path, buf_span(&out), stat_of.st_mode & 0777, why));
	log_notice(COMPONENT, "%s the plugin's entry: %s", entry == NULL ? "removed" : "wrote", path);
	return ERR_NONE;
}

/* A file that another program is writing is read again. What is no list has no entry. */
static enum err remove_entry(const char *path, struct why *why)
{
	enum err err = ERR_CONFLICT;
	for (int i = 0; i < REMOVE_TRIES && err == ERR_CONFLICT; i++)
		err = edit(path, NULL, why);
	return err == ERR_UNSUPPORTED || err == ERR_MALFORMED || err == ERR_NOT_FOUND ? ERR_NONE : err;
}

/* entry NULL: removes it from every file, and returns the first failure. Else: into the first file, which is the one
 * that the runtime takes. */
static enum err edit_folder(const char *folder, const struct conflist_entry *entry, struct why *why)
{
	struct dirent **names = NULL;
	int num = scandir(folder, &names, is_read, by_name);
	enum err err = ERR_NONE;
	if (num < 0)
		return why_set(why, err_from_errno(errno), "the folder of network configurations",
			"mount the node's folder, and set conf_dir", "cannot read %s: %m", folder);
	if (num == 0 && entry != NULL)
		err = why_set(why, ERR_NOT_FOUND, "a network configuration",
			"install a network plugin; this one is chained to it", "%s has none", folder);
	for (int i = 0; i < num; i++) {
		_cleanup_(mem_freep) char *path = mem_printf("%s/%s", folder, names[i]->d_name);
		struct why failure = {0};
		enum err one = ERR_NONE;
		if (entry == NULL)
			one = remove_entry(path, &failure);
		else if (i == 0)
			one = edit(path, entry, &failure);
		if (err == ERR_NONE && one != ERR_NONE) {
			err = one;
			*why = failure;
		}
		mem_free(names[i]);
	}
	mem_free(names);
	return err;
}

static enum err write_program(struct install *install, struct why *why)
{
	_cleanup_(buf_done) struct buf own = BUF_INIT(PROGRAM_MAX);
	_cleanup_(mem_freep) char *path = mem_printf("%s/%s", install->options.bin_dir, CONFLIST_TYPE);
	if (install->exists && access(path, X_OK) == 0)
		return ERR_NONE;
	RETURN_IF_ERR(fd_read_file("/proc/self/exe", PROGRAM_MAX, &own, why));
	RETURN_IF_ERR(fd_write_file(path, buf_span(&own), 0755, why));
	install->exists = true;
	return ERR_NONE;
}

/* The program first: an entry without it has every pod of the node fail. */
static void refresh(struct install *install)
{
	struct why why = {0};
	enum err err = write_program(install, &why);
	if (err == ERR_NONE)
		err = edit_folder(install->options.conf_dir, &install->options.entry, &why);
	if (err != ERR_NONE && err != install->err)
		log_why(LOG_LEVEL_WARNING, COMPONENT, "the plugin is not in place", &why);
	install->err = err;
	install->detail = why;
	loop_timer_start(
		install->loop, &install->timer, err == ERR_NONE ? REFRESH_MS : 1000, install->timer.on_deadline);
}

static void on_timer(struct loop_timer *timer)
{
	refresh(container_of(timer, struct install, timer));
}

static void on_notice(struct loop_io *io, unsigned ready)
{
	struct install *install = container_of(io, struct install, io);
	char events[4096];
	(void)ready;
	while (read(install->fd, events, sizeof events) > 0)
		;
	refresh(install);
}

struct install *install_start(struct loop *loop, const struct install_options *options)
{
	struct install *install = mem_new(struct install);
	*install = (struct install){.loop = loop, .options = *options};
	install->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (install->fd >= 0 && inotify_add_watch(install->fd, options->conf_dir,
					IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE) >= 0)
		loop_io_start(loop, &install->io, install->fd, LOOP_READ, on_notice);
	loop_timer_start(loop, &install->timer, REFRESH_MS, on_timer);
	refresh(install);
	return install;
}

void install_stop(struct install *install)
{
	loop_io_stop(&install->io);
	loop_timer_stop(&install->timer);
	fd_close(install->fd);
	mem_free(install);
}

enum err install_state(const struct install *install, struct why *why)
{
	*why = install->detail;
	return install->err;
}

enum err install_remove(const struct install_options *options, struct why *why)
{
	_cleanup_(mem_freep) char *path = mem_printf("%s/%s", options->bin_dir, CONFLIST_TYPE);
	RETURN_IF_ERR(edit_folder(options->conf_dir, NULL, why));
	if (unlink(path) != 0 && errno != ENOENT)
		return why_set(why, err_from_errno(errno), "a folder that can be written",
			"mount the node's folder, and set bin_dir", "cannot remove %s: %m", path);
	log_notice(COMPONENT, "the plugin is removed from this node");
	return ERR_NONE;
}
