/* A fuzz target: one function that accepts any bytes. It ends the process (CHECK, a sanitizer) when it finds a defect,
 * and returns 0 otherwise. */
#pragma once

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
