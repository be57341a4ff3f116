/* Notifies a service manager (sd_notify(3)): one datagram to the socket that NOTIFY_SOCKET names. */
#pragma once

/* One assignment per line, such as "READY=1\nMAINPID=1\n". Without NOTIFY_SOCKET it does nothing. */
void service_manager_notify(const char *state);
