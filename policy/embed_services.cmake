# SPDX-License-Identifier: GPL-3.0-or-later
# Writes OUTPUT, a C++ file that holds every FILES (a list joined with |) as text. Run by the build: cmake -P.
string(REPLACE "|" ";" FILES "${FILES}")
set(entries "")
foreach(file IN LISTS FILES)
  get_filename_component(name ${file} NAME_WE)
  file(READ ${file} text)
  string(APPEND entries "    ServiceFile{\"${name}\", R\"yaml(${text})yaml\"},\n")
endforeach()
file(WRITE ${OUTPUT} "// Made from policy/services/*.yaml by policy/embed_services.cmake.
#include <array>

#include \"policy/service_catalog.h\"

namespace soleroute::policy {
namespace {
constexpr std::array kFiles{
${entries}};
}  // namespace

std::span<const ServiceFile> service_files() { return kFiles; }
}  // namespace soleroute::policy
")
