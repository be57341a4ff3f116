#include "control/kube/test_cluster.h"
#include "base/core/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka requires the headers above */
#include <cmocka.h>

static struct ip_addr ip_of(const char *text)
{
	struct ip_addr ip = {0};
	assert_int_equal(ip_addr_parse(span_of_str(text), &ip), ERR_NONE);
	return ip;
}

static void on_change(void *arg, const struct ip_addr *ip)
{
	struct cluster *cluster = arg;
	if (ip != NULL && cluster->num_changes < sizeof(cluster->changes) / sizeof(cluster->changes[0]))
		cluster->changes[cluster->num_changes] = *ip;
	cluster->num_changes++;
}

int cluster_set_up_unsynced(void **state)
{
	struct cluster *cluster = mem_new(struct cluster);
	struct trust_domain domain = {"cluster.local"};
	cluster->view = kube_view_new(&domain, &(struct kube_view_observer){on_change, cluster});
	for (enum kube_kind kind = 0; kind < NUM_KUBE_KINDS; kind++)
		kube_view_begin(cluster->view, kind);
	*state = cluster;
	return 0;
}

int cluster_set_up(void **state)
{
	cluster_set_up_unsynced(state);
	cluster_sync_all(*state);
	cluster_forget_changes(*state);
	return 0;
}

int cluster_tear_down(void **state)
{
	struct cluster *cluster = *state;
	kube_view_free(cluster->view);
	mem_free(cluster);
	return 0;
}

static json_t *json_of(char *text)
{
	json_error_t error;
	for (char *at = text; *at != '\0'; at++)
		if (*at == '\'')
			*at = '"';
	json_t *object = json_loads(text, 0, &error);
	if (object == NULL)
		fail_msg("%s: %s", error.text, text);
	return object;
}

void cluster_put(struct cluster *cluster, enum kube_kind kind, const char *format, ...)
{
	char text[16384];
	struct why why = {0};
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	json_t *object = json_of(text);
	assert_int_equal(kube_view_put(cluster->view, kind, object, &why), ERR_NONE);
	json_decref(object);
}

void cluster_delete(struct cluster *cluster, enum kube_kind kind, const char *name)
{
	struct why why = {0};
	json_t *object = json_pack("{s{ssssss}}", "metadata", "namespace", "shop", "name", name, "uid", name);
	assert_int_equal(kube_view_deleted(cluster->view, kind, object, &why), ERR_NONE);
	json_decref(object);
}

void cluster_begin(struct cluster *cluster, enum kube_kind kind)
{
	kube_view_begin(cluster->view, kind);
}

void cluster_synced(struct cluster *cluster, enum kube_kind kind)
{
	kube_view_synced(cluster->view, kind);
}

void cluster_sync_all(struct cluster *cluster)
{
	for (enum kube_kind kind = 0; kind < NUM_KUBE_KINDS; kind++)
		kube_view_synced(cluster->view, kind);
}

void cluster_pod(struct cluster *cluster, const struct cluster_pod *pod)
{
	char ips[160] = "";
	if (pod->ip != NULL)
		snprintf(ips, sizeof(ips), "{'ip':'%s'}", pod->ip);
	if (pod->ip6 != NULL)
		snprintf(ips + strlen(ips), sizeof(ips) - strlen(ips), "%s{'ip':'%s'}", pod->ip == NULL ? "" : ",",
			pod->ip6);
	cluster_put(cluster, KUBE_PODS,
		"{'kind':'Pod','metadata':{'name':'%s','namespace':'shop','uid':'%s',"
		"'creationTimestamp':'2026-11-28T04:06:14Z'%s%s},'spec':{'initContainers':[%s{'name':'user-init'}],"
		"'containers':[{'name':'app'}],'serviceAccountName':'%s','hostNetwork':%s},'status':{'phase':'%s',"
		"'podIPs':[%s],'hostIP':'" HOST_IP "','startTime':'2026-11-28T04:%02u:09Z'}}",
		pod->name, pod->name, pod->is_deleting ? ",'deletionTimestamp':'2026-11-28T04:14:47Z'" : "",
		pod->is_plain ? "" : ",'annotations':{'handfast.dev/injected':'true'}",
		pod->is_plain ? "" : "{'name':'handfast','restartPolicy':'Always'},",
		pod->account == NULL ? "cart" : pod->account, pod->is_host_network ? "true" : "false",
		pod->has_finished ? "Failed" : "Running", ips, pod->minute);
}

/* The next of "a b c, d e f": up to three words, each into a field. False: there is none. */
struct words {
	char at[3][64];
};

static bool next_words(const char **list, struct words *words)
{
	*words = (struct words){0};
	unsigned field = 0;
	size_t len = 0;
	while (**list == ' ' || **list == ',')
		(*list)++;
	for (; **list != '\0' && **list != ','; (*list)++) {
		if (**list == ' ') {
			field++;
			len = 0;
			continue;
		}
		assert_true(field < 3 && len + 1 < sizeof(words->at[0]));
		words->at[field][len++] = **list;
	}
	return words->at[0][0] != '\0';
}

