# SPDX-License-Identifier: GPL-3.0-or-later
foreach(parser client_hello http1_request http1_response chunked ip_packet socks5)
  soleroute_fuzzer(fuzz_${parser} SOURCES fuzz_${parser}.cpp DEPS soleroute_sniffer CORPUS tests/fuzz/corpus/${parser})
endforeach()
