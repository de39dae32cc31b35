// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/man_page.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstddef>
#include <fstream>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ascii.h"
#include "gateway/commands/environment.h"
#include "gateway/commands/help_format.h"

namespace soleroute::gateway::commands {
namespace {

struct Entry {
  std::string_view name;  // of an option, or of a command
  std::string_view label;
  std::string_view text;
};

// FILES: those that belong to an option that the command has.
constexpr std::array<Entry, 5> kFiles{
    Entry{"--policy", ".devcontainer/policy.yaml, policy.yaml",
          "policy that run, check, explain and test read where no file is named"},
    Entry{"--control", "/run/soleroute/control.sock", "control socket of a running gateway"},
    Entry{"--ca-dir", "/var/lib/soleroute/ca, ~/.local/share/soleroute/ca", "directory of the CA"},
    Entry{"--secrets-dir", "/run/secrets/soleroute", "directory of secrets"},
    Entry{"--resolver", "/etc/resolv.conf", "upstream DNS servers where no --resolver is given"}};

constexpr std::array<Entry, 5> kExitStatuses{
    Entry{"", "0", "success"}, Entry{"", "1", "denied, or a check failed"}, Entry{"", "2", "usage or policy error"},
    Entry{"", "3", "system error: a missing privilege, file or gateway"},
    Entry{"run", "others",
          "those of the command that ran; 126 if it could not be run, 127 if it was not found, 128+N if "
          "signal N ended it"}};

constexpr std::array<Entry, 2> kSignals{
    Entry{"serve", "SIGHUP", "read the policy again; if it is wrong, the previous one stays active"},
    Entry{"serve", "SIGTERM, SIGINT",
          "accept no more connections, let open ones finish for a short time, then exit; the deny-all rules stay"}};

// Text that begins a line of roff: commands and names stay as they are typed, and can be copied.
std::string roff(std::string_view text) {
  std::string out;
  if (text.starts_with('.') || text.starts_with('\'')) out += "\\&";
  for (std::size_t at = 0; at < text.size(); ++at) {
    constexpr std::string_view kEllipsis = "…";
    constexpr std::string_view kSpecial = "\\-'`^~";
    constexpr std::array<std::string_view, 6> kWritten{"\\(rs", "\\-", "\\(aq", "\\(ga", "\\(ha", "\\(ti"};
    if (text.substr(at).starts_with(kEllipsis)) {
      out += "...";
      at += kEllipsis.size() - 1;
      continue;
    }
    const auto special = kSpecial.find(text[at]);
    if (special == std::string_view::npos) {
      out += text[at];
    } else {
      out += kWritten[special];
    }
  }
  return out;
}

std::string item(std::string_view label, std::string_view text) {
  return fmt::format(".TP\n.B \"{}\"\n{}\n", roff(label), roff(text));
}

std::string sentence(std::string text) {
  if (!text.empty() && base::is_lower(text.front())) text.front() = static_cast<char>(text.front() - 'a' + 'A');
  return text.ends_with('.') ? text : text + ".";
}

bool is_program(const CLI::App& page) {
  return page.get_parent() == nullptr;
}

std::string page_name(const CLI::App& page) {
  return is_program(page) ? "gateway" : "gateway-" + page.get_name();
}

// The footer of a help page: "Example:", indented lines, an empty line, paragraphs.
struct Footer {
  std::vector<std::string> examples;
  std::vector<std::string> paragraphs;
};

Footer footer_of(const CLI::App& page) {
  Footer footer;
  std::string_view rest;
  const std::string text = page.get_footer();
  for (rest = text; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (line.starts_with("  ")) {
      footer.examples.emplace_back(line.substr(2));
    } else if (!line.empty() && !line.starts_with("Example")) {
      footer.paragraphs.emplace_back(line);
    }
  }
  return footer;
}

std::vector<const CLI::Option*> options_of(const CLI::App& page, bool positional) {
  return page.get_options([positional](const CLI::Option* option) {
    return option->get_group() != kUnshownGroup && option->get_positional() == positional;
  });
}

std::string options_section(const CLI::App& page) {
  std::string out;
  for (const bool positional : {true, false}) {
    for (const CLI::Option* option : options_of(page, positional)) {
      std::string label = label_of(*option);
      label.erase(0, label.find_first_not_of(' '));
      out += item(label, sentence(description_of(*option)));
    }
  }
  return ".SH OPTIONS\n" + out;
}

std::string environment_section(const CLI::App& page) {
  std::string out;
  for (const CLI::Option* option : options_of(page, false)) {
    const std::string variable = variable_of(*option);
    if (variable.empty()) continue;
    const bool list = is_repeatable(*option);
    out +=
        item(variable, fmt::format("Value of --{}{}.", option->get_lnames().front(),
                                   list ? "; several are separated by commas, or by line breaks if there is one" : ""));
  }
  if (is_program(page)) {
    out += item("GATEWAY_*", "Most options can be set by a variable; the page of each command lists them.");
    out += item("NO_COLOR", "If set, output has no colour.");
    out += item("COLUMNS", "Width of help pages.");
  } else if (!out.empty()) {
    out += ".PP\nEach variable can also be set with the prefix SOLEROUTE_ instead of GATEWAY_, which wins.\n";
  }
  return out.empty() ? out : ".SH ENVIRONMENT\n" + out;
}

std::string files_section(const CLI::App& page) {
  std::string out;
  for (const Entry& file : kFiles) {
    const CLI::Option* option = page.get_option_no_throw(std::string(file.name));
    if (option != nullptr) out += item(file.label, sentence(std::string(file.text)));
  }
  return out.empty() ? out : ".SH FILES\n" + out;
}

template <std::size_t N>
std::string entries_section(std::string_view title, const CLI::App& page, const std::array<Entry, N>& entries) {
  std::string out;
  for (const Entry& entry : entries) {
    if (entry.name.empty() || entry.name == page.get_name())
      out += item(entry.label, sentence(std::string(entry.text)));
  }
  return out.empty() ? out : fmt::format(".SH {}\n{}", title, out);
}

std::vector<const CLI::App*> commands_of(const CLI::App& program) {
  return program.get_subcommands([](const CLI::App*) { return true; });
}

std::string commands_section(const CLI::App& program) {
  std::string out = ".SH COMMANDS\n";
  std::string group;
  for (const CLI::App* command : commands_of(program)) {
    if (command->get_group() != std::exchange(group, command->get_group())) out += fmt::format(".SS {}\n", group);
    out += fmt::format(".TP\n.BR {} (1)\n{}\n", roff(page_name(*command)), roff(sentence(command->get_description())));
  }
  return out;
}

std::string examples_section(const Footer& footer) {
  std::string out;
  for (const std::string& line : footer.examples) out += roff(line) + "\n";
  return out.empty() ? out : ".SH EXAMPLES\n.nf\n" + out + ".fi\n";
}

// The program, and the other commands of the same group.
std::string see_also_section(const CLI::App& program, const CLI::App& page) {
  std::vector<std::string> names;
  if (!is_program(page)) names.push_back(".BR gateway (1)");
  for (const CLI::App* command : commands_of(program)) {
    const bool near = is_program(page) || command->get_group() == page.get_group();
    if (near && command != &page) names.push_back(fmt::format(".BR {} (1)", roff(page_name(*command))));
  }
  if (is_program(page)) names.insert(names.end(), {".BR nft (8)", ".BR network_namespaces (7)"});
  return fmt::format(".SH \"SEE ALSO\"\n{}\n", fmt::join(names, ",\n"));
}

}  // namespace

std::string man_page(const CLI::App& program, const CLI::App& page) {
  const Footer footer = footer_of(page);
  std::string title = page_name(page);
  for (char& c : title) c = base::is_lower(c) ? static_cast<char>(c - 'a' + 'A') : c;
  // No hyphenation, ragged right: names are not broken, and columns stay narrow.
  std::string out = fmt::format(
      ".\\\" Made by the program from its help pages; do not edit.\n"
      ".TH {} 1 \"\" \"soleroute {}\" \"User Commands\"\n.nh\n.ad l\n",
      roff(title), SOLEROUTE_VERSION);
  std::string summary = page.get_description();
  if (summary.ends_with('.')) summary.pop_back();
  out += fmt::format(".SH NAME\n{} \\- {}\n", roff(page_name(page)), roff(summary));
  out += fmt::format(".SH SYNOPSIS\n.B gateway{}\n{}\n", is_program(page) ? "" : " " + page.get_name(),
                     roff(usage_of(page)));
  out += fmt::format(".SH DESCRIPTION\n{}\n", roff(sentence(page.get_description())));
  for (const std::string& paragraph : footer.paragraphs) out += fmt::format(".PP\n{}\n", roff(paragraph));
  if (is_program(page)) out += commands_section(program);
  out += options_section(page) + environment_section(page) + files_section(page);
  out += entries_section("\"EXIT STATUS\"", page, kExitStatuses) + entries_section("SIGNALS", page, kSignals);
  return out + examples_section(footer) + see_also_section(program, page);
}

base::Status write_man_pages(const CLI::App& program, const std::string& folder) {
  std::vector<const CLI::App*> pages = commands_of(program);
  pages.push_back(&program);
  for (const CLI::App* page : pages) {
    const std::string path = fmt::format("{}/{}.1", folder, page_name(*page));
    std::ofstream file(path);
    file << man_page(program, *page);
    if (!file.flush()) return base::system_error("cannot write " + path);
  }
  return {};
}

}  // namespace soleroute::gateway::commands
