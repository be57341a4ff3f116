/* The view of a cluster with 10,000 pods and 1,000 Services: the cost of its whole state and of a pod's change, and its
 * memory. Objects are as long as real ones (13 KB for a pod with a sidecar), and come as text.
 */
#include "base/core/mem.h"
#include "control/kube/view.h"
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { PODS = 10000, SERVICES = 1000, POD_LEN = 13000, TEXT_MAX = 65536, CHANGES = 2000, CHUNK = 100 };

struct bench {
	struct kube_view *view;
	unsigned long long num_changes;
	double parse_s, view_s;
	size_t num_bytes;
	char text[TEXT_MAX];
	struct resolution answer;
};

static double now_s(void)
{
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* What the distributor does for a subscribed address. */
static void on_change(void *arg, const struct ip_addr *ip)
{
	struct bench *bench = arg;
	if (ip == NULL)
		return;
	struct addr addr = {.ip = *ip, .port = 80};
	bench->answer = (struct resolution){.kind = RESOLVED_UNKNOWN};
	(void)kube_view_resolve(bench->view, &addr, &bench->answer);
	bench->num_changes++;
}

static void put(struct bench *bench, enum kube_kind kind, size_t len)
{
	struct why why = {0};
	char out[800];
	double start = now_s();
	json_t *object = json_loadb(bench->text, len, 0, NULL);
	double parsed = now_s();
	if (object == NULL || kube_view_put(bench->view, kind, object, &why) != ERR_NONE) {
		fprintf(stderr, "an object of %zu bytes: %s\n", len, why_format(&why, out, sizeof(out)));
		exit(1);
	}
	bench->view_s += now_s() - parsed;
	bench->parse_s += parsed - start;
	bench->num_bytes += len;
	json_decref(object);
}

static void put_pod(struct bench *bench, unsigned i, bool is_deleting)
{
	char *text = bench->text;
	int len = snprintf(text, TEXT_MAX,
		"{\"metadata\":{\"name\":\"app-%u-7d9f8b6c5d-x%05u\",\"namespace\":\"ns-%u\",\"uid\":\"%08x-aaaa-4bbb-"
		"8ccc-"
		"dddddddddddd\",\"annotations\":{\"handfast.dev/"
		"injected\":\"true\"}%s},\"spec\":{\"serviceAccountName\":"
		"\"app-%u\",\"initContainers\":[{\"name\":\"handfast\"}],\"containers\":[{\"name\":\"app\",\"env\":[",
		i % SERVICES, i, i % 50, i, is_deleting ? ",\"deletionTimestamp\":\"2026-11-28T04:14:47Z\"" : "",
		i % SERVICES);
	for (unsigned n = 0; len < POD_LEN; n++)
		len += snprintf(text + len, TEXT_MAX - (size_t)len,
			"%s{\"name\":\"VARIABLE_%u\",\"valueFrom\":{\"configMapKeyRef\":{\"name\":\"settings\",\"key\":"
			"\"k%u\"}}}",
			n == 0 ? "" : ",", n, n);
	len += snprintf(text + len, TEXT_MAX - (size_t)len,
		"]}]},\"status\":{\"phase\":\"Running\",\"hostIP\":\"203.0.113.%u\",\"podIPs\":[{\"ip\":\"198.%u.%u.%"
		"u\"}],"
		"\"startTime\":\"2026-11-28T04:14:09Z\"}}",
		i % 200, i >> 16, i >> 8 & 255, i & 255);
	put(bench, KUBE_PODS, (size_t)len);
}

static void put_service(struct bench *bench, unsigned service)
{
	int len = snprintf(bench->text, TEXT_MAX,
		"{\"metadata\":{\"name\":\"app-%u\",\"namespace\":\"shop\",\"uid\":\"s%u\"},\"spec\":{\"clusterIPs\":"
		"[\"203.0.%u.%u\"],\"ports\":[{\"name\":\"http\",\"port\":80}]}}",
		service, service, service >> 8, service & 255);
	put(bench, KUBE_SERVICES, (size_t)len);
}

struct chunk { /* endpoints of one slice */
	unsigned number, service, first, step, num;
};

static void put_slice(struct bench *bench, const struct chunk *chunk)
{
	char *text = bench->text;
	int len = snprintf(text, TEXT_MAX,
		"{\"metadata\":{\"name\":\"slice-%u\",\"namespace\":\"shop\",\"uid\":\"e%u\",\"labels\":{"
		"\"kubernetes.io/service-name\":\"app-%u\"}},\"ports\":[{\"name\":\"http\",\"port\":8080}],"
		"\"endpoints\":[",
		chunk->number, chunk->number, chunk->service);
	for (unsigned n = 0, i = chunk->first; n < chunk->num; n++, i += chunk->step)
		len += snprintf(text + len, TEXT_MAX - (size_t)len,
			"%s{\"addresses\":[\"198.%u.%u.%u\"],\"conditions\":{\"ready\":true},\"targetRef\":{\"kind\":"
			"\"Pod\",\"uid\":\"%08x-aaaa-4bbb-8ccc-dddddddddddd\"}}",
			n == 0 ? "" : ",", i >> 16, i >> 8 & 255, i & 255, i);
	len += snprintf(text + len, TEXT_MAX - (size_t)len, "]}");
	put(bench, KUBE_SLICES, (size_t)len);
}

static void put_all(struct bench *bench)
{
	for (enum kube_kind kind = 0; kind < NUM_KUBE_KINDS; kind++)
		kube_view_begin(bench->view, kind);
	for (unsigned i = 0; i < PODS; i++)
		put_pod(bench, i, false);
	for (unsigned i = 0; i < SERVICES; i++) {
		put_service(bench, i);
		put_slice(bench, &(struct chunk){i, i, i, SERVICES, PODS / SERVICES});
	}
	double start = now_s();
	for (enum kube_kind kind = 0; kind < NUM_KUBE_KINDS; kind++)
		kube_view_synced(bench->view, kind);
	bench->view_s += now_s() - start;
}

static void report_state(struct bench *bench, const char *what)
{
	printf("%s: %.1f ms to parse %.1f MB, %.2f ms in the view\n", what, bench->parse_s * 1e3,
		(double)bench->num_bytes / 1e6, bench->view_s * 1e3);
	bench->parse_s = bench->view_s = 0;
	bench->num_bytes = 0;
}

/* One Service has all pods, and after a 410 they are gone: the longest round of the loop. */
static void measure_worst(struct bench *bench)
{
	for (unsigned i = 0; i < PODS; i += CHUNK)
		put_slice(bench, &(struct chunk){SERVICES + i / CHUNK, 0, i, 1, CHUNK});
	report_state(bench, "one Service with all pods");
	put_pod(bench, 0, false);
	report_state(bench, "a change of a pod of it");
	kube_view_begin(bench->view, KUBE_PODS);
	double start = now_s();
	kube_view_synced(bench->view, KUBE_PODS);
	printf("all pods gone at once: %.1f ms\n", (now_s() - start) * 1e3);
}

int main(void)
{
	const struct trust_domain domain = {"cluster.local"};
	struct bench *bench = mem_new(struct bench);
	bench->view = kube_view_new(&domain, &(struct kube_view_observer){on_change, bench});
	size_t before = mallinfo2().uordblks;
	put_all(bench);
	report_state(bench, "first state");
	size_t used = mallinfo2().uordblks - before;
	printf("memory: %.1f MB, %.0f bytes per pod\n", (double)used / 1e6, (double)used / PODS);
	put_all(bench);
	report_state(bench, "the same again");
	bench->num_changes = 0;
	for (unsigned i = 0; i < CHANGES; i++)
		put_pod(bench, i, true);
	printf("a pod's change: %.1f us in the view with %.1f answers, %.0f us to parse\n",
		bench->view_s * 1e6 / CHANGES, (double)bench->num_changes / CHANGES, bench->parse_s * 1e6 / CHANGES);
	bench->parse_s = bench->view_s = 0;
	bench->num_bytes = 0;
	measure_worst(bench);
	kube_view_free(bench->view);
	mem_free(bench);
	return 0;
}
