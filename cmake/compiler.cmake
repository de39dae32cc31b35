# SPDX-License-Identifier: GPL-3.0-or-later
# Compiler flags for every target, and a refusal of compilers that destroy a coroutine's temporaries twice.
find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

# g++ 12 destroys an aggregate or a capturing lambda inside a co_await expression twice. The sources avoid the pattern, but
# one slip would be a silent double free: such a compiler is for checks under AddressSanitizer, never for a release.
option(SOLEROUTE_ALLOW_COROUTINE_BUG "Allow a compiler that destroys temporaries of co_await twice (gcc-asan)" OFF)
if(NOT DEFINED SOLEROUTE_COROUTINES_SOUND)
  try_run(probe_exit probe_compiled ${CMAKE_BINARY_DIR}/coroutine_probe ${CMAKE_CURRENT_LIST_DIR}/coroutine_probe.cpp
    CXX_STANDARD 23 CXX_STANDARD_REQUIRED ON COMPILE_OUTPUT_VARIABLE probe_output)
  if(NOT probe_compiled)
    message(FATAL_ERROR "The coroutine probe does not compile with ${CMAKE_CXX_COMPILER}:\n${probe_output}")
  endif()
  if(probe_exit EQUAL 0)
    set(SOLEROUTE_COROUTINES_SOUND ON CACHE INTERNAL "")
  else()
    set(SOLEROUTE_COROUTINES_SOUND OFF CACHE INTERNAL "")
  endif()
endif()
if(NOT SOLEROUTE_COROUTINES_SOUND AND NOT SOLEROUTE_ALLOW_COROUTINE_BUG)
  message(FATAL_ERROR "${CMAKE_CXX_COMPILER} (${CMAKE_CXX_COMPILER_VERSION}) destroys temporaries of a co_await expression "
    "twice: cmake/coroutine_probe.cpp failed. Use clang 19 (-DCMAKE_CXX_COMPILER=clang++-19), or, for a build that is only "
    "checked under AddressSanitizer, -DSOLEROUTE_ALLOW_COROUTINE_BUG=ON.")
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
  # Sources that are compiled as one unit look like headers to it, whose types should not use an anonymous namespace.
  target_compile_options(soleroute_flags INTERFACE -Wno-subobject-linkage)
  # It takes the casts in OpenSSL's macros for ours; clang, which tells them apart, holds us to it.
  target_compile_options(soleroute_flags INTERFACE -Wno-old-style-cast)
endif()
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")  # a precompiled header is the same in every build of it, for ccache
  target_compile_options(soleroute_flags INTERFACE "SHELL:-Xclang -fno-pch-timestamp")
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
