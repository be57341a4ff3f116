/* The Content-Security-Policy of a page: nothing but its own style and its own script, by their hashes, and calls to
 * where it came from. Pure. */
#pragma once

#include "base/core/buf.h"

#define PAGE_POLICY_MAX 600 /* bytes */

/* Appends the policy's text. ERR_MALFORMED: the page has not exactly one <style> and one <script>, without attributes;
 * ERR_LIMIT: no room. */
enum err page_policy(struct span html, struct buf *out) _must_use_;
