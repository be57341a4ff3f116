/* The system calls of a command of this machine, by base/sandbox. Commands of a cluster have no filter: a credential
 * plugin of the kubeconfig is another program. */
#pragma once

void confine_once(void); /* in main(): the first confine() restricts the process */
/* Before an answer is read. Where the kernel cannot do it, the command goes on without. */
void confine(void);
