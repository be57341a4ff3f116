/* What a program is notified with after its files have changed: a program of the operator's is run, or a signal goes to
 * the process of a pid file. Main thread only. */
#pragma once

#include "base/core/err.h"
#include "base/core/loop.h"
#include "base/core/span.h"

struct svid_notice_spec {    /* borrowed; all NULL or 0: nothing is done */
	const char *program; /* an absolute path; run without arguments */
	int signal;
	const char *pid_file; /* with signal */
};
/* "HUP", "SIGHUP", "USR1" ...; 0: not one that is allowed. */
int svid_signal_parse(const char *name);

struct svid_notice;
/* With a program: forks the process that starts it, so before anything is read and before the process is confined. */
struct svid_notice *svid_notice_new(struct loop *loop, const struct svid_notice_spec *spec);
void svid_notice_free(struct svid_notice *notice);
/* Failures are logged: the files are good. A program that still runs is run again after it has ended; one that takes
 * longer than a minute is ended. */
void svid_notice_give(struct svid_notice *notice);
bool svid_notice_is_running(const struct svid_notice *notice);
/* The number in a pid file. ERR_MALFORMED: not the number of a process that may get a signal. */
enum err svid_pid_parse(struct span text, int *out) _must_use_;
