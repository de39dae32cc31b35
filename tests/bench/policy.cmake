# SPDX-License-Identifier: GPL-3.0-or-later
soleroute_bench(bench_policy SOURCES bench_policy.cpp DEPS soleroute_policy)
