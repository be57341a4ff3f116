/* The log: one line per event on stderr, JSON or plain text. Its level, format, output and tap are global state.
 * A reader that stops never blocks the writer: see base/core/line_out.h. Untrusted values are escaped here; callers
 * pass them raw. Secrets must not be passed. */
#pragma once

#include "base/core/err.h"
#include "base/core/span.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_NOTICE, LOG_LEVEL_DEBUG };

void log_set_level(enum log_level level);
void log_set_json(bool json);
/* To be called first in main(), before the process drops privileges. `program` (borrowed) is part of every line. From
 * now on lines are written without blocking. Closed standard descriptors are opened as /dev/null. */
void log_open(const char *program);
/* Standard error is another file now. While there is one thread. */
void log_reopen(void);
uint64_t log_num_lost(void); /* lines dropped since log_open() because the reader was too slow */
bool log_enabled(enum log_level level);

/* `component` as in commits ("tunnel", "identity"); text: what happened, without full stop. */
void log_write(enum log_level level, const char *component, const char *format, ...) _printf_(3, 4);
void log_why(enum log_level level, const char *component, const char *what, const struct why *why);
void log_lines(enum log_level level, const char *component, const char *text); /* one event per line of `text` */

/* Also gets the text of each line of that component, whatever the level in force. One for the process, set while no
 * other thread logs; NULL: none. on_line() may log lines of other components. */
typedef void log_tap_fn(void *arg, const char *text);
void log_set_tap(const char *component, log_tap_fn *on_line, void *arg);

#define log_error(component, ...)   log_write(LOG_LEVEL_ERROR, component, __VA_ARGS__)
#define log_warning(component, ...) log_write(LOG_LEVEL_WARNING, component, __VA_ARGS__)
#define log_notice(component, ...)  log_write(LOG_LEVEL_NOTICE, component, __VA_ARGS__)
#define log_debug(component, ...)                                                                                      \
	do {                                                                                                           \
		if (log_enabled(LOG_LEVEL_DEBUG))                                                                      \
			log_write(LOG_LEVEL_DEBUG, component, __VA_ARGS__);                                            \
	} while (0)
