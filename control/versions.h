/* What is inside: this release and every library that is linked into it. */
#pragma once

#define HANDFAST_RELEASE "0.1.0"

int versions_show(void); /* on stdout; 0 */
