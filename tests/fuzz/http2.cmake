# SPDX-License-Identifier: GPL-3.0-or-later
soleroute_fuzzer(fuzz_http2 SOURCES fuzz_http2.cpp DEPS soleroute_flow CORPUS tests/fuzz/corpus/http2)
