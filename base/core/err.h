/* Error codes that fallible functions return, and explanations of failures for the operator.
 *
 * Every fallible function returns `enum err`; ERR_NONE is 0. Outputs are untouched on failure. Readiness of a socket or
 * a session is not an error; its type is `enum io_result`. */
#pragma once

#include "base/core/cleanup.h"
#include <stdbool.h>
#include <stddef.h>

enum err {
	ERR_NONE = 0,
#define ERROR(symbol, label, text) symbol,
#include "base/core/errors.def"
#undef ERROR
};

enum io_result { IO_DONE, IO_WANT_READ, IO_WANT_WRITE, IO_EOF, IO_FAILED };

const char *err_text(enum err err);  /* a phrase without full stop, never NULL */
const char *err_label(enum err err); /* snake_case, for metrics and JSON, "none" for ERR_NONE */
bool err_is_known(unsigned number);  /* whether a number from another process is one of enum err */
enum err err_from_errno(int errnum); /* ECONNREFUSED -> ERR_REFUSED etc.; ERR_SYSTEM for any other errno */

/* An explanation of one failure in three texts, each of which can be read alone. Fixed size, owns no memory; zeroed is
 * empty. why_set() escapes untrusted bytes to printable ASCII. */
struct why {
	enum err err;
	char expected[160]; /* a noun phrase: "a readable YAML file" */
	char got[256];      /* a clause, what failed: "cannot open the settings file /x: No such file or directory" */
	char fix[192];      /* an instruction: "check the path and its permissions" */
};

/* Fills *why (may be NULL) and returns err: `return why_set(why, ERR_X, ...)`.
 * `expected` and `fix` are plain text; `got` is a format. Each is cut to its field; a cut text ends in "...". */
enum err why_set(struct why *why, enum err err, const char *expected, const char *fix, const char *got, ...)
	_printf_(5, 6);

/* Appends the host to a `fix` that refers to another host: "look at the peer's log (192.0.2.7, spiffe://...)". Does
 * nothing when `fix` refers to no other host, or when a host is appended already. */
void why_name_host(struct why *why, const char *host);

/* Writes "GOT; expected: EXPECTED; fix: FIX" into out[cap], always terminated; empty parts are left out. Returns out.
 */
const char *why_format(const struct why *why, char *out, size_t cap);
/* Splits a text that why_format() wrote, in another process, into its three parts. False: the text has another form;
 * *out is untouched. `err` is not part of the text. */
bool why_parse(const char *text, enum err err, struct why *out) _must_use_;

#define RETURN_IF_ERR(call)                                                                                            \
	do {                                                                                                           \
		enum err err_ = (call);                                                                                \
		if (err_ != ERR_NONE)                                                                                  \
			return err_;                                                                                   \
	} while (0)
