/* TLS alerts (RFC 8446 6): names, explanations of received alerts, and the alert to send for an error. */
#pragma once

#include "base/core/err.h"

enum tls_alert {
#define ALERT(number, name, err, meaning, fix) TLS_ALERT_##name = (number),
#include "base/tls/alerts.def"
#undef ALERT
};

const char *alert_name(int number); /* "unknown_ca"; "unassigned" for numbers that RFC 8446 does not define */
/* Explains a received alert; returns its error. */
enum err alert_explain(int number, struct why *why);
/* The alert to send when the peer's certificate is refused with this error. */
enum tls_alert alert_for_refusal(enum err err);
