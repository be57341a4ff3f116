/* What is inside: this release and every library that is linked into it. */
#pragma once

int versions_show(void); /* on stdout; 0 */