static const char *name_of(const char *word)
{
	return strcmp(word, "-") == 0 ? "" : word;
}

void cluster_service(
	struct cluster *cluster, const char *name, const char *cluster_ips, const char *ports, const char *more_of_spec)
{
	char text[1024] = "";
	struct words words;
	while (next_words(&ports, &words))
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
			"%s{'name':'%s','protocol':'TCP','port':%s,'targetPort':'named'}", text[0] == '\0' ? "" : ",",
			name_of(words.at[0]), words.at[1]);
	cluster_put(cluster, KUBE_SERVICES,
		"{'kind':'Service','metadata':{'name':'%s','namespace':'shop','uid':'%s'},'spec':{'clusterIPs':[%s],"
		"'ports':[%s]%s},'status':{'loadBalancer':{}}}",
		name, name, cluster_ips, text, more_of_spec);
}

static void endpoint_write(char *text, size_t cap, const struct words *words)
{
	const char *state = words->at[2];
	bool is_ready = strcmp(state, "ready") == 0, is_serving = is_ready || strcmp(state, "serving") == 0;
	bool ends = strcmp(state, "serving") == 0 || strcmp(state, "ending") == 0;
	char target[192] = "";
	if (strcmp(words->at[0], "-") != 0)
		snprintf(target, sizeof(target), ",'targetRef':{'kind':'Pod','name':'%s','uid':'%s'}", words->at[0],
			words->at[0]);
	snprintf(text + strlen(text), cap - strlen(text),
		"%s{'addresses':['%s'],'conditions':{'ready':%s,'serving':%s,'terminating':%s}%s}",
		text[0] == '\0' ? "" : ",", words->at[1], is_ready ? "true" : "false", is_serving ? "true" : "false",
		ends ? "true" : "false", target);
}

void cluster_slice(
	struct cluster *cluster, const char *name, const char *service, const char *ports, const char *endpoints)
{
	char port_text[1024] = "", text[8192] = "";
	struct words words;
	while (next_words(&ports, &words))
		snprintf(port_text + strlen(port_text), sizeof(port_text) - strlen(port_text),
			"%s{'name':'%s','protocol':'TCP','port':%s}", port_text[0] == '\0' ? "" : ",",
			name_of(words.at[0]), words.at[2]);
	while (next_words(&endpoints, &words))
		endpoint_write(text, sizeof(text), &words);
	cluster_put(cluster, KUBE_SLICES,
		"{'kind':'EndpointSlice','metadata':{'name':'%s','namespace':'shop','uid':'%s','labels':{"
		"'kubernetes.io/service-name':'%s'}},'addressType':'IPv4','endpoints':[%s],'ports':[%s]}",
		name, name, service, text, port_text);
}

enum resolution_kind cluster_resolve(struct cluster *cluster, const char *destination)
{
	struct addr addr;
	assert_int_equal(addr_parse(span_of_str(destination), &addr), ERR_NONE);
	cluster->answer = (struct resolution){.kind = RESOLVED_UNKNOWN};
	cluster->is_known = kube_view_resolve(cluster->view, &addr, &cluster->answer);
	return cluster->answer.kind;
}

static void expect_list(const struct resolution *answer, size_t from, size_t num, const char *endpoints)
{
	struct words words;
	char text[ADDR_TEXT_MAX], id[128];
	for (size_t i = from; i < from + num; i++) {
		assert_true(next_words(&endpoints, &words));
		assert_string_equal(addr_format(&answer->endpoints[i].address, text), words.at[0]);
		snprintf(id, sizeof(id), "spiffe://cluster.local/ns/shop/sa/%s", words.at[1]);
		assert_string_equal(answer->endpoints[i].id->text, id);
	}
	assert_false(next_words(&endpoints, &words));
}

void cluster_expect_meshed(struct cluster *cluster, const char *destination, const char *endpoints)
{
	assert_int_equal(cluster_resolve(cluster, destination), RESOLVED_MESHED);
	assert_true(cluster->is_known);
	expect_list(&cluster->answer, 0, cluster->answer.num_endpoints, endpoints);
}

void cluster_expect_draining(struct cluster *cluster, const char *endpoints)
{
	expect_list(&cluster->answer, cluster->answer.num_endpoints, cluster->answer.num_draining, endpoints);
}

void cluster_expect_unknown(struct cluster *cluster, const char *destination)
{
	assert_int_equal(cluster_resolve(cluster, destination), RESOLVED_UNKNOWN);
	assert_true(cluster->is_known);
}

void cluster_expect_outside(struct cluster *cluster, const char *destination)
{
	cluster_resolve(cluster, destination);
	assert_false(cluster->is_known);
}

void cluster_forget_changes(struct cluster *cluster)
{
	cluster->num_changes = 0;
}

bool cluster_has_changed(const struct cluster *cluster, const char *text)
{
	struct ip_addr ip = ip_of(text);
	for (unsigned i = 0; i < cluster->num_changes; i++)
		if (ip_addr_eq(&cluster->changes[i], &ip))
			return true;
	return false;
}
