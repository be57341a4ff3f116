/* For tests: whether a secret is left in this process's memory. */
#pragma once

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEST_SECRET_LEN = 64 };

/* The secret is computed, so that only its copies have its bytes. */
static inline uint8_t test_secret_byte(size_t i)
{
	return (uint8_t)(167 * i + i * i + 91);
}

static inline void test_secret_write(uint8_t *to)
{
	for (size_t i = 0; i < TEST_SECRET_LEN; i++)
		to[i] = test_secret_byte(i);
}

/* The second half: the allocator writes into the first bytes of what is freed. */
static inline bool test_is_secret(const uint8_t *bytes)
{
	for (size_t i = TEST_SECRET_LEN / 2; i < TEST_SECRET_LEN; i++)
		if (bytes[i] != test_secret_byte(i))
			return false;
	return true;
}

/* The copies in what can be written, but for stacks and the shadow memory of a sanitizer. */
static inline unsigned test_memory_num_secrets(void)
{
	static uint8_t part[65536 + TEST_SECRET_LEN];
	unsigned num = 0;
	char line[512];
	FILE *maps = fopen("/proc/self/maps", "r");
	int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	while (maps != NULL && fgets(line, sizeof(line), maps) != NULL) {
		char *end;
		uint64_t from = strtoull(line, &end, 16), to = strtoull(end + 1, &end, 16);
		if (strncmp(end, " rw", 3) != 0 || strstr(end, "[stack]") != NULL || to - from > 1u << 30)
			continue;
		for (; from < to; from += 65536) {
			memset(part, 0, sizeof(part));
			ssize_t len = pread(memory, part, sizeof(part), (off_t)from);
			for (ssize_t i = 0; i < 65536 && i + TEST_SECRET_LEN <= len; i++)
				num += test_is_secret(part + i) ? 1 : 0;
		}
	}
	memset(part, 0, sizeof(part));
	if (maps != NULL)
		(void)fclose(maps);
	(void)close(memory);
	return num;
}
