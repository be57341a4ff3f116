/* What a fallible function returns, and how a failure is explained to a person.
 *
 * Every fallible function returns `enum err`; ERR_NONE is 0. Outputs are untouched on failure. Readiness of a socket or
 * a session is no error and has a type of its own, `enum io_result`. */
#pragma once

#include "base/core/cleanup.h"

enum err {
	ERR_NONE = 0,
#define ERROR(symbol, label, text) symbol,
#include "base/core/errors.def"
#undef ERROR
};

enum io_result { IO_DONE, IO_WANT_READ, IO_WANT_WRITE, IO_EOF, IO_FAILED };

const char *err_text(enum err err);  /* a sentence without full stop, never NULL */
const char *err_label(enum err err); /* snake_case, for metrics and JSON, "none" for ERR_NONE */
enum err err_from_errno(int errnum); /* ECONNREFUSED -> ERR_REFUSED and so on; ERR_SYSTEM for what has no own name */

/* One failure, told so that a person can act: what was expected, what came, what to do. Fixed size, owns nothing; a
 * zeroed one says nothing. Text that came from outside is escaped to printable ASCII when it is put in. */
struct why {
	enum err err;
	char expected[160];
	char got[256];
	char fix[192];
};

/* Fills *why (which may be NULL) and returns err, so that a failing line reads `return why_set(why, ERR_X, ...)`.
 * `expected` and `fix` are plain text; `got` is a format. Each is cut to its field. */
enum err why_set(struct why *why, enum err err, const char *expected, const char *fix, const char *got, ...)
	_printf_(5, 6);

/* Where `fix` sends the reader to another host ("look at the peer's log"), says which: "(192.0.2.7, spiffe://...)".
 * Once; a fix that speaks of no other host stays as it is. */
void why_name_host(struct why *why, const char *host);

/* "expected ..., got ...; fix" on one line into out[cap], always terminated. Returns out. */
const char *why_format(const struct why *why, char *out, size_t cap);

#define RETURN_IF_ERR(call)                                                                                            \
	do {                                                                                                           \
		enum err err_ = (call);                                                                                \
		if (err_ != ERR_NONE)                                                                                  \
			return err_;                                                                                   \
	} while (0)
