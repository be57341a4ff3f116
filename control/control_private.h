/* The composition root's struct, shared by control*.c of this folder; the parts are in the order of their files below.
 */
#pragma once

#include "base/core/process_facts.h"
#include "base/kube/kube_client.h"
#include "base/net/resolver.h"
#include "control/audit/audit.h"
#include "control/ca_source/ca_source.h"
#include "control/control.h"
#include "control/federate/federation.h"
#include "control/issue/issuer.h"
#include "control/kube/kube_plane.h"
#include "control/page/page.h"
#include "control/report/control_metrics.h"
#include "control/report/pages.h"
#include "control/rotate/bootstrap.h"
#include "control/rotate/rotation.h"
#include "control/serve/serve.h"
#include "control/state_folder.h"
#include "control/store/etcd/etcd_link.h"
#include "control/store/store_copy.h"

#define CONTROL_DRAIN_MS       5000
#define CONTROL_DRAIN_CHECK_MS 50
#define CONTROL_LINGER_MS      2000 /* the webhook serves on until the nodes know that this replica ends */

struct control {
	const struct control_source *source;
	struct control_config *config;
	struct control_config *first_config; /* of the start; lives until the end */
	struct settings_record *in_force;
	const char *release;
	struct state_folder state;
	struct loop *loop;
	struct issuer *issuer;
	int streams_fd, operator_fd, metrics_fd, webhook_fd; /* -1: adopted by another part */
	int federation_fd;                                   /* -1: no bundle endpoint, or adopted */
	int operator_port_fd, tcp_table_fd;                  /* Kubernetes alone; else -1 */
	int page_fd;                                         /* -1: no page, or adopted */
	struct why page_trouble;                             /* no error: there is a page, or none is wanted */
	struct buf page_token;                               /* of the start */
	struct page *page;                                   /* NULL: none, or not started */
	struct name_servers *name_servers; /* of the start: the network process may not read them later */
	struct etcd_members members;       /* etcd alone */
	struct kube_config api;            /* Kubernetes alone */
	struct kube_client *client;        /* NULL: not in Kubernetes */
	struct kube_plane *plane;          /* NULL: not in Kubernetes, or not started */
	int streams_unix_fd;               /* -1: none, or adopted */
	struct store *store;
	struct audit *audit;
	struct metrics *metrics;
	struct process_facts facts;
	struct pages *pages;
	uint64_t num_displaced; /* probes that gave way, at the last count */
	struct attest *attest;
	struct registry *registry;
	struct distributor *distributor;
	struct bootstrap *bootstrap;
	struct rotation *rotation;
	struct federation *federation;
	int token_fd;                  /* 0: none, or the signer has it */
	pid_t token_child;             /* handfast-pkcs11; 0: none */
	struct ca_command *ca_command; /* NULL: no identity.ca.command */
	struct ca_source *ca_source;   /* NULL: identity.ca.source is built-in, or not started */
	struct trust *trust;
	struct server_identity *identity;
	struct other_roots *other_roots; /* NULL: none */
	struct crl_files *lists;         /* NULL: none */
	struct serve *serve;
	struct buf authorities[3]; /* DER: bootstrap root, root, intermediate */
	struct loop_signal terminate, interrupt, hangup;
	struct loop_timer drain, linger, note;
	void (*on_fenced)(struct control *control);
	uint64_t drain_deadline_ms;
	bool is_draining;
	bool takes_any_store; /* an operator's word: restore */
	bool must_reload;     /* SIGHUP came before the listeners were open */
	enum err failure;     /* the result of control_run() */
};

/* control.c: the steps of the start that control_restore.c shares. */
struct control *control_make(const struct control_source *source, struct control_config *config, const char *release);
enum err control_load(struct control *control, struct why *why) _must_use_; /* folders; the store, locked and read */

/* control_children.c: the signer, and the processes of identity.ca.source. */
enum err control_start_signer(struct control *control, enum key_policy policy, void (*on_lost)(void *arg, enum err err),
	void *arg, struct why *why) _must_use_;
enum err control_start_children(
	struct control *control, void (*on_lost)(void *arg, enum err err), struct why *why) _must_use_;

