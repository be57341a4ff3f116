/* The plugin on the node: its program in the runtime's folder of plugins, its entry in the network configuration that
 * the runtime takes, kept there while another tool rewrites it. Every write is atomic. */
#pragma once

#include "base/core/loop.h"
#include "intercept/cni/conflist.h"

struct install_options {                /* borrowed */
	const char *bin_dir, *conf_dir; /* of the node, as mounted here */
	struct conflist_entry entry;
};

struct install;
/* Writes both at once, and then whenever the folder of configurations changes, and every 30 s. */
struct install *install_start(struct loop *loop, const struct install_options *options);
void install_stop(struct install *install); /* leaves what is written */
DEFINE_CLEANUP(struct install *, install_stop)
/* ERR_NONE: it is in place. Else why not. */
enum err install_state(const struct install *install, struct why *why) _must_use_;

/* Removes the entry from every configuration of the folder, then the program. Nothing there is no error. */
enum err install_remove(const struct install_options *options, struct why *why) _must_use_;
