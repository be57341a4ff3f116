/* Keeps the files of svid_files.h as the Workload API has the identity: connects, writes each new state, gives notice,
 * connects again after a pause. */
#pragma once

#include "sidecar/svid/svid_notice.h"

struct svid_follow_options { /* borrowed */
	const char *socket;  /* of the Workload API */
	const char *folder;
	struct svid_notice_spec notice;
	bool is_once; /* until the files are written for the first time, for at most `once_ms` */
	uint32_t once_ms;
	void (*on_forked)(void); /* nothing is forked from now on, and nothing was read; NULL: none */
};
/* Blocks until SIGTERM or SIGINT (ERR_NONE), or with is_once until all is done. is_once, and the files were not
 * written: the last failure; ERR_TIMEOUT: there was no answer. */
enum err svid_follow(const struct svid_follow_options *options, struct why *why) _must_use_;
