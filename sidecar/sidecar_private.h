/* The composition root's struct, shared by its files: sidecar.c creates and connects all parts, sidecar_clients.c
 * passes credentials, time, policy, networks and answers to the workers, sidecar_drain.c drains and ends,
 * sidecar_reload.c reloads the settings, sidecar_pages.c answers the admin pages. Only sidecar_*.c of this folder
 * include this header. */
#pragma once

#include "base/core/buf.h"
#include "base/core/list.h"
#include "base/core/process_facts.h"
#include "base/tls/tls_context.h"
#include "sidecar/admin_socket.h"
#include "sidecar/discovery/discovery_client.h"
#include "sidecar/identity/identity_client.h"
#include "sidecar/identity/kept.h"
#include "sidecar/report/admin.h"
#include "sidecar/sidecar.h"
#include "sidecar/worker/observe.h"
#include "sidecar/worker/worker.h"
#include "sidecar/worker/worker_pages.h"
#include "sidecar/workload_api/workload_api.h"

#define WORKERS_MAX 64

/* The lines by which a process takes over from another one, after ADMIN_HAND_OVER and the sockets. */
#define SIDECAR_TAKE  "take\n"
#define SIDECAR_TAKEN "taken\n"
#define SIDECAR_KEPT  "kept\n" /* the process before goes on, or ends by itself */

struct sidecar_hand_over { /* to a process that prepares */
	bool is_open;
	bool is_given; /* it may serve, and has not written yet that it does */
	int fd;
	pid_t pid;
	struct loop_io io;
	struct loop_timer deadline;
};

struct sidecar_take_over { /* from the process before */
	bool is_open;
	bool is_alone; /* the process before has ended */
	pid_t pid;     /* of that one */
	int fd;
	struct passed_sockets *sockets; /* that are not taken yet */
	struct loop_io io;
	struct loop_timer poll;
};

struct sidecar_successor { /* the process that serves, where this one has handed over */
	bool is_open;
	bool has_modes; /* its modes */
	int fd;
	struct loop_io io;
	struct buf lines, reported; /* what came; the last line that was sent */
	int64_t until_s;            /* since 1970: this process ends then at the latest */
};

struct sidecar;
struct worker_place { /* the argument of a worker's callbacks */
	struct sidecar *sidecar;
	struct observe observe;
};

#define SIDECAR_FAMILIES 2
#define SIDECAR_FAMILY_FIX                                                                                             \
	"list the network under mesh.networks, or under mesh.plaintext_networks if plaintext is meant"
struct sidecar_family {
	bool is_uncovered; /* mesh.networks and mesh.plaintext_networks have no network of it */
	bool is_outside;   /* and this host has an address of it */
	struct ip_addr own;
	char name[32], detail[256]; /* of the condition, while is_outside */
};

/* Of the interception rules and the setting interception (sidecar_rules.c). */
/* What shows of the interception rules. Unproven: never since the start, so that they may be of an older handfast-init.
 * Foreign user: they are there, and do not exempt this process. */
enum rules_presence {
	RULES_PRESENT,
	RULES_LACK_ADDRESS,
	RULES_REMOVED,
	RULES_UNPROVEN,
	RULES_OF_FOREIGN_USER,
	NUM_RULES_PRESENCES
};
enum rules_mismatch { RULES_MATCH, RULES_LACK_SOURCE_ROUTE, RULES_KEEP_SOURCE };
#define NUM_RULES_MISMATCHES 3

struct sidecar {
	struct sidecar_options options;
	struct sidecar_config *config;
	struct settings_record *in_force; /* the values of config, each with its origin */
	struct loop *loop;

