"""The package registry: as the user's pip is set up for it, told to uv, asked when all fails.

Whoever needs a mirror, a proxy or a certificate has told pip so, in its files or by its variables;
uv reads none of them.
"""

from __future__ import annotations

import ast
import http.client
import os
import re
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

NETWORK = (
    "The package registry cannot be reached: check the network (or set HTTPS_PROXY, or "
    "PIP_INDEX_URL to a mirror), then run the same command again; what is already there is kept."
)
CERTIFICATE = (
    "The package registry's certificate is not trusted here: behind a company's proxy, point "
    "PIP_CERT at its certificate file, then run the same command again."
)
_PATIENCE = 10  # seconds
_NOT_SET = {"", "0", "false", "no", "off"}
_FOR_UV = {
    "index-url": ("UV_DEFAULT_INDEX", " "),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "client-cert": ("SSL_CLIENT_CERT", " "),
    "default-timeout": ("UV_HTTP_TIMEOUT", " "),
    "timeout": ("UV_HTTP_TIMEOUT", " "),
    "retries": ("UV_HTTP_RETRIES", " "),
}
_ASK_PIP = "from pip._internal.models.index import PyPI as it; print(it.simple_url)"
_ASK_CERTIFICATES = "from pip._vendor import certifi; print(certifi.where())"


def pip_settings(python: Path) -> dict[str, str]:
    """Return what the pip of this interpreter is told by its files and variables, by option.

    A variable goes before the section of `pip install`, and that before the general one.
    """
    lines = _ask(python, "-m", "pip", "config", "list").splitlines()
    found = {}
    for kind in ("global.", "install.", ":env:."):
        for line in lines:
            name, _, value = line.partition("=")
            if name.startswith(kind):
                found[name.removeprefix(kind)] = str(ast.literal_eval(value))
    return {name: value for name, value in found.items() if value.strip().lower() not in _NOT_SET}


def variables_for_uv(settings: dict[str, str]) -> dict[str, str]:
    r"""Return the environment variables that tell uv what pip was told, and uv itself was not.

    As pip does, uv then takes the newest file of all registries (each file has its hash in the
    lock), and trusts the certificates that the system trusts.

    >>> told = variables_for_uv({"extra-index-url": "file:///a\nfile:///b", "proxy": "host:80"})
    >>> told["UV_INDEX"], told["HTTPS_PROXY"]
    ('file:///a file:///b', 'http://host:80')
    """
    told = {"UV_INDEX_STRATEGY": "unsafe-best-match"}
    for option, (variable, separator) in _FOR_UV.items():
        if option in settings:
            told[variable] = separator.join(settings[option].split())
    if "proxy" in settings:
        proxy = settings["proxy"]
        proxy = proxy if "://" in proxy else f"http://{proxy}"
        names = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
        told |= dict.fromkeys(names, proxy)
    bundle = _certificates(settings)
    if bundle:
        told["SSL_CERT_FILE"] = bundle
    elif _system_has_certificates():
        told["UV_SYSTEM_CERTS"] = "1"
    own = {name for name in os.environ if name.startswith("UV_")}
    return {name: value for name, value in told.items() if name not in own}


def trouble(settings: dict[str, str], python: Path) -> str | None:
    """Ask the registry for a page; return one sentence on why it gives none, or None."""
    address = settings.get("index-url") or _ask(python, "-c", _ASK_PIP)
    if "no-index" in settings or not address.startswith(("http://", "https://")):
        return None
    proxy = settings.get("proxy")
    proxies = urllib.request.ProxyHandler({"http": proxy, "https": proxy} if proxy else None)
    try:
        secured = urllib.request.HTTPSHandler(context=_context(settings, python))
    except ssl.SSLError:
        return CERTIFICATE  # the file named holds none
    opener = urllib.request.build_opener(proxies, secured)
    page = re.sub("//[^/]*@", "//", address.rstrip("/") + "/pip/")  # asked without a password
    try:
        opener.open(page, timeout=_PATIENCE).close()
    except urllib.error.HTTPError:
        return None  # it is there, and the installer's own words say more
    except (OSError, http.client.HTTPException) as error:
        untrusted = isinstance(getattr(error, "reason", error), ssl.SSLCertVerificationError)
        return CERTIFICATE if untrusted else NETWORK
    return None


def _context(settings: dict[str, str], python: Path) -> ssl.SSLContext:
    bundle = _certificates(settings)
    if bundle:
        return ssl.create_default_context(cafile=bundle)
    context = ssl.create_default_context()
    shipped = _ask(python, "-c", _ASK_CERTIFICATES)
    if shipped:
        context.load_verify_locations(shipped)
    return context


def _certificates(settings: dict[str, str]) -> str | None:
    named = (settings.get("cert"), *map(os.environ.get, ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")))
    return next((path for path in named if path and Path(path).is_file()), None)


def _system_has_certificates() -> bool:
    paths = ssl.get_default_verify_paths()
    filled = paths.capath is not None and any(Path(paths.capath).iterdir())
    return sys.platform in {"win32", "darwin"} or paths.cafile is not None or filled


def _ask(python: Path, *arguments: str) -> str:
    answer = subprocess.run(
        [str(python), "-I", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    return answer.stdout.strip() if answer.returncode == 0 else ""
