/* The log: one line per event on stderr, JSON or plain text. Its level, format and place are the one piece of global
 * state that we allow. A reader that stops never holds up the writer: see base/core/line_out.h.
 * Values that come from outside are escaped here; callers pass them raw. Secrets never reach this. */
#pragma once

#include "base/core/err.h"
#include "base/core/span.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_NOTICE, LOG_LEVEL_DEBUG };

void log_set_level(enum log_level level);
void log_set_json(bool json);
/* First of all in main(), before the process gives up rights: `program` (borrowed) stands in every line; from now on no
 * line waits for the reader of standard error. Standard descriptors that are closed become /dev/null. */
void log_open(const char *program);
uint64_t log_num_lost(void); /* lines that the reader did not take in time, since log_open() */
bool log_enabled(enum log_level level);

/* `component` as in commits ("tunnel", "identity"); text: what happened, as a plain sentence without full stop. */
void log_write(enum log_level level, const char *component, const char *format, ...) _printf_(3, 4);
void log_why(enum log_level level, const char *component, const char *what, const struct why *why);
void log_lines(enum log_level level, const char *component, const char *text); /* an event per line of `text` */

#define log_error(component, ...)   log_write(LOG_LEVEL_ERROR, component, __VA_ARGS__)
#define log_warning(component, ...) log_write(LOG_LEVEL_WARNING, component, __VA_ARGS__)
#define log_notice(component, ...)  log_write(LOG_LEVEL_NOTICE, component, __VA_ARGS__)
#define log_debug(component, ...)                                                                                      \
	do {                                                                                                           \
		if (log_enabled(LOG_LEVEL_DEBUG))                                                                      \
			log_write(LOG_LEVEL_DEBUG, component, __VA_ARGS__);                                            \
	} while (0)
