/* check --fail-if-expires-within: which certificates end soon. A certificate that lives shorter than four times that is
 * renewed by itself, and ends soon with less than a quarter of its life left (certs/expiry.h). */
#pragma once

#include "base/settings/command_line/command_line.h"
#include "cli/cluster/findings.h"

/* The flag's value; 0: it is not given. One that is wrong becomes an error of the line. */
int64_t expiries_within_s(struct command_line *line);
bool expiries_is_ending(const char *kind, int64_t from_s, int64_t to_s, int64_t within_s, int64_t now_s);
/* The certificates of a replica, by its metrics: a row for each that ends soon, else one for all. */
void check_expiries(struct findings *findings, const char *whose, const char *metrics, int64_t within_s, int64_t now_s);
