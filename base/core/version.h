/* The release, said in this one place: the programs' --version, their hello on the streams and their metrics use it. */
#pragma once

#define HANDFAST_VERSION "0.1.0"
