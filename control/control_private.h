/* Shared by control.c, control_start.c and control_reload.c. */
#pragma once

#include "base/core/process_facts.h"
#include "base/kube/kube_client.h"
#include "control/control.h"
#include "control/issue/issuer.h"
#include "control/kube/kube_plane.h"
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
	int streams_fd, operator_fd, metrics_fd, webhook_fd; /* -1: adopted by another part */
	struct kube_config api;                              /* Kubernetes alone */
	struct kube_client *client;                          /* NULL: not in Kubernetes */
	struct kube_plane *plane;                            /* NULL: not in Kubernetes, or not started */
	struct store *store;
	struct metrics *metrics;
	struct process_facts facts;
	struct pages *pages;
	uint64_t num_displaced; /* probes that gave way, at the last count */
	struct attest *attest;
	struct registry *registry;
	struct distributor *distributor;
	struct trust *trust;
	struct server_identity *identity;
	struct serve *serve;
	struct buf authorities[3]; /* DER: bootstrap root, root, intermediate */
	struct loop_signal terminate, interrupt, hangup;
	struct loop_timer drain, note;
	void (*on_fenced)(struct control *control);
	uint64_t drain_deadline_ms;
	bool is_draining;
	bool must_reload; /* SIGHUP came before the listeners were open */
	enum err failure; /* the result of control_run() */
};

/* control.c: the steps of the start that control_restore.c shares. */
struct control *control_make(const struct control_source *source, struct control_config *config, const char *release);
enum err control_load(struct control *control, struct why *why) _must_use_; /* folders; the store, locked and read */
enum err control_start_signer(struct control *control, enum key_policy policy, void (*on_lost)(void *arg, enum err err),
	void *arg, struct why *why) _must_use_;

/* control_fence.c: becomes the only issuer of this store. A failure ends the run. */
void control_fence(struct control *control, void (*on_fenced)(struct control *control));
void control_note_store(struct control *control); /* the signer records the revision of the store */
struct store_mark control_store_mark(const struct control *control);
enum key_policy control_key_policy(const struct control *control);
enum err control_keep_authorities(
	struct control *control, const struct issued *issued, struct why *why) _must_use_; /* ERR_STATE_DAMAGED */

/* control_kubernetes.c: the connection to the API server, and the store in its records. */
enum err control_load_records(struct control *control, struct why *why) _must_use_;
/* Discovery, attestation and injection; registry and attest are there. */
void control_start_plane(struct control *control);
void control_kubernetes_done(struct control *control);
/* Folders of files that the client reads again, for the rules of Landlock; out has room for three. Returns how many. */
size_t control_kubernetes_paths(const struct control *control, char *out[3]);

/* control_start.c: from an open store to open listeners; failures end the run. */
void control_start(struct control *control);
/* control_reload.c */
void control_reload(struct control *control);
/* control.c */
void control_fail(struct control *control, enum err err, const char *what, const struct why *why);
