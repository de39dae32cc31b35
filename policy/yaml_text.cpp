// What a text must satisfy before yaml-cpp sees it.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>

#include <algorithm>

#include "base/utf8.h"
#include "policy/yaml_document.h"

namespace soleroute::policy {
namespace {

// yaml-cpp stops at a depth of 500 by itself; this stops before it recurses at all. Brackets in quoted text count.
constexpr int kMaxBrackets = 64;

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

Position position_of(std::string_view text, std::size_t offset) {
  const auto before = text.substr(0, offset);
  const auto newline = before.rfind('\n');
  const auto column = newline == std::string_view::npos ? offset : offset - newline - 1;
  return {static_cast<int>(std::ranges::count(before, '\n')) + 1, static_cast<int>(column) + 1};
}

bool is_utf16(std::string_view text) {
  return text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff");
}

bool is_plain_word_character(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x80 || (byte > ' ' && byte != '#' && byte != ':' && byte != '{' && byte != '[' && byte != '&');
}

// "  - name" or `  - "*.name"`: one word after the dash.
bool is_name_line(std::string_view line) {
  const auto dash = line.find_first_not_of(' ');
  if (dash == std::string_view::npos || !line.substr(dash).starts_with("- ")) return false;
  const auto word = line.substr(dash + 2);
  constexpr std::size_t kLongestName = 260;
  return !word.empty() && word.size() <= kLongestName && std::ranges::all_of(word, is_plain_word_character);
}

base::Status check_size(const SourceText& source) {
  std::size_t names = 0;
  std::size_t name_bytes = 0;
  std::string_view rest = source.text();
  while (!rest.empty()) {
    const auto newline = rest.find('\n');
    const auto line = rest.substr(0, newline);
    if (is_name_line(line)) {
      ++names;
      name_bytes += line.size() + 1;
    }
    rest.remove_prefix(newline == std::string_view::npos ? rest.size() : newline + 1);
  }
  if (names > kMaxNameLines) {
    return source.error({}, fmt::format("too large: more than {} names; split it into layers", kMaxNameLines));
  }
  if (source.text().size() - std::min(name_bytes, source.text().size()) > kMaxOtherBytes) {
    return source.error({}, "too large: a policy may have 1 MiB, not counting lines of the form '- name'");
  }
  return {};
}

base::Status check_characters(const SourceText& source) {
  const auto text = source.text();
  if (const auto fault = base::utf8::first_fault(text)) {
    return source.error(position_of(text, *fault), "not UTF-8 text");
  }
  const auto control = std::ranges::find_if(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < ' ' && c != '\n' && c != '\t') || byte == 0x7f;
  });
  if (control == text.end()) return {};
  const auto offset = static_cast<std::size_t>(control - text.begin());
  const std::string_view what = *control == '\0' ? "a NUL byte" : "a control character";
  return source.error(position_of(text, offset), fmt::format("{} in the text", what));
}

// YAML forbids tabs as indentation (YAML 1.2 section 6.1); yaml-cpp notices only some of them.
base::Status check_tabs(const SourceText& source) {
  int number = 0;
  std::string_view rest = source.text();
  while (!rest.empty()) {
    const auto newline = rest.find('\n');
    const auto line = rest.substr(0, newline);
    ++number;
    const auto first = line.find_first_not_of(" \t");
    const auto tab = line.find('\t');
    const bool blank = first == std::string_view::npos || line[first] == '#';
    if (!blank && tab < first) {
      return source.error({number, static_cast<int>(tab) + 1}, "tab in the indentation; use spaces");
    }
    rest.remove_prefix(newline == std::string_view::npos ? rest.size() : newline + 1);
  }
  return {};
}

// yaml-cpp ignores directives that it does not know, so a line of them would say nothing instead of failing.
base::Status check_directives(const SourceText& source) {
  int number = 0;
  std::string_view rest = source.text();
  while (!rest.empty()) {
    ++number;
    if (rest.starts_with('%'))
      return source.error({number, 1}, "a line that begins with '%' is a YAML directive; policies cannot have one");
    const auto newline = rest.find('\n');
    rest.remove_prefix(newline == std::string_view::npos ? rest.size() : newline + 1);
  }
  return {};
}

// yaml-cpp reads a flow collection to its end before it says anything, a hundred bytes for a comma: so they are counted
// here.
base::Status check_flow(const SourceText& source) {
  const auto text = source.text();
  int depth = 0;
  std::size_t items = 0;
  bool comment = false;
  char previous = '\n';
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '\n') comment = false;
    if (c == '#' && (previous == ' ' || previous == '\t' || previous == '\n')) comment = true;
    previous = c;
    if (comment) continue;
    if (c == '[' || c == '{') ++depth;
    if ((c == ']' || c == '}') && depth > 0) --depth;
    if (depth > kMaxBrackets) return source.error(position_of(text, at), "nested too deeply");
    if (c == ',' || c == '[' || c == '{') ++items;
    if (items > kMaxNodes) return source.error(position_of(text, at), "too many values");
  }
  return {};
}

std::string with_newlines(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '\r') {
      out += text[at];
    } else if (at + 1 == text.size() || text[at + 1] != '\n') {
      out += '\n';  // a lone CR ends a line too (YAML 1.2 section 5.4)
    }
  }
  return out;
}

}  // namespace

base::Status clean_text(std::string_view name, std::string_view text, std::string& clean, PolicyFaults* faults) {
  const auto refuse = [&](std::string_view what) { return SourceText(name, {}, faults).error({}, what); };
  clean.clear();
  if (text.size() > kMaxTextBytes) return refuse("too large: a policy text may have 8 MiB at the very most");
  if (is_utf16(text)) return refuse("UTF-16 text; save it as UTF-8");
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  clean = with_newlines(text);
  const SourceText source(name, clean, faults);
  for (const auto check : {check_size, check_characters, check_tabs, check_directives, check_flow}) {
    SR_TRY(check(source));
  }
  return {};
}

}  // namespace soleroute::policy
