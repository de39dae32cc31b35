# SPDX-License-Identifier: GPL-3.0-or-later
# Writes OUTPUT, a C++ file that holds every file below FOLDER that matches PATTERN as text, behind FUNCTION().
# Run by the build: cmake -P.
file(GLOB_RECURSE files RELATIVE ${FOLDER} ${FOLDER}/${PATTERN})
list(SORT files)
set(entries "")
foreach(file IN LISTS files)
  file(READ ${FOLDER}/${file} text)
  string(APPEND entries "    EmbeddedFile{\"${file}\", R\"_____(${text})_____\"},\n")
endforeach()
file(WRITE ${OUTPUT} "// Made by cmake/embed_files.cmake.
#include <array>

#include \"gateway/project/embedded_file.h\"

namespace soleroute::gateway::project {
namespace {
constexpr std::array kFiles{
${entries}};
}  // namespace

std::span<const EmbeddedFile> ${FUNCTION}() { return kFiles; }
}  // namespace soleroute::gateway::project
")
