/* Non-blocking output of whole lines to an inherited descriptor, standard output or standard error. A line that cannot
 * be written at once is dropped and counted; the next line that is written is preceded by one that reports the number
 * of dropped lines. Thread-safe.
 *
 * O_NONBLOCK is a flag of the open file description, which is shared with the shell and other processes, so it is
 * never set there. The methods that avoid it, best first: */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum line_out_method {
	LINE_OUT_REOPENED, /* a pipe or terminal, reopened with O_NONBLOCK */
	LINE_OUT_NOWAIT,   /* a pipe of another user: RWF_NOWAIT (Linux 6.4) */
	LINE_OUT_SPLICE,   /* the same on older kernels: SPLICE_F_NONBLOCK from an own pipe */
	LINE_OUT_SEND,     /* a socket, such as the journal's: MSG_DONTWAIT */
	LINE_OUT_POLL,     /* a terminal of another user: polled before each write */
	LINE_OUT_FILE,     /* has no reader that could block it */
};

enum { LINE_OUT_MAX = 4096 }; /* bytes per line with its newline: PIPE_BUF, which a pipe writes atomically */

/* Writes the line that reports `num` dropped lines; returns its length, at most LINE_OUT_MAX. */
typedef size_t line_out_gap_fn(uint64_t num, char out[LINE_OUT_MAX]);

struct line_out;
struct line_out *line_out_new(int fd, line_out_gap_fn *gap); /* fd: borrowed, must stay open */
void line_out_free(struct line_out *out);                    /* NULL is allowed */
void line_out_write(struct line_out *out, const char *line, size_t len);
uint64_t line_out_num_lost(const struct line_out *out); /* since the start */

/* The parts of line_out_new(). */
enum line_out_method line_out_best_method(int fd);
struct line_out *line_out_new_by(enum line_out_method method, int fd, line_out_gap_fn *gap);
