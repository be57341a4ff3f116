/* Parts of reading the settings; only control/config*.c include this. */
#pragma once

#include "control/config/config.h"

void config_policy_read(struct settings *settings, struct control_config *config);
/* Invariants of a policy section without errors: each rule means what it states, none is wider by an empty list. */
void config_policy_check(const struct control_config *config);
void config_policy_done(struct control_config *config);
void config_etcd_read(struct settings *settings, struct control_config *config);
void config_etcd_done(struct control_config *config);
void config_federation_read(struct settings *settings, struct control_config *config);
void config_federation_done(struct control_config *config);
void config_attestation_read(struct settings *settings, struct control_config *config);
void config_attestation_done(struct control_config *config);
void config_ca_read(struct settings *settings, struct setting_node *identity, struct control_config *config);
void config_ca_done(struct control_config *config);
void config_mesh_read(struct settings *settings, struct control_config *config);
void config_mesh_done(struct control_config *config);
/* The SPIFFE ID at map's `identity`; an error (and false) when it is missing or none. */
bool config_id(struct settings *settings, struct setting_node *map, struct spiffe_id *out);
