/* For tests: the nodes of a kubeconfig that is a text. */
#pragma once

#include "base/kube/kubeconfig_node.h"

#define TEST_KUBECONFIG_PATH "/etc/handfast/kubeconfig" /* no such file */

/* Valid YAML alone. Returns the root; *out is released by test_kubeconfig_done(). */
const yaml_node_t *test_kubeconfig_parse(const char *text, struct kubeconfig *out);
void test_kubeconfig_done(struct kubeconfig *file);
