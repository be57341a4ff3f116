/* The age of the identities that tunnels were opened with, from the notBefore of the older of both ends' leaves; and
 * max_identity_age: a tunnel that was replaced after a rotation and still carries streams under older ones is reported,
 * and cut after a grace. Inside this folder only. */
#pragma once

#include "sidecar/tunnel/tunnel_set.h"

/* 0: it is not open yet. */
int64_t tunnel_identity_age_s(const struct tunnel *tunnel);
/* Once per second, if the limits have a maximum age. */
void identity_age_start(struct tunnel_set *set);
void identity_age_stop(struct tunnel_set *set);
