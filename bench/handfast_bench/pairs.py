"""The pairs that are measured. A new one is a class with a `name`, `start(world)` and perhaps `unavailable_reason()`, in PAIRS."""

from . import envoy, baselines, handfast, haproxy, nginx

PAIRS = [baselines.Direct, baselines.Relay, nginx.Nginx, nginx.NginxResuming, haproxy.Haproxy, haproxy.HaproxyResuming,
         envoy.Envoy, handfast.TunnelOnly, handfast.Handfast, handfast.HandfastBefore]


def named(names):
    by_name = {pair.name: pair for pair in PAIRS}
    unknown = [name for name in names if name not in by_name]
    if unknown:
        raise SystemExit("expected pairs out of %s, got %s" % (", ".join(by_name), ", ".join(unknown)))
    return [by_name[name] for name in names] if names else [pair for pair in PAIRS if pair.is_default]
