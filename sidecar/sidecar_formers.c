/* Former processes that still have connections, at the process that serves: each gets the modes in force, and reports
 * what it has left (decision 114). Their channels go on to the next process, so that none of them depends on another
 * former one. */
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "base/net/passed_fds.h"
#include "sidecar/former_lines.h"
#include "sidecar/report/pages.h"
#include "sidecar/sidecar_private.h"
#include <errno.h>
#include <unistd.h>

#define COMPONENT "upgrade"
enum { CHUNK = 4096, LINES_MAX = 8192 };

struct sidecar_former {
	struct list_link link;
	struct sidecar *sidecar;
	int fd;
	struct loop_io io;
	struct buf lines;
	struct former_line left;
	bool has_reported;
};

static int give_up(struct sidecar_former *former)
{
	int fd = former->fd;
	list_remove(&former->link);
	loop_io_stop(&former->io);
	buf_done(&former->lines);
	mem_free(former);
	return fd;
}

static void on_readable(struct loop_io *io, unsigned ready)
{
	struct sidecar_former *former = container_of(io, struct sidecar_former, io);
	char bytes[CHUNK];
	(void)ready;
	ssize_t got = read(former->fd, bytes, sizeof bytes);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0 || buf_append(&former->lines, span_of(bytes, (size_t)got)) != ERR_NONE) {
		if (!former->has_reported)
			log_warning(COMPONENT, "a former process has ended without a report: the connections that it "
					       "still had are closed");
		fd_close(give_up(former));
		return;
	}
	for (struct span line = first_line_of(&former->lines); line.ptr != NULL; line = first_line_of(&former->lines)) {
		if (former_line_parse(line, &former->left) == ERR_NONE)
			former->has_reported = true; /* other lines are of a newer release */
		buf_consume(&former->lines, line.len + 1);
	}
}

/* A former process takes the strictest modes where they do not fit into a line, and where its channel closes.
 * ERR_CLOSED: it has closed its end. */
static enum err send_modes(struct sidecar_former *former)
{
	const struct sidecar_config *config = former->sidecar->config;
	_cleanup_(buf_done) struct buf line = BUF_INIT(FORMER_LINE_MAX);
	const struct modes_line modes = {
		config->inbound_mode, config->outbound_mode, config->inbound_ports, config->num_inbound_ports};
	enum err err = modes_line_encode(&modes, &line);
	enum err sent = passed_fds_send(
		former->fd, err == ERR_NONE ? buf_span(&line) : SPAN_LITERAL(MODES_LINE_UNKNOWN), NULL, 0);
	err = err == ERR_NONE || sent == ERR_CLOSED ? sent : err;
	if (err != ERR_NONE && err != ERR_CLOSED)
		log_warning(COMPONENT, "a former process does not take the modes in force (%s): it closes plaintext",
			err_text(err));
	return sent;
}

/* The end of one that has closed its end is read. */
static void update(struct sidecar_former *former)
{
	enum err err = send_modes(former);
	if (err != ERR_NONE && err != ERR_CLOSED)
		fd_close(give_up(former));
}

void sidecar_formers_send_modes(struct sidecar *sidecar)
{
	LIST_EACH_REMOVABLE(&sidecar->formers, struct sidecar_former, former, link)
		update(former);
}

static size_t num_formers(const struct sidecar *sidecar)
{
	size_t num = 0;
	LIST_EACH(&sidecar->formers, struct sidecar_former, former, link)
		num++;
	return num;
}

enum err sidecar_formers_adopt(struct sidecar *sidecar, int fd)
{
	struct sidecar_former *former = mem_new(struct sidecar_former);
	if (num_formers(sidecar) == PASSED_FDS_MAX) /* as many as can go on to the next process */
		fd_close(give_up(LIST_FIRST(&sidecar->formers, struct sidecar_former, link)));
	former->sidecar = sidecar;
	former->fd = fd;
	former->lines = BUF_INIT(LINES_MAX);
	list_push_back(&sidecar->formers, &former->link);
	loop_io_start(sidecar->loop, &former->io, fd, LOOP_READ, on_readable);
	enum err err = send_modes(former);
	if (err == ERR_CLOSED)
		(void)give_up(former);
	else if (err != ERR_NONE)
		fd_close(give_up(former));
	return err;
}

void sidecar_formers_lend(struct sidecar *sidecar, struct passed_fds *out)
{
	out->num = 0;
	LIST_EACH(&sidecar->formers, struct sidecar_former, former, link) {
		loop_io_stop(&former->io);
		out->fds[out->num++] = former->fd;
	}
}

void sidecar_formers_return(struct sidecar *sidecar)
{
	LIST_EACH_REMOVABLE(&sidecar->formers, struct sidecar_former, former, link) {
		loop_io_start(sidecar->loop, &former->io, former->fd, LOOP_READ, on_readable);
		update(former);
	}
}

void sidecar_formers_stop(struct sidecar *sidecar)
{
	LIST_EACH_REMOVABLE(&sidecar->formers, struct sidecar_former, former, link)
		fd_close(give_up(former));
}

json_t *sidecar_formers_page(const struct sidecar *sidecar)
{
	json_t *list = json_array();
	LIST_EACH(&sidecar->formers, struct sidecar_former, former, link)
		if (former->has_reported)
			json_array_append_new(list, json_pack("{s:I, s:I, s:o}", "pid", (json_int_t)former->left.pid,
							    "connections", (json_int_t)former->left.num_connections,
							    "until", page_time_s(former->left.until_s)));
	return list;
}
