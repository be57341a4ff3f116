/* The ports and the id of a sidecar that other programs know: the interception rules, the pods that are injected, and
 * what looks at them. The defaults of the sidecar's settings `ports` are the same (sidecar/config_test.c). */
#pragma once

#define FIXED_PORT_ADMIN    15000 /* the operator's pages, on the loopback interface */
#define FIXED_PORT_OUTBOUND 15001 /* for the workload's outbound connections */
#define FIXED_PORT_INBOUND  15006 /* for inbound connections without a tunnel */
#define FIXED_PORT_TUNNEL   15008 /* for tunnels of other sidecars */
#define FIXED_PORT_METRICS  15020 /* for scrapers and probes, on all interfaces */
#define FIXED_ID            1337  /* uid and gid */

/* One of them within a text: ":" FIXED_TEXT(FIXED_PORT_TUNNEL). */
#define FIXED_TEXT(number)    FIXED_TEXT_OF(number)
#define FIXED_TEXT_OF(number) #number
