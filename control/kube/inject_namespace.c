#include "control/kube/inject_namespace.h"

/* The label handfast.dev/inject does not count here: the API server has judged it by its namespaceSelector before it
 * asked us, and our view may be behind it. A namespace that was labeled a moment ago must not get pods in plaintext. */
void inject_namespace_fill(const struct kube_view *view, struct inject_namespace *ns)
{
	struct kube_namespace_view known;
	if (!kube_view_namespace(view, ns->name, &known))
		return;
	ns->pod_security = known.pod_security[0] != '\0' ? known.pod_security : NULL;
	ns->interception = known.interception[0] != '\0' ? known.interception : NULL;
}
