#include "control/kube/objects.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka requires the headers above */
#include <cmocka.h>

/* What the API server of Kubernetes 1.37 sent, without what is not read; ' stands for ". */
static const char NEW_POD[] =
	"{'kind':'Pod','apiVersion':'v1','metadata':{'name':'cart-1','namespace':'shop','uid':'01de9771-360f-"
	"4911-b911-f104d39d3813','resourceVersion':'276','generation':1,'creationTimestamp':'2026-11-28T04:06"
	":14Z','labels':{'app':'cart'}},'spec':{'serviceAccountName':'cart','nodeName':'node-none'},'status':"
	"{'phase':'Pending','qosClass':'BestEffort'}}";

static const char INJECTED_POD[] =
	"{'kind':'Pod','apiVersion':'v1','metadata':{'name':'injected','namespace':'shop','uid':'7bf47ef9-a3d"
	"0-47cf-8485-b92334393a6f','resourceVersion':'342','generation':1,'creationTimestamp':'2026-11-28T04:"
	"06:45Z','labels':{'app':'cart'},'annotations':{'handfast.dev/injected':'0.2.0'}},'spec':{'initContai"
	"ners':[{'name':'handfast'}],'containers':[{'name':'app'}]},'status':{'phase':'Pending','qosClass':'B"
	"estEffort'}}";

static const char ENDING_POD[] =
	"{'kind':'Pod','apiVersion':'v1','metadata':{'name':'cart','namespace':'strict','uid':'aed88b03-a4cf-"
	"4e46-a159-ae56c29d4fb4','resourceVersion':'1313','generation':2,'creationTimestamp':'2026-11-28T04:1"
	"4:39Z','deletionTimestamp':'2026-11-28T04:14:47Z','deletionGracePeriodSeconds':5,'labels':{'app':'ca"
	"rt'},'annotations':{}},'spec':{'serviceAccountName':'cart','serviceAccount':'cart','nodeName':'node-"
	"1','restartPolicy':'Always','initContainers':[{'name':'handfast','image':'docker.io/local/handfast:1"
	"'},{'name':'user-init','image':'docker.io/local/app:1'}],'containers':[{'name':'app','image':'docker"
	".io/local/app:1'}]},'status':{'phase':'Running','hostIP':'203.0.113.1','hostIPs':[{'ip':'203.0.113.1"
	"'}],'podIP':'192.0.2.14','podIPs':[{'ip':'192.0.2.14'}],'startTime':'2026-11-28T04:14:39Z','conditio"
	"ns':[{'type':'Ready','observedGeneration':1,'status':'True','lastProbeTime':null,'lastTransitionTime"
	"':'2026-11-28T04:14:42Z'}]}}";

static const char SERVICE[] =
	"{'kind':'Service','apiVersion':'v1','metadata':{'name':'cart','namespace':'shop','uid':'faa94c5a-c04"
	"d-4009-8c9b-1a520ac91754','resourceVersion':'286','creationTimestamp':'2026-11-28T04:06:15Z'},'spec'"
	":{'ports':[{'name':'http','protocol':'TCP','port':80,'targetPort':8080}],'selector':{'app':'cart'},'"
	"clusterIP':'198.51.100.143','clusterIPs':['198.51.100.143'],'type':'ClusterIP','sessionAffinity':'No"
	"ne','ipFamilies':['IPv4'],'ipFamilyPolicy':'SingleStack','internalTrafficPolicy':'Cluster'},'status'"
	":{'loadBalancer':{}}}";

