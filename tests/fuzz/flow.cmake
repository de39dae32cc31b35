# SPDX-License-Identifier: GPL-3.0-or-later
soleroute_fuzzer(fuzz_header_injection SOURCES fuzz_header_injection.cpp DEPS soleroute_ingress
  CORPUS tests/fuzz/corpus/header_injection)
