/* The lines between a process that serves and former ones that still have connections (decision 114): the modes in
 * force to the former one, and what that one has left back. Each is one line of words, with its '\n'. Pure. */
#pragma once

#include "base/core/buf.h"
#include "policy/policy.h"
#include <sys/types.h>

#define FORMER_LINE_MAX 65536 /* some 8,000 ports with a mode of their own */

struct modes_line { /* "modes 1 2 80:2\n" */
	enum inbound_mode inbound;
	enum outbound_mode outbound;
	struct policy_port *ports; /* owned where it was read, else borrowed */
	size_t num_ports;
};
#define MODES_LINE_UNKNOWN "modes\n" /* modes that no release knows: the strictest hold */
enum err modes_line_encode(const struct modes_line *modes, struct buf *out) _must_use_; /* appends; ERR_LIMIT */
/* line: without its '\n'. ERR_MALFORMED: another line, or a mode that this release does not know. */
enum err modes_line_parse(struct span line, struct modes_line *out) _must_use_;

struct former_line { /* "former 123 4 1790000000\n" */
	pid_t pid;
	uint64_t num_connections;
	int64_t until_s; /* since 1970: it ends then at the latest */
};
enum err former_line_encode(const struct former_line *former, struct buf *out) _must_use_;
enum err former_line_parse(struct span line, struct former_line *out) _must_use_;

/* The first whole line of what has come, without its '\n'; ptr NULL: there is none yet. */
struct span first_line_of(const struct buf *buf);
