/* The control plane's settings, as read from YAML, HANDFAST_CONTROL_* and flags (base/settings). Plain data, owned by
 * the struct; made once, or anew on reload: a file with errors changes nothing. */
#pragma once

#include "base/core/addr.h"
#include "base/settings/settings.h"
#include "base/settings/settings_record.h"
#include "base/tls/key_exchange.h"
#include "certs/spiffe_id.h"
#include "control/config/workload_entry.h"

enum port_mode { PORT_MODE_OFF, PORT_MODE_PERMISSIVE, PORT_MODE_STRICT };

struct config_port_mode {
	uint16_t port;
	enum port_mode mode;
};

enum config_source_kind { SOURCE_ID, SOURCE_ID_PREFIX, SOURCE_ID_SUFFIX, SOURCE_TRUST_DOMAIN, SOURCE_NAMESPACE };
struct config_source {
	enum config_source_kind kind;
	char *text; /* as discovery.proto's SourceMatch wants it */
};

struct config_rule {
	char *name;
	bool deny, dry_run, unauthenticated;
	struct config_source *sources;
	size_t num_sources;
	struct network *networks;
	size_t num_networks;
	uint16_t *ports;
	size_t num_ports;
};

/* What is set for the workloads that `identity` names (or whose identity lies at or below it, where prefix is set).
 */
struct config_workload {
	char *identity;
	bool prefix;
	bool has_mode;
	enum port_mode mode;
	struct config_port_mode *ports;
	size_t num_ports;
	struct config_rule *rules;
	size_t num_rules;
};
void config_workload_done(struct config_workload *workload); /* zeroed is valid */

struct config_service_port {
	uint16_t port, target;
};
struct config_service {
	char *name;
	struct ip_addr address;
	struct config_service_port *ports;
	size_t num_ports;
	struct spiffe_id identity;
};

struct config_entry { /* an operator's entry for one address; it takes precedence over any claim */
	struct ip_addr address;
	struct spiffe_id identity;
	bool is_istio_tls; /* transport: not a tunnel */
};

struct config_endpoint {
	char *host; /* a DNS name, or an IP address without brackets */
	uint16_t port;
};

struct config_partner { /* a trust domain whose bundle is fetched from its bundle endpoint */
	struct trust_domain domain;
	char *host; /* of the url: a DNS name, or an IP address without brackets */
	uint16_t port;
	char *path;
	bool is_spiffe;               /* profile https_spiffe; else https_web */
	struct spiffe_id endpoint_id; /* https_spiffe */
	char *bundle_file;            /* its first bundle; NULL: none */
	char *ca;                     /* https_web: PEM; NULL: those of the system */
};

enum ca_source_kind {
	CA_SOURCE_BUILT_IN,
	CA_SOURCE_FILES,
	CA_SOURCE_COMMAND,
	CA_SOURCE_PKCS11
}; /* in the order of the setting */

struct config_ca {
	enum ca_source_kind source;
	char *certificate, *root; /* files; with CA_SOURCE_FILES and CA_SOURCE_PKCS11; else NULL */
	char *key;                /* likewise with CA_SOURCE_FILES */
	struct {
		char *module, *token, *key, *pin_file; /* with CA_SOURCE_PKCS11; else NULL */
		char *program;
	} pkcs11;
	char **command; /* with CA_SOURCE_COMMAND: a program's absolute path, and its words */
	size_t num_words;
	uint64_t timeout_ms; /* of the command */
};

struct control_config {
	struct trust_domain trust_domain;
	char *state_dir;                     /* "/var/lib/handfast-control" */
	char *operator_socket;               /* "/run/handfast/control.sock" */
	uint16_t streams_port, metrics_port; /* 15012, 15014 */
	char *streams_socket;                /* NULL: none */
	struct {
		char *token_file; /* NULL: no page */
		uint16_t port;    /* on 127.0.0.1 */
	} page;
	uint64_t leaf_ttl_ms, intermediate_ttl_ms, root_ttl_ms;
	uint64_t root_rotate_before_ms; /* its end; 0: never by itself */
	char *other_roots_file;         /* NULL: none */
	char **crl_files;
	size_t num_crl_files;
	uint64_t attest_per_second; /* a source */
	uint64_t forget_after_ms;   /* attestation keys, after the end of their last certificate */
	uint64_t max_connections;   /* at the streams port; 0: from RLIMIT_NOFILE */
	uint64_t max_handshakes;
	struct key_exchange_list key_exchanges; /* at the streams port */
	uint64_t claim_grace_ms;
	struct {
		bool is_enabled;
		char *kubeconfig; /* NULL: in the cluster */
		char *audience;   /* "handfast"; needs no escape in JSON */
		char *namespace_; /* "handfast-system" */
		uint16_t webhook_port;
		uint16_t operator_port; /* on 127.0.0.1; 0: none */
		char *sidecar_image;    /* NULL: no webhook */
		char *init_image;       /* NULL: only with has_cni, or without a webhook */
		bool keeps_source;      /* mode tproxy by default */
		bool has_cni;
		bool takes_istio; /* pods of an Istio mesh are endpoints too */
	} kubernetes;
	struct {
		struct config_endpoint *endpoints; /* none: the store is a file in state_dir */
		size_t num_endpoints;
		char *prefix;                 /* "/handfast/" */
		char *ca, *certificate, *key; /* files; never NULL with endpoints */
		char *user, *password_file;   /* both or neither */
	} etcd;
	struct {
		uint16_t port;            /* of the bundle endpoint; 0: none */
		char *certificate, *key;  /* profile https_web; NULL: https_spiffe */
		uint64_t refresh_hint_ms; /* for partners */
		uint64_t refresh_min_ms;  /* of partners' hints */
		struct config_partner *partners;
		size_t num_partners;
	} federation;
	struct config_ca ca;
	bool log_json;
	unsigned log_level; /* enum log_level */
	/* networks: none only with Kubernetes, for all */
	struct network *networks, *plaintext_networks, *require_mtls_networks;
	size_t num_networks, num_plaintext_networks, num_require_mtls_networks;
	struct config_service *services;
	size_t num_services;
	struct config_entry *entries;
	size_t num_entries;
	char *x509_roots, *x509_crl;             /* files, PEM; NULL: none */
	struct workload_entry *workload_entries; /* attestation.entries */
	size_t num_workload_entries;
	enum port_mode default_mode;
	struct config_workload *workloads;
	size_t num_workloads;
	struct settings_record *record; /* every value with its origin */
};

/* What a reload takes over together; RESTART is none of them. */
enum control_reload_part {
	RELOAD_ANSWERS = 1,
	RELOAD_LEAF_TTL,
	RELOAD_LOG,
	RELOAD_FEDERATION,
	NUM_CONTROL_RELOAD_PARTS
};

void config_partner_copy(const struct config_partner *from, struct config_partner *out);
void config_partner_done(struct config_partner *partner); /* zeroed is valid */

extern const struct setting_table control_settings; /* settings.def */

/* Takes everything out of `settings`; errors stay there. On any error (settings_finish() != 0) returns ERR_CONFIG
 * and *out is untouched. */
enum err control_config_read(struct settings *settings, struct control_config **out) _must_use_;
void control_config_free(struct control_config *config);
DEFINE_CLEANUP(struct control_config *, control_config_free)
