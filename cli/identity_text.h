/* SPIFFE IDs on the command line. */
#pragma once

#include "base/settings/command_line/command_line.h"
#include "certs/spiffe_id.h"

/* Reports a text that is no SPIFFE ID as an error of `what`, a flag or a command (exit code 64), with nothing asked of
 * a control plane. out, if not NULL, is the caller's to end with spiffe_id_done(); after an error it is as it was. */
void identity_read(struct command_line *line, const char *what, const char *text, struct spiffe_id *out);
/* The one argument of the command, an identity; NULL: an error is reported. alternative: what else is expected, such as
 * ", or ban list"; "": nothing. */
const char *identity_argument(struct command_line *line, const char *command, const char *alternative);
