/* The release number: used by --version, the hello messages of streams and the metrics. */
#pragma once

#define HANDFAST_VERSION "0.2.0"
