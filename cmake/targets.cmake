# SPDX-License-Identifier: GPL-3.0-or-later
# One line per target, dependencies explicit. Include paths are relative to the repository root.

# Asio, fmt and the standard library as a precompiled header: two thirds of the time of a file that uses them. With clang
# alone, so that the g++ build tells when a source relies on what it does not include.
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  find_package(Boost 1.81 REQUIRED)
  find_package(fmt REQUIRED)
  add_library(soleroute_pch OBJECT ${CMAKE_CURRENT_LIST_DIR}/pch.cpp)
  target_link_libraries(soleroute_pch PRIVATE soleroute_flags Boost::headers fmt::fmt)
  target_precompile_headers(soleroute_pch PRIVATE ${CMAKE_CURRENT_LIST_DIR}/pch.h)
  target_compile_options(soleroute_pch PRIVATE -fpch-instantiate-templates)
endif()

# soleroute_precompiled(TARGET) : for targets that see Boost.
function(soleroute_precompiled name)
  if(TARGET soleroute_pch)
    target_precompile_headers(${name} REUSE_FROM soleroute_pch)
    soleroute_libraries(fmt fmt::fmt)
    target_link_libraries(${name} PRIVATE ${fmt})
  endif()
endfunction()

# soleroute_library(NAME SOURCES a.cpp… DEPS soleroute_base… [PRECOMPILED]) : a static library, all includes from the root.
function(soleroute_library name)
  cmake_parse_arguments(ARG "PRECOMPILED" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
  soleroute_libraries(deps ${ARG_DEPS})
  soleroute_libraries(private_deps ${ARG_PRIVATE_DEPS})
  target_link_libraries(${name} PUBLIC ${deps} PRIVATE soleroute_flags ${private_deps})
  if("Boost::headers" IN_LIST ARG_DEPS OR ARG_PRECOMPILED)
    soleroute_precompiled(${name})
  endif()
endfunction()

# soleroute_test(NAME SOURCES a_test.cpp… DEPS …) : a GoogleTest binary, registered with CTest test by test.
function(soleroute_test name)
  if(NOT SOLEROUTE_TESTS)
    return()
  endif()
  cmake_parse_arguments(ARG "PRECOMPILED" "" "SOURCES;DEPS" ${ARGN})
  find_package(GTest REQUIRED)
  add_executable(${name} ${ARG_SOURCES})
  if(ARG_PRECOMPILED)
    soleroute_precompiled(${name})
  endif()
  set_target_properties(${name} PROPERTIES UNITY_BUILD OFF)  # every test file has helpers of the same names
  target_compile_definitions(${name} PRIVATE SOLEROUTE_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  target_link_libraries(${name} PRIVATE soleroute_flags ${ARG_DEPS} GTest::gmock GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS unit TIMEOUT 120)
endfunction()

# soleroute_fuzzer(NAME SOURCES fuzz_x.cpp DEPS … CORPUS tests/fuzz/corpus/x)
# With SOLEROUTE_FUZZ a libFuzzer binary; always a replay of the seed corpus as a test.
function(soleroute_fuzzer name)
  cmake_parse_arguments(ARG "" "CORPUS" "SOURCES;DEPS" ${ARGN})
  if(SOLEROUTE_FUZZ)
    add_executable(${name} ${ARG_SOURCES})
    target_link_libraries(${name} PRIVATE soleroute_flags ${ARG_DEPS})
    target_compile_options(${name} PRIVATE -fsanitize=fuzzer)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  endif()
  if(SOLEROUTE_TESTS)
    add_executable(${name}_replay ${ARG_SOURCES} ${PROJECT_SOURCE_DIR}/tests/fuzz/replay_main.cpp)
    set_target_properties(${name}_replay PROPERTIES UNITY_BUILD OFF)
    target_link_libraries(${name}_replay PRIVATE soleroute_flags ${ARG_DEPS})
    add_test(NAME ${name}_replay COMMAND ${name}_replay ${PROJECT_SOURCE_DIR}/${ARG_CORPUS})
    set_tests_properties(${name}_replay PROPERTIES LABELS fuzz TIMEOUT 120)
  endif()
endfunction()

# soleroute_bench(NAME SOURCES bench_x.cpp DEPS …) : a Google Benchmark binary, built with SOLEROUTE_BENCH.
function(soleroute_bench name)
  if(NOT SOLEROUTE_BENCH)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  find_package(benchmark REQUIRED)
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE soleroute_flags ${ARG_DEPS} benchmark::benchmark_main)
endfunction()
