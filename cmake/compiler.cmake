# SPDX-License-Identifier: GPL-3.0-or-later
# Compiler flags for every target, and a refusal of compilers that destroy a coroutine's temporaries twice.
find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

add_library(soleroute_flags INTERFACE)
target_compile_options(soleroute_flags INTERFACE
  -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Wold-style-cast -Wcast-qual -Wimplicit-fallthrough -Werror
  -fstack-protector-strong -fno-strict-overflow -fPIE)
target_link_options(soleroute_flags INTERFACE -pie -Wl,-z,relro,-z,now,-z,noexecstack)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 reports these inside std::variant, std::expected and coroutine frames; clang is the compiler of record.
  target_compile_options(soleroute_flags INTERFACE -Wno-maybe-uninitialized -Wno-missing-field-initializers
    -Wno-stringop-overread -Wno-restrict -Wno-array-bounds -Wno-stringop-overflow)
endif()
if(SOLEROUTE_SANITIZE)
  target_compile_options(soleroute_flags INTERFACE -fsanitize=${SOLEROUTE_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  target_link_options(soleroute_flags INTERFACE -fsanitize=${SOLEROUTE_SANITIZE})
elseif(CMAKE_BUILD_TYPE MATCHES "Rel")
  target_compile_definitions(soleroute_flags INTERFACE _FORTIFY_SOURCE=2 _GLIBCXX_ASSERTIONS)
endif()
if(SOLEROUTE_FUZZ)  # the libraries too, or libFuzzer steers by the fuzzer's own few branches
  target_compile_options(soleroute_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  find_program(LLD NAMES ld.lld-19 ld.lld)
  if(LLD)
    target_link_options(soleroute_flags INTERFACE -fuse-ld=lld)
  endif()
endif()
