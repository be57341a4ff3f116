/* Whole lines to a descriptor that someone else gave us, standard output or standard error, without ever waiting for
 * its reader: a line that cannot go at once is lost and counted, and the next line that goes is preceded by one that
 * says how many are missing. Any thread may write.
 *
 * O_NONBLOCK is a flag of the open file, which we share with the shell and with every other process that has it, so it
 * is never set there. The ways around it, best first: */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum line_out_way {
	LINE_OUT_REOPENED, /* a pipe or terminal, opened again for us alone, with O_NONBLOCK */
	LINE_OUT_NOWAIT,   /* a pipe of another user's: RWF_NOWAIT (Linux 6.4) */
	LINE_OUT_SPLICE,   /* the same on older kernels: through a pipe of ours, by SPLICE_F_NONBLOCK */
	LINE_OUT_SEND,     /* a socket, such as the journal's: MSG_DONTWAIT */
	LINE_OUT_POLL,     /* a terminal of another user's: asked first whether there is room */
	LINE_OUT_FILE,     /* has no reader that could stop */
};

enum { LINE_OUT_MAX = 4096 }; /* bytes of a line with its newline: PIPE_BUF, which a pipe takes whole or not at all */

/* Writes the line that says that `num` lines are missing; returns its length, at most LINE_OUT_MAX. */
typedef size_t line_out_gap_fn(uint64_t num, char out[LINE_OUT_MAX]);

struct line_out;
struct line_out *line_out_new(int fd, line_out_gap_fn *gap); /* fd: the caller's, open as long as this lives */
void line_out_free(struct line_out *out);                    /* NULL: nothing */
void line_out_write(struct line_out *out, const char *line, size_t len);
uint64_t line_out_num_lost(const struct line_out *out); /* since the start */

/* The parts of line_out_new(). */
enum line_out_way line_out_best_way(int fd);
struct line_out *line_out_new_by(enum line_out_way way, int fd, line_out_gap_fn *gap);