	/* Shared by the workers. */
	struct tls_context *client_context, *server_context, *istio_context, *direct_context;
	struct flow_control_memory *budget;
	struct endpoint_limit *endpoint_limit; /* NULL: none */
	struct metrics *metrics;
	struct process_facts facts;
	struct access_log *access_log;
	struct failures *failures;
	struct port_use *port_use;
	struct dry_runs *dry_runs;
	struct peers *peers;
	uint64_t report_due_ms; /* the next report of them */
	struct worker_place places[WORKERS_MAX];
	struct worker *workers[WORKERS_MAX];
	unsigned num_workers, num_configured; /* the main thread's metrics are the shard after those of the workers */

	/* The clients of the control plane, and what they received. */
	struct state_folder *state;
	struct identity_client *identity; /* NULL: the identity comes from `source` */
	struct sidecar_source *source;    /* NULL: it comes from the control plane */
	struct discovery_client *discovery;
	struct kept destinations; /* the file of what discovery keeps for a restart */
	bool is_kept_tried;
	struct workload_api *workload_api; /* NULL: it is not served */
	struct policy *minimum, *sent_policy,
		*policy;         /* from the settings; as the control plane sent it; both combined, in use */
	json_t *policy_warnings; /* about `policy`, for /check and /policy; NULL: there is no policy yet */
	struct trusted_time time;
	struct sidecar_family families[SIDECAR_FAMILIES]; /* IPv4, IPv6 */
	uint32_t zone;                                    /* of this host (base/core/zone.h); 0: not known */
	char root_detail[80];                             /* when the mesh root expires; empty: not soon */
	uint64_t next_root_warning_ms;
	char clock_detail[64]; /* how this host's clock differs from the control plane's; empty: it does not */
	char late_detail[64];  /* when the own certificate expires, whose renewal is late; empty: it is not */
	int64_t late_logged_s; /* the end of the one whose late renewal was logged */
	char service_detail[LISTENER_SERVICE_MAX + 64]; /* a listener's service that is not known; empty: none */
	char lists_detail[400];                         /* revocation lists that are stale or not usable; empty: none */

	struct sidecar_hand_over hand_over;
	struct sidecar_take_over take_over;
	struct sidecar_successor successor;
	struct list formers; /* processes that still have connections */
	struct list probes;  /* under way */
	struct admin *admin;
	struct admin_socket *admin_socket;
	struct loop_signal on_term, on_int, on_hup;
	struct loop_timer gauges, drain_timer, drain_deadline;
	uint64_t num_refused;              /* by the listeners, as counted in the metric */
	uint64_t num_displaced;            /* from the admin pages, as counted in the metric */
	unsigned num_full[NUM_CONN_KINDS]; /* workers without room for that kind, as of the last poll */
	bool is_draining;                  /* not ready, GOAWAY sent; still serves */
	bool has_useless_rules;            /* with interception: none: the workload's connections are refused */
	enum rules_presence rules_presence;
	bool were_rules_proven; /* since the start */
	enum rules_mismatch rules_mismatch;
	uint64_t next_rules_ms; /* when it is looked at again */
	uint64_t made_ms;       /* on the loop's clock */
	bool is_ending;         /* after a signal: ends when no connection is open */
	bool has_handed_over;   /* another process serves; is_ending */
	bool has_failed;        /* to take over */
	bool is_gathering_totals;
	unsigned num_polls_with_policy; /* at most until process_forget_start() */
	uint64_t ending_since_ms;
	unsigned num_quiet_polls;
};

struct metric_shard *sidecar_shard(struct sidecar *sidecar); /* of the main thread */

/* sidecar_clock.c */
void sidecar_clock_poll(struct sidecar *sidecar); /* about once per second */
#define SIDECAR_CLOCK_FIX "compare both with a third clock, and set the wrong one: `timedatectl`"
/* sidecar_root_expiry.c */
void sidecar_root_expiry_poll(struct sidecar *sidecar); /* about once per second */
#define SIDECAR_ROOT_FIX "on the control plane's host: `handfast status`"

/* sidecar_certificates.c */
void sidecar_renewal_poll(struct sidecar *sidecar); /* about once per second */
enum err sidecar_put_certificates(const struct sidecar *sidecar, struct buf *out) _must_use_; /* rows of metrics */

