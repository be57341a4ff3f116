/* Notifies a service manager (sd_notify(3)): one datagram to the socket that NOTIFY_SOCKET names. Without that variable
 * none of these does anything. Where the manager's queue is full they wait for it, 5 s at most; what could not be sent
 * is logged. Only the process that serves calls them: systemd takes the word of any process of a unit with
 * NotifyAccess=all. */
#pragma once

#include <stdbool.h>

/* One started this process and is notified: it has variables and flags from a unit. */
bool service_manager_is_there(void);

/* It accepts connections, or has read its settings again: READY=1, and MAINPID. */
void service_manager_ready(void);
/* Its settings are read again; service_manager_ready() follows, also where they have errors. */
void service_manager_reloading(void);
/* It ends by itself, as after a signal that the manager did not send. */
void service_manager_stopping(void);
