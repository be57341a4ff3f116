/* Shared by control.c, control_start.c and control_reload.c. */
#pragma once

#include "control/control.h"
#include "control/issue/issuer.h"
#include "control/report/control_metrics.h"
#include "control/report/pages.h"
#include "control/serve/serve.h"
#include "control/state_folder.h"

#define CONTROL_DRAIN_MS       5000
#define CONTROL_DRAIN_CHECK_MS 50

struct control {
	const struct control_source *source;
	struct control_config *config;
	struct settings_record *in_force;
	const char *release;
	struct state_folder state;
	struct loop *loop;
	struct issuer *issuer;
	int streams_fd, operator_fd, metrics_fd; /* -1: handed over */
	struct store *store;
	struct metrics *metrics;
	struct pages *pages;
	struct attest *attest;
	struct registry *registry;
	struct distributor *distributor;
	struct trust *trust;
	struct server_identity *identity;
	struct serve *serve;
	struct buf authorities[3]; /* DER: bootstrap root, root, intermediate */
	uint64_t epoch;            /* fencing */
	struct loop_signal terminate, interrupt, hangup;
	struct loop_timer drain;
	uint64_t drain_deadline_ms;
	bool is_draining;
	enum err failure; /* what ends control_run() */
};

/* control_start.c: from an open store to open doors; failures end the run. */
void control_start(struct control *control);
/* control_reload.c */
void control_reload(struct control *control);
/* control.c */
void control_fail(struct control *control, enum err err, const char *what, const struct why *why);