#define SIDECAR_SERVICE_FIX "add it to the control plane's settings, or correct listeners.outbound"

/* sidecar_peers.c */
void sidecar_peers_poll(struct sidecar *sidecar);                          /* about once per second */
bool sidecar_port_is_strict(const struct sidecar *sidecar, uint16_t port); /* false also before there is a policy */
/* sidecar_health.c */
void sidecar_health_poll(struct sidecar *sidecar); /* about once per second */
/* sidecar_revocation_lists.c */
void sidecar_revocation_lists_poll(struct sidecar *sidecar); /* about once per second */
#define SIDECAR_LISTS_FIX "let the certificate authority publish new lists; what a list names stays refused"

/* sidecar_identity.c: the identity from either source */
struct sidecar_source;
enum err sidecar_identity_new(
	struct sidecar *sidecar, const struct identity_options *options, struct why *why) _must_use_;
void sidecar_identity_start(struct sidecar *sidecar);
void sidecar_identity_free(struct sidecar *sidecar);
void sidecar_identity_status(const struct sidecar *sidecar, struct identity_status *out);
/* Of the Workload API that gives the identity; err ERR_NONE: it is connected, or the identity has another source. */
const struct why *sidecar_identity_source_failure(const struct sidecar *sidecar);
const char *sidecar_identity_source_condition(const struct sidecar *sidecar); /* what that failure is called */
void sidecar_identity_drain(struct sidecar *sidecar);
#define SIDECAR_RELEASED_GOT      "its addresses were released by command: peers do not find this workload"
#define SIDECAR_RELEASED_EXPECTED "a sidecar that holds its addresses, unless its host is to leave the mesh"
#define SIDECAR_RELEASED_FIX      "restart the sidecar, or run `handfast-sidecar upgrade`: it claims them again"
const char *sidecar_identity_release(struct sidecar *sidecar); /* the answer to the command */

/* sidecar_clients.c */
enum err sidecar_clients_new(struct sidecar *sidecar, struct why *why) _must_use_; /* identity and discovery */
void sidecar_clients_free(struct sidecar *sidecar);
void sidecar_subscribe(void *arg, const struct addr *destination); /* on a worker's thread */
void sidecar_minimum_changed(struct sidecar *sidecar);             /* config has new minimum modes */

/* sidecar_kept.c: destinations and policy, kept for a restart without a control plane. The callbacks take the sidecar.
 */
void sidecar_kept_open(struct sidecar *sidecar);
void sidecar_kept_on_stale(void *sidecar, bool must_not_be_used);
void sidecar_kept_on_outage(void *sidecar);
void sidecar_kept_poll(struct sidecar *sidecar); /* about once per second */
#define SIDECAR_RETAINED_MAX 512
#define SIDECAR_RETAINED_FIX                                                                                           \
	"at the control plane: `handfast ban ID` (or `handfast revoke`) again; then `handfast unban ID` for one that " \
	"may connect; the log of this sidecar has the time"
/* The detail of the condition for bans and serials that a restored control plane lacks. False: there are none. */
bool sidecar_retained_text(const struct retained_bans *retained, char out[SIDECAR_RETAINED_MAX]);
void sidecar_kept_flush(struct sidecar *sidecar); /* at once: at the end, and when the folder changes hands */

/* sidecar_families.c */
void sidecar_families_update(struct sidecar *sidecar, const struct mesh_networks *networks);
void sidecar_families_poll(struct sidecar *sidecar); /* repeatedly: addresses are added and removed */

/* sidecar_rules.c */
struct page_condition;
void sidecar_rules_note(struct sidecar *sidecar); /* at the start, once: rules that are missing or lead nowhere */
void sidecar_rules_poll(struct sidecar *sidecar); /* about once per second: whether they are there, of which mode */
bool sidecar_rules_condition(const struct sidecar *sidecar, struct page_condition *out); /* false: there is none */
bool sidecar_rules_absence(const struct sidecar *sidecar, struct page_condition *out);   /* false: they are there */
bool sidecar_rules_lack(const struct sidecar *sidecar); /* nothing intercepts; not ready */

