# SPDX-License-Identifier: GPL-3.0-or-later
# Link all libraries statically, from Debian's archives, except glibc and libmnl (Debian has no archive of libmnl). The objects are the same as those of a program that is linked with shared libraries; only the link differs.
#
# soleroute_libraries(OUT DEPS…) : DEPS, each replaced by its archives in executables whose property SOLEROUTE_STATIC is on.

# Sanitizers must see the libraries' allocations through the shared ones, and tests link faster with them.
set(static_by_default OFF)
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT SOLEROUTE_SANITIZE)
  set(static_by_default ON)
endif()
option(SOLEROUTE_STATIC_LIBS "Link the program with static libraries" ${static_by_default})

# In link order: a library before those that it needs.
set(soleroute_archives_OpenSSL_SSL libssl.a libcrypto.a)
set(soleroute_archives_OpenSSL_Crypto libcrypto.a)
set(soleroute_archives_PkgConfig_NGHTTP2 libnghttp2.a)
set(soleroute_archives_PkgConfig_NFQUEUE libnetfilter_queue.a libmnl.so libnfnetlink.so)
set(soleroute_archives_PkgConfig_NFTNL libnftnl.a libmnl.so)
set(soleroute_archives_PkgConfig_IDN2 libidn2.a libunistring.a)
set(soleroute_archives_PkgConfig_PSL libpsl.a libidn2.a libunistring.a)
set(soleroute_archives_PkgConfig_NCURSES libncursesw.a libtinfo.a)
set(soleroute_archives_yaml-cpp libyaml-cpp.a)
set(soleroute_archives_fmt_fmt "")  # Debian has no archive of it; soleroute_fmt is one

function(soleroute_libraries out)
  set(libraries "")
  foreach(name IN LISTS ARGN)
    string(REPLACE "::" "_" key ${name})
    if(NOT SOLEROUTE_STATIC_LIBS OR NOT DEFINED soleroute_archives_${key})
      list(APPEND libraries ${name})
      continue()
    endif()
    set(static "")
    foreach(file IN LISTS soleroute_archives_${key})
      find_library(SOLEROUTE_${file} NAMES ${file} REQUIRED)
      list(APPEND static ${SOLEROUTE_${file}})
    endforeach()
    if(name STREQUAL "fmt::fmt")
      set(static soleroute_fmt)
    endif()
    set(wanted $<BOOL:$<TARGET_PROPERTY:SOLEROUTE_STATIC>>)
    list(APPEND libraries "$<$<NOT:${wanted}>:${name}>")
    foreach(file IN LISTS static)
      list(APPEND libraries "$<${wanted}:${file}>")
    endforeach()
  endforeach()
  set(${out} "${libraries}" PARENT_SCOPE)
endfunction()

# soleroute_link_statically(TARGET) : the archives in place of the shared libraries, the compiler's own libraries too.
function(soleroute_link_statically name)
  set_target_properties(${name} PROPERTIES SOLEROUTE_STATIC ON)
  target_link_options(${name} PRIVATE -static-libstdc++ -static-libgcc -Wl,--as-needed)
endfunction()

if(SOLEROUTE_STATIC_LIBS)
  find_package(fmt REQUIRED)
  add_library(soleroute_fmt STATIC ${CMAKE_CURRENT_LIST_DIR}/fmt.cpp)
  target_link_libraries(soleroute_fmt PRIVATE soleroute_flags)
endif()
