"""Fetches an upstream tarball from the pool of the Debian mirror that this machine already uses."""

def _debian_source_impl(ctx):
    probe = ctx.execute(["apt-get", "--print-uris", "download", ctx.attr.pool_neighbor])
    if probe.return_code != 0 or "'" not in probe.stdout:
        fail("apt-get does not find the package {}: {}{}; expected: its folder on the Debian mirror; fix: run apt-get update and try again".format(
            ctx.attr.pool_neighbor,
            probe.stdout,
            probe.stderr,
        ))
    package_url = probe.stdout.split("'")[1]
    folder = package_url.rpartition("/")[0]
    ctx.download_and_extract(
        url = folder + "/" + ctx.attr.tarball.replace("+", "%2b"),
        sha256 = ctx.attr.sha256,
        stripPrefix = ctx.attr.strip_prefix,
        type = "tar.xz",
    )
    ctx.file("WORKSPACE", "workspace(name = \"{}\")\n".format(ctx.name))

debian_source = repository_rule(
    implementation = _debian_source_impl,
    attrs = {
        "pool_neighbor": attr.string(mandatory = True),
        "sha256": attr.string(mandatory = True),
        "strip_prefix": attr.string(mandatory = True),
        "tarball": attr.string(mandatory = True),
    },
)