static const char EMPTY_SLICE[] =
	"{'metadata':{'name':'cart-m4tb9','generateName':'cart-','namespace':'shop','uid':'7e1744c9-2e09-439c"
	"-8814-96203dc4fdac','resourceVersion':'288','generation':1,'creationTimestamp':'2026-11-28T04:06:15Z"
	"','labels':{'endpointslice.kubernetes.io/managed-by':'endpointslice-controller.k8s.io','kubernetes.i"
	"o/service-name':'cart'},'annotations':{'endpoints.kubernetes.io/last-change-trigger-time':'2026-11-2"
	"8T04:06:15Z'},'ownerReferences':[{'apiVersion':'v1','kind':'Service','name':'cart','uid':'faa94c5a-c"
	"04d-4009-8c9b-1a520ac91754','controller':true,'blockOwnerDeletion':true}]},'addressType':'IPv4','end"
	"points':null,'ports':null}";

static const char NAMESPACE[] =
	"{'kind':'Namespace','apiVersion':'v1','metadata':{'name':'shop','uid':'038e7860-4b7a-4911-a8cd-97305"
	"1ee13db','resourceVersion':'272','creationTimestamp':'2026-11-28T04:06:14Z','labels':{'handfast.dev/"
	"inject':'enabled','kubernetes.io/metadata.name':'shop'}},'spec':{'finalizers':['kubernetes']},'statu"
	"s':{'phase':'Active'}}";

static json_t *json_of(const char *quoted)
{
	char text[4096] = "";
	json_error_t error;
	assert_true(strlen(quoted) < sizeof(text));
	for (size_t i = 0; i <= strlen(quoted); i++)
		text[i] = quoted[i];
	for (char *at = text; *at != 0; at++)
		if (*at == 39)
			*at = 34;
	json_t *object = json_loads(text, 0, &error);
	assert_non_null(object);
	return object;
}

/* Strings are borrowed from the object: the tests keep it for as long. */
static struct kube_pod pod_of(const char *text, json_t **object)
{
	struct kube_pod pod;
	struct why why = {0};
	*object = json_of(text);
	assert_int_equal(kube_pod_parse(*object, &pod, &why), ERR_NONE);
	return pod;
}

static const char *ip_text(const struct ip_addr *ip)
{
	static char text[ADDR_TEXT_MAX];
	return ip_addr_format(ip, text);
}

static void reads_a_pod_that_no_kubelet_has_seen(_unused_ void **state)
{
	json_t *object;
	struct kube_pod pod = pod_of(NEW_POD, &object);
	assert_string_equal(pod.meta.name, "cart-1");
	assert_string_equal(pod.meta.namespace_, "shop");
	assert_string_equal(pod.service_account, "cart");
	assert_int_equal(pod.num_ips, 0);
	assert_int_equal(pod.started, 20261128040614);
	assert_false(pod.has_sidecar || pod.is_deleting || pod.has_finished || pod.is_host_network);
	json_decref(object);
}

static void reads_a_pod_with_our_sidecar(_unused_ void **state)
{
	json_t *object;
	struct kube_pod pod = pod_of(INJECTED_POD, &object);
	assert_true(pod.has_sidecar);
	assert_string_equal(pod.service_account, "default");
	json_decref(object);
}

static void reads_a_pod_that_is_being_deleted(_unused_ void **state)
{
	json_t *object;
	struct kube_pod pod = pod_of(ENDING_POD, &object);
	assert_true(pod.is_deleting);
	assert_false(pod.has_sidecar);
	assert_true(pod.has_unmarked_sidecar);
	assert_int_equal(pod.num_ips, 1);
	assert_string_equal(ip_text(&pod.ips[0]), "192.0.2.14");
	assert_int_equal(pod.num_host_ips, 1);
	assert_string_equal(ip_text(&pod.host_ips[0]), "203.0.113.1");
	json_decref(object);
}

static void reads_a_service(_unused_ void **state)
{
	static struct kube_service service;
	struct why why = {0};
	json_t *object = json_of(SERVICE);
	assert_int_equal(kube_service_parse(object, &service, &why), ERR_NONE);
	assert_int_equal(service.num_addresses, 1);
	assert_string_equal(ip_text(&service.addresses[0].ip), "198.51.100.143");
	assert_int_equal(service.num_ports, 1);
	assert_string_equal(service.ports[0].name, "http");
	assert_int_equal(service.ports[0].port, 80);
	assert_int_equal(service.affinity_s, 0);
	json_decref(object);
}

