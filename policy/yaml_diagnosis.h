// Why a text is no YAML, in words for a person who does not know YAML well, and where: yaml-cpp names the state of its
// parser, at the place where it noticed.
// Pure.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <string_view>

#include "policy/source_text.h"

namespace soleroute::policy {

struct Diagnosis {
  Position position;
  std::string what;
};

// `at` and `message` are yaml-cpp's. Where no cause is recognised, they are the diagnosis.
[[nodiscard]] Diagnosis diagnose_yaml(const SourceText& source, Position at, std::string_view message);

// For a text whose keys do not continue those above it, which yaml-cpp takes for another document.
[[nodiscard]] Diagnosis diagnose_second_document(const SourceText& source, Position at);

// For a value that is valid YAML, and no value that was meant: "; a blank is missing after 'host:'", or nothing.
[[nodiscard]] std::string spelling_hint(std::string_view text);

// The position of the quote that opens a quoted text, if nothing closes it. yaml-cpp lets the end of the file do so.
[[nodiscard]] bool is_unclosed_quote(std::string_view from_the_quote);

}  // namespace soleroute::policy
