/* How base/rpc/web_dial.h reaches the API server: its address, what proves it to us and us to it. Private to base/kube.
 */
#pragma once

#include "base/kube/kube_config.h"
#include "base/rpc/web_dial.h"

/* config is borrowed as long as the peer. */
struct web_peer kube_dial_peer(const struct kube_config *config);
