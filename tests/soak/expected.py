"""Faults that are known: the scenario runs and is reported, and does not fail the run. Each with its reason.

Take a line out when the program is mended: the report says "passed; it is listed as an expected fault" then.
"""
# SPDX-License-Identifier: GPL-3.0-or-later

FAULTS = {}
