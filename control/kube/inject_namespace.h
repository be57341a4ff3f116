/* What the view knows of a namespace that injection asks about. Pure. */
#pragma once

#include "control/kube/inject.h"
#include "control/kube/view.h"

/* Fills *ns, which has its name; its texts are borrowed until the view's next change. */
void inject_namespace_fill(const struct kube_view *view, struct inject_namespace *ns);
