# SPDX-License-Identifier: GPL-3.0-or-later
# Writes OUTPUT, a C++ file that holds every file below FOLDER as text: FOLDER/AGENT/PATH. Run by the build: cmake -P.
file(GLOB_RECURSE files RELATIVE ${FOLDER} ${FOLDER}/*)
list(SORT files)
set(entries "")
foreach(file IN LISTS files)
  string(REGEX MATCH "^([^/]+)/(.+)$" matched ${file})
  file(READ ${FOLDER}/${file} text)
  string(APPEND entries "    TemplateFile{\"${CMAKE_MATCH_1}\", \"${CMAKE_MATCH_2}\", R\"_____(${text})_____\"},\n")
endforeach()
file(WRITE ${OUTPUT} "// Made from compose/templates by cmake/embed_templates.cmake.
#include <array>

#include \"gateway/commands/templates.h\"

namespace soleroute::gateway::commands {
namespace {
constexpr std::array kFiles{
${entries}};
}  // namespace

std::span<const TemplateFile> template_files() { return kFiles; }
}  // namespace soleroute::gateway::commands
")
