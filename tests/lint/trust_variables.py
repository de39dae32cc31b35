# SPDX-License-Identifier: GPL-3.0-or-later
"""Fails when the variables that name root certificates differ between jail, image and page: gateway/jail/trust.cpp has the list."""

import re
import sys

from source_tree import ROOT

SOURCE = ROOT / "gateway/jail/trust.cpp"
IMAGE = ROOT / "docker/base/Dockerfile"
PAGE = ROOT / "docs/jail.md"


def of_the_jail(text):
    lists = re.findall(r"k(?:Bundle|Addition)Variables\{(.*?)\};", text, re.DOTALL)
    assert len(lists) == 2, f"{SOURCE} has no longer the two lists"
    return {name for part in lists for name in re.findall(r'"(\w+)"', part)} | {"SSL_CERT_DIR"}


def of_the_image(text):
    return set(re.findall(r"^\s+(\w+)=/etc/ssl/certs\S*", text, re.MULTILINE))


def of_the_page(text):
    section = text.partition("\n## Trust\n")[2].partition("\n## ")[0].partition("Programs with a separate store")[0]
    return {name for name in re.findall(r"`(\w+)`", section) if "_" in name}


def self_test():
    jail = of_the_jail('kBundleVariables{\n"A_CERT",\n};\nkAdditionVariables{"B_CERT"};')
    assert jail == {"A_CERT", "B_CERT", "SSL_CERT_DIR"}
    assert of_the_image("ENV X=1 \\\n    A_CERT=/etc/ssl/certs/x.crt \\\n    C=/etc/other\n") == {"A_CERT"}
    assert of_the_page("`X_Y`\n## Trust\n`A_CERT`, `uv`\nPrograms with a separate store: `B_C`\n") == {"A_CERT"}
    return 0


def main():
    if "--self-test" in sys.argv:
        return self_test()
    jail, image, page = of_the_jail(SOURCE.read_text()), of_the_image(IMAGE.read_text()), of_the_page(PAGE.read_text())
    for name in sorted(jail - image):
        print(f"docker/base/Dockerfile: set {name}, as gateway/jail/trust.cpp does")
    for name in sorted(image - jail):
        print(f"gateway/jail/trust.cpp: set {name}, as docker/base/Dockerfile does")
    for name in sorted(jail ^ page):
        print(f"docs/jail.md: list {name} if gateway/jail/trust.cpp sets it, and only then")
    if jail == image == page:
        print(f"{len(jail)} variables name root certificates, in jail, image and page")
    return not jail == image == page


if __name__ == "__main__":
    sys.exit(main())
