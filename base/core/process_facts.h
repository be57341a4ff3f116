/* Values for the process_* metrics of Prometheus exporters. The files in /proc are opened at the start: later the
 * sandbox may forbid it. */
#pragma once

#include <stdint.h>

struct process_facts {
	int statm_fd, descriptors_fd; /* -1: /proc is not available */
	int64_t start_wall_s;
};
void process_facts_open(struct process_facts *facts); /* at the start of the program */
void process_facts_close(struct process_facts *facts);

int64_t process_cpu_ms(void); /* of all threads, user and system */
int64_t process_max_descriptors(void);
int64_t process_resident_bytes(const struct process_facts *facts);   /* 0: unknown */
int64_t process_open_descriptors(const struct process_facts *facts); /* 0: unknown */
