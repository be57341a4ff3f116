/* The sidecar's settings, from YAML, HANDFAST_SIDECAR_* and flags (base/settings). Plain data, owned by the struct. */
#pragma once

#include "base/core/addr.h"
#include "base/net/socket.h"
#include "base/settings/settings.h"
#include "base/settings/settings_record.h"
#include "base/tls/key_exchange.h"
#include "certs/spiffe_id.h"
#include "policy/policy.h"
#include "sidecar/probe/probe_spec.h"
#include "sidecar/report/access_log.h"
#include "sidecar/route/listeners.h"

enum interception { /* how connections reach the sidecar */
	INTERCEPTION_REDIRECT,
	INTERCEPTION_TPROXY, /* and the workload sees its callers' addresses */
	INTERCEPTION_NONE,   /* only by listeners and tunnels */
};

enum identity_source { /* as identity.source has them */
	IDENTITY_FROM_CONTROL_PLANE,
	IDENTITY_FROM_WORKLOAD_API,
	IDENTITY_FROM_ISTIO_CA,
};

struct sidecar_config {
	struct trust_domain trust_domain;
	char *control_address; /* as sidecar/identity/control_address.h reads it, "192.0.2.1:15012,[2001:db8::1]:15012"
				*/
	bool has_bootstrap_root;
	uint8_t bootstrap_root_sha256[32];
	char *token_file;            /* NULL: none */
	char *kubernetes_token_file; /* NULL: none */
	bool unix_peer;
	char *x509_certificate_file, *x509_key_file; /* of the machine; NULL: none */
	enum identity_source source;
	char *source_socket;    /* of the Workload API that gives the identity; NULL: another source */
	char *source_spiffe_id; /* NULL: any, or that of the token */
	struct istio_ca {
		char *host;                  /* NULL: another source */
		char *server_name, *cluster; /* NULL: none */
		char *root_file, *token_file;
		uint16_t port;
		uint64_t ttl_s;
	} istio;
	char *state_dir;
	uint32_t zone; /* base/core/zone.h; 0: none is set */
	bool claims_address;
	bool keeps_svid;          /* in state_dir, for a restart without a control plane */
	char *workload_socket;    /* NULL: no Workload API */
	bool workload_every_user; /* that can open it; else workload_uids */
	uid_t *workload_uids;
	size_t num_workload_uids;
	enum inbound_mode inbound_mode; /* a minimum: the control plane can tighten it, never loosen it */
	struct policy_port *inbound_ports;
	size_t num_inbound_ports;
	enum outbound_mode outbound_mode;
	bool prefers_zone;
	unsigned workers; /* 0: as many as processors, at most 4 */
	uint16_t outbound_port, inbound_port, tunnel_port, admin_port, metrics_port;
	enum interception interception;
	struct listeners listeners;
	char *admin_socket;
	uint64_t upgrade_ms;                 /* after another process has taken over: at the latest */
	uint64_t drain_ms, drain_minimum_ms; /* after SIGTERM: at the latest, at the earliest */
	uint64_t max_identity_age_ms, max_identity_age_grace_ms; /* of a connection; age 0: none */
	uint64_t resolve_ms, connect_ms, handshake_ms, idle_ms;
	struct socket_keepalive keepalive;
	uint64_t plaintext_idle_ms;   /* of inbound connections without identity; 0: as the others */
	uint64_t max_connections;     /* 0: from RLIMIT_NOFILE */
	uint64_t max_tunnels;         /* inbound; 0: from RLIMIT_NOFILE */
	uint64_t max_per_source;      /* inbound connections in plaintext of one address or /64; 0: a quarter */
	uint64_t max_per_endpoint;    /* outbound connections to one endpoint; 0: any number */
	uint64_t max_per_identity;    /* inbound streams of one identity; 0: half */
	uint64_t flow_control_memory; /* bytes */
	struct key_exchange_list key_exchanges;
	enum access_log_mode access_log;
	unsigned access_log_one_in;
	struct probe_spec *probes; /* of the workload, made for kubelet */
	size_t num_probes;
	bool log_json;
	unsigned log_level;             /* enum log_level */
	struct settings_record *record; /* every value with its origin */
};

/* What a reload takes over together; RESTART is none of them. */
enum sidecar_reload_part { RELOAD_MINIMUM = 1, RELOAD_DRAIN, RELOAD_LOG, NUM_SIDECAR_RELOAD_PARTS };

extern const struct setting_table sidecar_settings; /* settings.def */

/* On any error returns ERR_CONFIG, the errors are in `settings`, and *out is untouched. */
enum err sidecar_config_read(struct settings *settings, struct sidecar_config **out) _must_use_;
/* For commands to a running sidecar (drain, wait ...), which a preStop hook gives without the settings file: what only
 * the sidecar itself needs, control.address, may be missing. It is "" then. */
enum err sidecar_config_read_for_command(struct settings *settings, struct sidecar_config **out) _must_use_;
void sidecar_config_free(struct sidecar_config *config);
DEFINE_CLEANUP(struct sidecar_config *, sidecar_config_free)
/* The minimum modes that inbound_mode and inbound_ports make. refs 1. */
struct policy *sidecar_config_minimum(const struct sidecar_config *config);
