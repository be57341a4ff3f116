/* page.html, compiled in: the build makes page_html.c of it. */
#pragma once

#include <stddef.h>
#include <stdint.h>

extern const uint8_t page_html[];
extern const size_t page_html_len;
