/* A process that runs the operator's command, which signs a certification request. It has no key: the network process
 * starts it before it restricts itself, and gives it requests over a socket. It shuts itself, and with it the command,
 * out of the key folder (Landlock). Which system calls a command makes cannot be known: those that only an attack makes
 * get EPERM.
 *
 * One datagram per request (PEM), one per answer: a byte, RUNNER_SIGNED or RUNNER_FAILED, then what the command wrote
 * to its standard output, or what went wrong. */
#pragma once

#include "base/core/err.h"

#define RUNNER_COMMAND     "ca-command" /* argv[1] of the process; then key folder, milliseconds, the command's words */
#define RUNNER_REQUEST_MAX 8192         /* bytes */
#define RUNNER_OUTPUT_MAX  24576        /* bytes of a chain */
#define RUNNER_TEXT_MAX    256          /* bytes of a reason */
#define RUNNER_WORDS_MAX   32

enum { RUNNER_SIGNED = 'S', RUNNER_FAILED = 'F' };

int command_runner_main(int argc, char **argv); /* the socket is descriptor 3 */