/* sidecar_drain.c */
void sidecar_signals_start(struct sidecar *sidecar);
void sidecar_signals_stop(struct sidecar *sidecar);
void sidecar_drain(struct sidecar *sidecar);
void sidecar_end_after_hand_over(struct sidecar *sidecar); /* when no connection is open, and at the deadline */

/* sidecar_confine.c */
void sidecar_confine(const struct sidecar *sidecar); /* before the first thread */

/* sidecar_interfaces.c */
enum err sidecar_interfaces_open(struct sidecar *sidecar, struct why *why) _must_use_;

/* sidecar_hand_over.c */
void sidecar_on_hand_over(void *sidecar, int fd, const struct peer_process *peer);
/* The other process has failed then, or serves already: has_handed_over. */
void sidecar_hand_over_stop(struct sidecar *sidecar);

/* sidecar_take_over.c */
enum err sidecar_take_over_begin(struct sidecar *sidecar, struct why *why) _must_use_; /* gets the sockets */
void sidecar_take_over_rest(struct sidecar *sidecar);                                  /* those that no part took */
void sidecar_take_over_start(struct sidecar *sidecar);                                 /* the loop will run */
void sidecar_take_over_stop(struct sidecar *sidecar);
void sidecar_note_serving(struct sidecar *sidecar);
/* Neither a process that prepares nor one that has handed over: the service manager hears of this one alone. */
bool sidecar_is_serving(const struct sidecar *sidecar);

/* sidecar_formers.c: former processes, at the one that serves */
struct passed_fds;
/* The channel to one, which gets the modes in force. ERR_CLOSED: it has closed its end; fd stays the caller's. After
 * any other error it closes plaintext. */
enum err sidecar_formers_adopt(struct sidecar *sidecar, int fd) _must_use_;
void sidecar_formers_send_modes(struct sidecar *sidecar); /* the modes have changed */
/* Their channels, which stay the sidecar's and are not read until sidecar_formers_return(). */
void sidecar_formers_lend(struct sidecar *sidecar, struct passed_fds *out);
void sidecar_formers_return(struct sidecar *sidecar); /* they get the modes again */
void sidecar_formers_stop(struct sidecar *sidecar);
json_t *sidecar_formers_page(const struct sidecar *sidecar); /* a list, new */

/* sidecar_successor.c: the process that serves, at a former one */
void sidecar_successor_follow(struct sidecar *sidecar, int fd); /* adopts fd */
void sidecar_successor_ends_in(struct sidecar *sidecar, uint64_t ms);
void sidecar_successor_report(struct sidecar *sidecar, uint64_t num_connections); /* sends what has changed */
void sidecar_successor_stop(struct sidecar *sidecar);

/* sidecar_probes.c: the page of a probe; ends those that are under way */
void sidecar_on_probe(void *sidecar, struct http_request *request);
void sidecar_probes_stop(struct sidecar *sidecar);

/* sidecar_reload.c */
void sidecar_reload(struct sidecar *sidecar);

/* sidecar.c */
/* The limit in force, of all workers together, for a setting of limits.* without a fixed default; 0: another setting.
 */
size_t sidecar_limit_in_force(const struct sidecar *sidecar, const char *key);

/* sidecar_config_page.c */
json_t *sidecar_config_page(const struct sidecar *sidecar);
/* sidecar_endpoints_page.c */
void sidecar_on_endpoints(void *arg, struct http_request *request);
/* sidecar_policy_page.c */
void sidecar_on_policy(void *arg, struct http_request *request);
void sidecar_review_policy(struct sidecar *sidecar); /* the one in use has changed */

/* sidecar_pages.c */
struct admin_pages sidecar_pages(struct sidecar *sidecar);
void sidecar_gauges_start(struct sidecar *sidecar);
