"""The integration laboratory: an agent, a gateway and an outside world in network namespaces of this run."""
# SPDX-License-Identifier: GPL-3.0-or-later
