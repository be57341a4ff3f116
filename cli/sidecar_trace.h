/* What shows that a sidecar belongs on this machine, whether or not one runs. */
#pragma once

/* NULL: nothing. Else a clause that names it: "its admin socket /run/handfast/sidecar.sock is there". */
const char *sidecar_trace_find(void);
