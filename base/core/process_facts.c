#include "base/core/process_facts.h"
#include "base/core/clock.h"
#include <dirent.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

void process_facts_open(struct process_facts *facts)
{
	*facts = (struct process_facts){
		.statm_fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC),
		.descriptors_fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
		.start_wall_s = clock_system.wall_ms(&clock_system) / 1000,
	};
}

void process_facts_close(struct process_facts *facts)
{
	if (facts->statm_fd >= 0)
		close(facts->statm_fd);
	if (facts->descriptors_fd >= 0)
		close(facts->descriptors_fd);
	facts->statm_fd = facts->descriptors_fd = -1;
}

int64_t process_cpu_ms(void)
{
	struct rusage usage;
	if (getrusage(RUSAGE_SELF, &usage) != 0)
		return 0;
	return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
	       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
}

int64_t process_max_descriptors(void)
{
	struct rlimit limit;
	return getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur <= INT64_MAX ? (int64_t)limit.rlim_cur : 0;
}

/* The second number in statm, in pages (proc_pid_statm(5)). */
int64_t process_resident_bytes(const struct process_facts *facts)
{
	char text[128];
	ssize_t len = facts->statm_fd < 0 ? -1 : pread(facts->statm_fd, text, sizeof(text) - 1, 0);
	if (len <= 0)
		return 0;
	text[len] = '\0';
	const char *second = strchr(text, ' ');
	return second == NULL ? 0 : (int64_t)strtoll(second, NULL, 10) * sysconf(_SC_PAGESIZE);
}

/* Kernels before 6.2 do not report the number; the listing includes "." and "..". */
static int64_t count_entries(int folder)
{
	char entries[4096];
	int64_t num = 0;
	if (lseek(folder, 0, SEEK_SET) != 0)
		return 0;
	for (ssize_t len; (len = getdents64(folder, entries, sizeof(entries))) > 0;)
		for (ssize_t at = 0; at < len; num++) {
			struct dirent64 entry;
			memcpy(&entry, entries + at, offsetof(struct dirent64, d_name));
			at += entry.d_reclen;
		}
	return num > 2 ? num - 2 : 0;
}

int64_t process_open_descriptors(const struct process_facts *facts)
{
	struct stat found;
	if (facts->descriptors_fd < 0)
		return 0;
	if (fstat(facts->descriptors_fd, &found) == 0 && found.st_size > 0)
		return found.st_size;
	return count_entries(facts->descriptors_fd);
}
