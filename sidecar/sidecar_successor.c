/* The end of a process that has handed over and still has connections: it takes the modes that the process that serves
 * has in force, and reports what is left (decision 114). Without them it takes the strictest ones: what they deny is
 * closed, and no other. */
#include "base/core/log.h"
#include "base/core/mem.h"
#include "base/net/fd.h"
#include "base/net/passed_fds.h"
#include "policy/explain.h"
#include "sidecar/former_lines.h"
#include "sidecar/sidecar_private.h"
#include <errno.h>
#include <unistd.h>

#define COMPONENT "upgrade"
enum { CHUNK = 4096 };

static const char *outbound_mode_text(enum outbound_mode mode)
{
	static const char *const texts[] = {"off", "auto", "require"};
	return texts[mode];
}

/* Adopts modes->ports. */
static void take_modes(struct sidecar *sidecar, const struct modes_line *modes)
{
	struct sidecar_config *config = sidecar->config;
	config->inbound_mode = modes->inbound;
	mem_free(config->inbound_ports);
	config->inbound_ports = modes->ports;
	config->num_inbound_ports = modes->num_ports;
	config->outbound_mode = modes->outbound;
	for (unsigned i = 0; i < sidecar->num_workers; i++)
		worker_set_outbound_mode(sidecar->workers[i], modes->outbound);
	sidecar_minimum_changed(sidecar);
}

static void take_strictest(struct sidecar *sidecar, const char *reason)
{
	const struct modes_line strictest = {INBOUND_STRICT, OUTBOUND_REQUIRE, NULL, 0};
	log_warning(COMPONENT, "%s: connections in plaintext are closed, and the others go on", reason);
	take_modes(sidecar, &strictest);
}

static void take_line(struct sidecar *sidecar, struct span line)
{
	struct modes_line modes;
	sidecar->successor.has_modes = true;
	buf_done(&sidecar->successor.reported); /* the line may come from another process than those before */
	if (modes_line_parse(line, &modes) != ERR_NONE) {
		take_strictest(sidecar, "the process that serves has modes that this release does not know");
		return;
	}
	log_notice(COMPONENT,
		"open connections have the modes of the process that serves: inbound %s, %zu ports with their own, "
		"outbound %s",
		inbound_mode_text(modes.inbound), modes.num_ports, outbound_mode_text(modes.outbound));
	take_modes(sidecar, &modes);
}

static void lost(struct sidecar *sidecar)
{
	sidecar_successor_stop(sidecar);
	take_strictest(sidecar, "no process sends its modes any more");
}

static void on_readable(struct loop_io *io, unsigned ready)
{
	struct sidecar *sidecar = container_of(io, struct sidecar, successor.io);
	struct sidecar_successor *successor = &sidecar->successor;
	char bytes[CHUNK];
	(void)ready;
	ssize_t got = read(successor->fd, bytes, sizeof bytes);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0 || buf_append(&successor->lines, span_of(bytes, (size_t)got)) != ERR_NONE) {
		lost(sidecar);
		return;
	}
	for (struct span line = first_line_of(&successor->lines); line.ptr != NULL;
		line = first_line_of(&successor->lines)) {
		take_line(sidecar, line);
		buf_consume(&successor->lines, line.len + 1);
	}
}

void sidecar_successor_follow(struct sidecar *sidecar, int fd)
{
	struct sidecar_successor *successor = &sidecar->successor;
	successor->is_open = true;
	successor->fd = fd;
	successor->lines = BUF_INIT(FORMER_LINE_MAX);
	loop_io_start(sidecar->loop, &successor->io, fd, LOOP_READ, on_readable);
}

void sidecar_successor_ends_in(struct sidecar *sidecar, uint64_t ms)
{
	const struct clock *clock = loop_clock(sidecar->loop);
	sidecar->successor.until_s = (clock->wall_ms(clock) + (int64_t)ms) / 1000;
}

void sidecar_successor_report(struct sidecar *sidecar, uint64_t num_connections)
{
	struct sidecar_successor *successor = &sidecar->successor;
	_cleanup_(buf_done) struct buf line = BUF_INIT(FORMER_LINE_MAX);
	const struct former_line left = {getpid(), num_connections, successor->until_s};
	if (!successor->is_open || former_line_encode(&left, &line) != ERR_NONE ||
		span_eq(buf_span(&line), buf_span(&successor->reported)))
		return;
	/* What does not fit is repeated at the next change; the end of the other process is read. */
	if (passed_fds_send(successor->fd, buf_span(&line), NULL, 0) != ERR_NONE)
		return;
	buf_done(&successor->reported);
	successor->reported = line;
	line = BUF_INIT(FORMER_LINE_MAX);
}

void sidecar_successor_stop(struct sidecar *sidecar)
{
	struct sidecar_successor *successor = &sidecar->successor;
	if (!successor->is_open)
		return;
	loop_io_stop(&successor->io);
	fd_close(successor->fd);
	buf_done(&successor->lines);
	buf_done(&successor->reported);
	successor->is_open = false;
}
