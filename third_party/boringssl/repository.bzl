"""Has cargo fetch the crate that carries BoringSSL's source, as Cargo.lock pins it by SHA-256. Nothing of a crate is run."""

_FOLDER_OF_CRATES = "cargo/registry/src"

def _cargo_source_impl(ctx):
    cargo = ctx.which("cargo")
    if not cargo:
        fail("there is no cargo; expected: that of Debian's package cargo-web; fix: tools/install_packages.sh tools/apt-packages.txt")
    ctx.symlink(ctx.attr.manifest, "Cargo.toml")
    ctx.symlink(ctx.attr.lock, "Cargo.lock")
    ctx.file("lib.rs", "")

    # A folder of its own: what lies unpacked in the user's would be taken unchecked. The target leaves
    # out what only Windows needs.
    fetched = ctx.execute(
        [cargo, "fetch", "--locked", "--quiet", "--target", "x86_64-unknown-linux-gnu"],
        environment = {"CARGO_HOME": str(ctx.path("cargo"))},
        timeout = 600,
    )
    if fetched.return_code != 0:
        fail("cargo does not fetch {}: {}; expected: a cargo of 1.85 or newer, its registry within reach, and the crates that {} pins; fix: apt-get install cargo-web, then the network or cargo's settings".format(
            ctx.attr.folder,
            fetched.stderr[-2000:],
            ctx.attr.lock,
        ))
    registries = ctx.path(_FOLDER_OF_CRATES).readdir()
    if len(registries) != 1:
        fail("cargo unpacked into {}; expected: the folder of one registry".format(registries))
    moved = ctx.execute(["mv", "-t", "."] + [str(child) for child in ctx.path("{}/{}".format(registries[0], ctx.attr.folder)).readdir()])
    if moved.return_code != 0:
        fail("cannot move {}: {}".format(ctx.attr.folder, moved.stderr))
    for name in ["cargo", "Cargo.toml", "Cargo.lock", "lib.rs"]:
        ctx.delete(name)
    ctx.symlink(ctx.attr.build_file, "BUILD")
    ctx.file("WORKSPACE", "workspace(name = \"{}\")\n".format(ctx.name))

cargo_source = repository_rule(
    implementation = _cargo_source_impl,
    attrs = {
        "build_file": attr.label(mandatory = True, allow_single_file = True),
        "folder": attr.string(mandatory = True, doc = "what becomes the repository: a folder below the one of all crates"),
        "lock": attr.label(mandatory = True, allow_single_file = True),
        "manifest": attr.label(mandatory = True, allow_single_file = True),
    },
)