static void reads_a_slice_without_endpoints(_unused_ void **state)
{
	static struct kube_slice slice;
	struct why why = {0};
	json_t *object = json_of(EMPTY_SLICE);
	assert_int_equal(kube_slice_parse(object, &slice, &why), ERR_NONE);
	assert_string_equal(slice.service, "cart");
	assert_int_equal(slice.num_endpoints + slice.num_ports, 0);
	json_decref(object);
}

static void reads_conditions_that_are_absent_as_the_api_defines_them(_unused_ void **state)
{
	static struct kube_slice slice;
	struct why why = {0};
	json_t *object = json_of("{'metadata':{'name':'a','namespace':'shop','uid':'a'},'endpoints':[{'addresses':["
				 "'192.0.2.1','192.0.2.2']},{'addresses':['192.0.2.3'],'conditions':{'ready':false}},"
				 "{'addresses':['db.example.org']},{'addresses':null},7],'ports':[{'port':null},"
				 "{'port':53,'protocol':'UDP'},{'port':70000},{'name':null,'port':80}]}");
	assert_int_equal(kube_slice_parse(object, &slice, &why), ERR_NONE);
	assert_string_equal(slice.service, "");
	assert_int_equal(slice.num_endpoints, 2);
	assert_true(slice.endpoints[0].is_ready && slice.endpoints[0].is_serving);
	assert_false(slice.endpoints[0].is_terminating);
	assert_string_equal(slice.endpoints[0].pod_uid, "");
	assert_true(!slice.endpoints[1].is_ready && slice.endpoints[1].is_serving);
	assert_int_equal(slice.num_ports, 1);
	assert_string_equal(slice.ports[0].name, "");
	json_decref(object);
}

static void reads_whether_a_namespace_is_labeled(_unused_ void **state)
{
	struct kube_namespace namespace_;
	struct why why = {0};
	json_t *object = json_of(NAMESPACE);
	assert_int_equal(kube_namespace_parse(object, &namespace_, &why), ERR_NONE);
	assert_string_equal(namespace_.meta.name, "shop");
	assert_true(namespace_.is_injected);
	json_decref(object);
}

static void refuses_what_has_no_name(_unused_ void **state)
{
	static const char *const texts[] = {"{}", "[]", "7", "{'metadata':7}", "{'metadata':{'name':'a'}}",
		"{'metadata':{'uid':'a'}}", "{'metadata':{'name':['a'],'uid':'a'}}",
		"{'metadata':{'name':'a','uid':'0123456789012345678901234567890123456789012345678901234567890123'}}"};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		json_error_t error;
		char text[256];
		snprintf(text, sizeof(text), "%s", texts[i]);
		for (char *at = text; *at != 0; at++)
			if (*at == 39)
				*at = 34;
		json_t *object = json_loads(text, JSON_DECODE_ANY, &error);
		struct kube_meta meta;
		struct why why = {0};
		assert_non_null(object);
		assert_int_equal(kube_meta_parse(object, &meta, &why), ERR_MALFORMED);
		assert_true(why.fix[0] != 0);
		json_decref(object);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_a_pod_that_no_kubelet_has_seen),
		cmocka_unit_test(reads_a_pod_with_our_sidecar),
		cmocka_unit_test(reads_a_pod_that_is_being_deleted),
		cmocka_unit_test(reads_a_service),
		cmocka_unit_test(reads_a_slice_without_endpoints),
		cmocka_unit_test(reads_conditions_that_are_absent_as_the_api_defines_them),
		cmocka_unit_test(reads_whether_a_namespace_is_labeled),
		cmocka_unit_test(refuses_what_has_no_name),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
