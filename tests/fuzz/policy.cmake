# SPDX-License-Identifier: GPL-3.0-or-later
soleroute_fuzzer(fuzz_policy SOURCES fuzz_policy.cpp DEPS soleroute_policy CORPUS tests/fuzz/corpus/policy)
soleroute_fuzzer(fuzz_policy_request SOURCES fuzz_policy_request.cpp DEPS soleroute_policy
  CORPUS tests/fuzz/corpus/policy_request)
