// Manual pages, made from the same tables as the help pages: gateway(1), and gateway-COMMAND(1) for each command.
// Pure, except write_man_pages.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>

#include "base/result.h"

namespace CLI {
class App;
}

namespace soleroute::gateway::commands {

// As roff for the man macros. `page` is the program itself, or one of its commands.
[[nodiscard]] std::string man_page(const CLI::App& program, const CLI::App& page);

// One file NAME.1 for each page, into a folder that exists.
[[nodiscard]] base::Status write_man_pages(const CLI::App& program, const std::string& folder);

}  // namespace soleroute::gateway::commands
