/* What the webhook gives pods, read from one that it has changed: so that injection on this machine is that of the
 * cluster, without a copy of the control plane's settings. Pure. */
#pragma once

#include "control/kube/inject.h"

/* Fills the images, version, trust domain, control address and hash, keeps_source and has_cni; texts borrowed from the
 * pod. ERR_NOT_FOUND: the pod has no sidecar. */
enum err learned_read(const json_t *pod, struct inject_options *out, struct why *why) _must_use_;
