/* The system calls of a command, by base/sandbox. Without a kubeconfig from the beginning. With one, from the moment
 * that its credential plugin, a program of others, has given its answer, and before a byte of a peer is read. */
#pragma once

#include <stdbool.h>

void confine_once(void); /* in main(): the first confine() restricts the process */
/* Before an answer is read. Where the kernel cannot do it, the command goes on without. */
void confine(void);
bool confine_is_due(void); /* confine() would do it: until then the process may start others */
/* A process that starts one for each run of a command, which are confined by themselves. */
void confine_parent(void);
