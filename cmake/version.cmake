# SPDX-License-Identifier: GPL-3.0-or-later
# Writes the source that tells version and commit, unless it says the same already: then nothing is compiled again.
# cmake -DSOURCE=folder -DVERSION=1.2.3 -DOUTPUT=version.cpp -P version.cmake
# "1.2.3 (4f2a91c)", "1.2.3 (v1.2.2-5-g4f2a91c-dirty)"; "1.2.3" at the tag v1.2.3, and where there is no repository.
cmake_minimum_required(VERSION 3.25)

set(text ${VERSION})
find_program(git git)
# A tarball that is unpacked inside another repository has no .git of its own.
if(git AND EXISTS ${SOURCE}/.git)
  execute_process(
    COMMAND ${CMAKE_COMMAND} -E env GIT_OPTIONAL_LOCKS=0 ${git} -c safe.directory=${SOURCE} -C ${SOURCE}
            describe --tags --match=v* --always --dirty
    OUTPUT_VARIABLE commit ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(commit MATCHES "^[A-Za-z0-9._/-]+$" AND NOT commit STREQUAL "v${VERSION}")
    string(APPEND text " (${commit})")
  endif()
endif()

set(code "// Written by cmake/version.cmake.
#include \"gateway/commands/version.h\"

namespace soleroute::gateway::commands {

std::string_view version_and_commit() { return \"${text}\"; }

}  // namespace soleroute::gateway::commands
")
set(before "")
if(EXISTS ${OUTPUT})
  file(READ ${OUTPUT} before)
endif()
if(NOT code STREQUAL before)
  file(WRITE ${OUTPUT} "${code}")
endif()
