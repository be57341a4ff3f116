/* For tests: objects of a cluster as text, and the rows of findings. */
#pragma once

#include "base/core/cleanup.h"
#include "cli/cluster/findings.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka requires the headers above */
#include <cmocka.h>

json_t *test_object(const char *text); /* JSON with ' in place of "; an object or an array */
/* The row `i` of a check; NULL: there are fewer. */
const json_t *test_row(const struct findings *findings, const char *check, unsigned i);
/* Fails the test unless the first row of the check is wrong, its `got` has `part`, and nothing of it is empty. */
void test_is_wrong(const struct findings *findings, const char *check, const char *part);
void test_is_well(const struct findings *findings, const char *check);
