# SPDX-License-Identifier: GPL-3.0-or-later
soleroute_fuzzer(fuzz_dns_message SOURCES fuzz_dns_message.cpp DEPS soleroute_dns_message
  CORPUS tests/fuzz/corpus/dns_message)
