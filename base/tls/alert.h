/* TLS alerts (RFC 8446 6): their names, what one means when it comes, and which one tells the peer about an error. */
#pragma once

#include "base/core/err.h"

enum tls_alert {
#define ALERT(number, name, err, meaning, fix) TLS_ALERT_##name = (number),
#include "base/tls/alerts.def"
#undef ALERT
};

const char *alert_name(int number); /* "unknown_ca"; "unassigned" for what RFC 8446 does not know */
/* Explains an alert that the peer sent; returns the error it stands for. */
enum err alert_explain(int number, struct why *why);
/* The alert that tells the peer why its certificate was refused. */
enum tls_alert alert_for_refusal(enum err err);