/* control_fence.c: becomes the only issuer of this store. A failure ends the run. */
void control_fence(struct control *control, void (*on_fenced)(struct control *control));
void control_note_store(struct control *control); /* the signer records the revision of the store */
struct store_mark control_store_mark(const struct control *control);
enum key_policy control_key_policy(const struct control *control);
enum err control_keep_authorities(
	struct control *control, const struct issued *issued, struct why *why) _must_use_; /* ERR_STATE_DAMAGED */

/* control_keys_carry.c. out: memory, wiped by the caller */
enum err control_read_passphrase(const char *path, struct buf *out, struct span *out_text, struct why *why) _must_use_;
/* control_restore.c. ERR_STATE_DAMAGED: state_dir has no key folder. */
enum err control_keys_are_there(const struct control_config *config, struct why *why) _must_use_;
/* control_unpack.c: a backup into the new folder state_dir; that folder's parts into the place of the present ones. */
#define BACKUP_ABOUT "about"
#define BACKUP_STORE "store/control.db"
#define BACKUP_MAX   (STORE_COPY_MAX + (2u << 20)) /* bytes */
enum err control_unpack(const struct control_config *config, const struct keys_file *file, const char *state_dir,
	struct why *why) _must_use_;
enum err control_put_in_place(const char *staging, const char *state_dir, struct why *why) _must_use_;

/* control_kubernetes.c: the connection to the API server, and the store in its records. */
enum err control_load_records(struct control *control, struct why *why) _must_use_;
/* Discovery, attestation and injection; registry and attest are there. */
void control_start_plane(struct control *control);
void control_note_bootstrap(const struct control *control); /* pods get the pin of the present bootstrap root */
/* The name of its pod, as the manifest sets it; NULL: a control plane outside of the cluster has none. */
const char *control_replica(const struct control *control);
void control_kubernetes_done(struct control *control);
/* Folders of files that the client reads again, for the rules of Landlock; out has room for three. Returns how many. */
size_t control_kubernetes_paths(const struct control *control, char *out[3]);

/* control_etcd.c: the store in etcd. */
bool control_has_etcd(const struct control *control);
enum err control_load_etcd(struct control *control, struct why *why) _must_use_;
void control_etcd_done(struct control *control); /* after the store */
/* Folders of its files, as control_kubernetes_paths(). */
size_t control_etcd_paths(const struct control *control, char *out[4]);
/* control_resolver.c: files by which names are resolved, as control_kubernetes_paths(). */
#define CONTROL_RESOLVER_PATHS_MAX 4
size_t control_resolver_paths(const struct control *control, char *out[CONTROL_RESOLVER_PATHS_MAX]);
/* control_federation.c */
void control_start_federation(struct control *control); /* the trust state is durable */
/* Folders of its files, as control_kubernetes_paths(), up to CONTROL_FEDERATION_PATHS_MAX. */
#define CONTROL_FEDERATION_PATHS_MAX 9
size_t control_federation_paths(const struct control *control, char *out[CONTROL_FEDERATION_PATHS_MAX]);

/* The store is a file of this control plane's own. */
bool control_has_file(const struct control *control);

/* control_attestation.c */
/* The folder of listen.streams_socket; NULL: there is none. The caller frees it. */
char *control_attestation_folder(const struct control *control);
/* Folders as control_kubernetes_paths(). */
size_t control_attestation_paths(const struct control *control, char *out[3]);
bool control_lies_above_keys(const struct control *control, const char *folder); /* of the signer */
/* What must stay readable for a file that may be replaced: its folder, or the present file alone in a folder above the
 * keys. The caller frees it. */
char *control_readable_path(const struct control *control, const char *file);

/* control_page.c: the token and the port of the operators' page. What fails there stops no certificate: it is a
 * condition (decision 109). */
void control_page_load(struct control *control); /* reads the token; before its folders are shut */
void control_page_listen(struct control *control);
void control_page_start(struct control *control); /* serve is there */

/* control_start.c: from an open store to open listeners; failures end the run. */
void control_start(struct control *control);
/* control_reload.c */
void control_reload(struct control *control);

/* control_drain.c: ends the run when nothing is open any more, and at the second call. */
void control_drain(struct control *control);
void control_review_policy(struct control *control); /* warnings, to the log and the metric */
/* control.c */
void control_fail(struct control *control, enum err err, const char *what, const struct why *why);
