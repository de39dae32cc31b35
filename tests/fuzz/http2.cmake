# SPDX-License-Identifier: GPL-3.0-or-later
soleroute_fuzzer(fuzz_http2 SOURCES fuzz_http2.cpp DEPS soleroute_ingress CORPUS tests/fuzz/corpus/http2)
soleroute_fuzzer(fuzz_http1_to_http2 SOURCES fuzz_http1_to_http2.cpp DEPS soleroute_ingress
  CORPUS tests/fuzz/corpus/http1_request)
