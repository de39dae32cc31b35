#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Any CI system: check the policy, test it, then run the build with no network access but what the policy allows.
# What is blocked is printed at the end if the build fails; decisions.json has every decision.
set -eu
gateway check --quiet policy.yaml
gateway test --policy policy.yaml policy-tests.yaml
gateway run --policy policy.yaml --decisions decisions.json -- ./test.sh
