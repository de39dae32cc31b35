// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/yaml_diagnosis.h"

#include <fmt/format.h>
#include <yaml-cpp/exceptions.h>

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "base/ascii.h"
#include "base/text.h"

namespace soleroute::policy {
namespace {

// Keys of policies and of tables of tests.
constexpr std::array<std::string_view, 42> kKeys{
    "services",  "domains", "endpoints", "mode",     "ech",    "name", "readonly", "optional",  "merge_mode",
    "repos",     "git",     "api",       "access",   "auth",   "host", "rules",    "addresses", "tls",
    "transform", "schemes", "scheme",    "methods",  "method", "path", "query",    "exact",     "prefix",
    "cidr",      "port",    "ports",     "protocol", "secret", "type", "headers",  "request",   "policies",
    "tests",     "url",     "expect",    "reason",   "hosts",  "txt"};

bool is_key(std::string_view word) {
  return std::ranges::find(kKeys, word) != kKeys.end();
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(' ');
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::size_t indentation(std::string_view line) {
  return std::min(line.find_first_not_of(' '), line.size());
}

bool says_nothing(std::string_view line) {
  const auto text = trimmed(line);
  return text.empty() || text.front() == '#';
}

// Without the "- " of a list item.
std::string_view entry_of(std::string_view line) {
  auto text = trimmed(line);
  while (text.starts_with("- ")) text = trimmed(text.substr(2));
  return text;
}

// The column, 1-based, in which the key or value of the line begins.
int entry_column(std::string_view line) {
  const auto entry = entry_of(line);
  return static_cast<int>(entry.data() - line.data()) + 1;
}

// Up to a blank or what ends a value inside brackets.
std::string_view word_at(std::string_view line, std::size_t at) {
  if (at >= line.size()) return {};
  const auto rest = line.substr(at);
  return rest.substr(0, rest.find_first_of(" \t,]}"));
}

// "tls" of "tls:inspect": a known key, and text right behind its colon.
std::string_view glued_key(std::string_view entry) {
  const auto colon = entry.find(':');
  if (colon == std::string_view::npos || colon + 1 >= entry.size() || entry[colon + 1] == ' ') return {};
  const auto key = entry.substr(0, colon);
  return is_key(key) ? key : std::string_view{};
}

std::string shown_word(std::string_view word) {
  constexpr std::size_t kMost = 60;
  return base::shown(word.substr(0, kMost));
}

// --- Brackets and quotes ---

struct Bracket {
  Position position;
  char sign = '[';
  bool in_text = false;  // no value begins there: brackets end an unquoted text inside others
};

struct Scan {
  std::vector<Bracket> open;            // those that nothing closes, outermost first
  std::optional<Bracket> wrong_end;     // the first that closes no bracket, or one of the other kind
  std::optional<Bracket> wrongly_open;  // what it meets
  std::optional<Position> open_quote;   // of a quoted text that nothing closes
};

// Walks over a text as YAML reads it: quotes and brackets count where a value can begin, comments end at their line.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  // Up to `end`, an offset.
  Scan run(std::size_t end) {
    while (at_ < std::min(end, text_.size())) step();
    return std::move(scan_);
  }

 private:
  void step() {
    const char c = text_[at_];
    if (c == '#' && (at_ == 0 || text_[at_ - 1] == ' ' || text_[at_ - 1] == '\n')) return skip_comment();
    if (value_begins_ && (c == '"' || c == '\'')) return skip_quoted(c);
    if (c == '[' || c == '{') {
      if (value_begins_ || !scan_.open.empty()) scan_.open.push_back({position(), c, !value_begins_});
    } else if (c == ']' || c == '}') {
      close(c);
    } else if (c == '\n') {
      value_begins_ = true;
    } else if (c != ' ') {
      const bool separates =
          c == ',' || ((c == ':' || c == '-') && (at_ + 1 == text_.size() || is_space(text_[at_ + 1])));
      value_begins_ = separates;
    }
    advance();
  }

  static bool is_space(char c) { return c == ' ' || c == '\n'; }
  [[nodiscard]] Position position() const { return {line_, static_cast<int>(at_ - line_begin_) + 1}; }

  void advance() {
    if (text_[at_++] != '\n') return;
    ++line_;
    line_begin_ = at_;
  }

  void skip_comment() {
    while (at_ < text_.size() && text_[at_] != '\n') advance();
  }

  void skip_quoted(char quote) {
    const Position begin = position();
    advance();
    while (at_ < text_.size() && text_[at_] != quote) {
      if (quote == '"' && text_[at_] == '\\' && at_ + 1 < text_.size()) advance();
      advance();
    }
    if (at_ == text_.size()) {
      scan_.open_quote = begin;
    } else {
      advance();
    }
    value_begins_ = false;
  }

  void close(char sign) {
    value_begins_ = false;
    if (scan_.open.empty()) {
      if (!scan_.wrong_end) scan_.wrong_end = Bracket{.position = position(), .sign = sign};
      return;
    }
    const bool fits = scan_.open.back().sign == (sign == ']' ? '[' : '{');
    if (!fits && !scan_.wrong_end) {
      scan_.wrong_end = Bracket{.position = position(), .sign = sign};
      scan_.wrongly_open = scan_.open.back();
    }
    scan_.open.pop_back();
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t line_begin_ = 0;
  int line_ = 1;
  bool value_begins_ = true;
  Scan scan_;
};

Scan scan_all(const SourceText& source) {
  return Scanner(source.text()).run(source.text().size());
}

std::string missing_bracket(const Bracket& open) {
  return fmt::format("missing '{}' for the {} that begins at line {}", open.sign == '[' ? ']' : '}',
                     open.sign == '[' ? "list" : "mapping", open.position.line);
}

Diagnosis missing_quote(const SourceText& source, Position quote) {
  const char sign = source.line(quote.line)[static_cast<std::size_t>(quote.column) - 1];
  return {quote, fmt::format("missing {} for the text that begins at line {}", sign, quote.line)};
}

// --- What yaml-cpp's messages can mean ---

using Found = std::optional<Diagnosis>;

struct Case {
  const SourceText& source;
  Position at;
  std::string_view message;

  [[nodiscard]] std::string_view line() const { return source.line(at.line); }
  [[nodiscard]] std::size_t index() const { return static_cast<std::size_t>(std::max(at.column - 1, 0)); }
  [[nodiscard]] char sign() const { return index() < line().size() ? line()[index()] : '\n'; }
  // The last line above that says something; 0 if there is none.
  [[nodiscard]] int line_above(int below) const {
    int number = below - 1;
    while (number > 0 && says_nothing(source.line(number))) --number;
    return number;
  }
};

Diagnosis quote_it(Position position, std::string_view word, char sign) {
  return {position, fmt::format("text that begins with '{}' must be quoted: \"{}\"", sign, shown_word(word))};
}

Found reserved_sign(const Case& c) {
  if (c.message != YAML::ErrorMsg::UNKNOWN_TOKEN) return {};
  return quote_it(c.at, word_at(c.line(), c.index()), c.sign());
}

// A bare `*.example.com` is a reference to an anchor, and `&x` is an anchor.
Found star_or_ampersand(const Case& c) {
  const std::array messages{YAML::ErrorMsg::UNKNOWN_ANCHOR, YAML::ErrorMsg::ALIAS_NOT_FOUND,
                            YAML::ErrorMsg::CHAR_IN_ALIAS,  YAML::ErrorMsg::ANCHOR_NOT_FOUND,
                            YAML::ErrorMsg::CHAR_IN_ANCHOR, YAML::ErrorMsg::ALIAS_CONTENT};
  const bool known = std::ranges::any_of(messages, [&](const char* each) { return c.message == each; });
  const auto sign = known ? c.line().substr(0, c.index() + 1).find_last_of("*&") : std::string_view::npos;
  if (sign == std::string_view::npos) return {};
  return quote_it({c.at.line, static_cast<int>(sign) + 1}, word_at(c.line(), sign), c.line()[sign]);
}

Found bracket_in_text(const Scan& scan) {
  const Bracket open = scan.wrongly_open ? *scan.wrongly_open : scan.open.empty() ? Bracket{} : scan.open.back();
  if (!open.in_text) return {};
  return Diagnosis{open.position, fmt::format("text with '{}' in it must be quoted here", open.sign)};
}

Found flow_not_ended(const Case& c) {
  const bool flow = c.message == YAML::ErrorMsg::END_OF_SEQ_FLOW || c.message == YAML::ErrorMsg::END_OF_MAP_FLOW;
  if (!flow) return {};
  const Scan scan = scan_all(c.source);
  if (scan.open_quote) return missing_quote(c.source, *scan.open_quote);
  if (auto found = bracket_in_text(scan)) return found;
  if (scan.wrong_end && scan.wrongly_open) {
    return Diagnosis{scan.wrong_end->position, missing_bracket(*scan.wrongly_open)};
  }
  if (!scan.open.empty()) return Diagnosis{scan.open.back().position, missing_bracket(scan.open.back())};
  if (c.sign() != ':') return Diagnosis{c.at, "missing ',' between two items"};
  const auto before = c.line().substr(0, c.index());
  const auto word = before.find_last_of(" ,[{");
  const std::size_t begin = word == std::string_view::npos ? 0 : word + 1;
  return Diagnosis{{c.at.line, static_cast<int>(begin) + 1},
                   fmt::format("missing ',' before '{}'", shown_word(before.substr(begin)))};
}

Found flow_ended_wrongly(const Case& c) {
  if (c.message != YAML::ErrorMsg::FLOW_END) return {};
  const Scan scan = scan_all(c.source);
  if (auto found = bracket_in_text(scan)) return found;
  const char sign = c.sign() == '}' ? '}' : ']';
  if (scan.wrongly_open) {
    return Diagnosis{c.at, fmt::format("'{}' cannot close the '{}' of line {}: {}", sign, scan.wrongly_open->sign,
                                       scan.wrongly_open->position.line, missing_bracket(*scan.wrongly_open))};
  }
  return Diagnosis{c.at, fmt::format("'{}' without a '{}' before it", sign, sign == ']' ? '[' : '{')};
}

Found list_on_the_keys_line(const Case& c) {
  if (c.message != YAML::ErrorMsg::BLOCK_ENTRY) return {};
  return Diagnosis{c.at, "a list item ('- …') must begin on the next line"};
}

Found escape(const Case& c) {
  if (!c.message.starts_with(YAML::ErrorMsg::INVALID_ESCAPE)) return {};
  return Diagnosis{c.at,
                   fmt::format("'\\{}' is unknown between double quotes; use single quotes",
                               base::shown(c.message.substr(std::string_view(YAML::ErrorMsg::INVALID_ESCAPE).size())))};
}

Found block_text(const Case& c) {
  if (c.message != YAML::ErrorMsg::CHAR_IN_BLOCK) return {};
  return Diagnosis{c.at, "text that begins with '|' or '>' must be quoted"};
}

Found colon_in_value(const Case& c) {
  const auto line = c.line();
  const auto entry = entry_of(line);
  const auto colon = entry.find(": ");
  const auto first =
      colon == std::string_view::npos ? line.size() : static_cast<std::size_t>(entry.data() - line.data()) + colon;
  if (first >= c.index()) return {};
  const auto value = line.find_first_not_of(' ', first + 1);
  return Diagnosis{{c.at.line, static_cast<int>(value) + 1}, "text with ': ' in it must be quoted"};
}

// A line that the text above runs into: "mode:observe" or "domains" without a colon.
Found line_above(const Case& c) {
  const int above = c.line_above(c.at.line);
  if (above == 0) return {};
  const auto entry = entry_of(c.source.line(above));
  const Position place{above, entry_column(c.source.line(above))};
  if (const auto key = glued_key(entry); !key.empty()) {
    return Diagnosis{place, fmt::format("missing blank after '{}:'", key)};
  }
  if (is_key(entry)) return Diagnosis{place, fmt::format("missing ':' after '{}'", entry)};
  return {};
}

std::string columns_of(const std::vector<int>& columns) {
  std::string out;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    out += fmt::format("{}{}", i == 0 ? "" : i + 1 == columns.size() ? " or " : ", ", columns[i]);
  }
  return out;
}

// The columns in which lines above begin that this one could continue.
std::vector<int> columns_above(const Case& c) {
  std::vector<int> columns;
  for (int number = 1; number < c.at.line; ++number) {
    const auto line = c.source.line(number);
    if (says_nothing(line)) continue;
    const int first = static_cast<int>(indentation(line)) + 1;
    std::erase_if(columns, [&](int column) { return column >= first; });
    columns.push_back(first);
    if (const int inner = entry_column(line); inner != first) columns.push_back(inner);
  }
  return columns;
}

Diagnosis wrong_indentation(const Case& c) {
  const int column = static_cast<int>(indentation(c.line())) + 1;
  return {{c.at.line, column},
          fmt::format("wrong indentation: this line begins in column {}, the lines above in column {}", column,
                      columns_of(columns_above(c)))};
}

Found illegal_value(const Case& c) {
  if (c.message != YAML::ErrorMsg::MAP_VALUE && c.message != YAML::ErrorMsg::MAP_KEY) return {};
  if (auto found = line_above(c)) return found;
  if (auto found = colon_in_value(c)) return found;
  const auto columns = columns_above(c);
  if (!columns.empty() && std::ranges::find(columns, entry_column(c.line())) == columns.end())
    return wrong_indentation(c);
  return {};
}

// A quoted text that begins on an earlier line and ends right before the place.
Found quote_from_above(const Case& c) {
  if (c.index() == 0 || c.index() > c.line().size()) return {};
  const char sign = c.line()[c.line().substr(0, c.index()).find_last_not_of(' ') == std::string_view::npos
                                 ? 0
                                 : c.line().substr(0, c.index()).find_last_not_of(' ')];
  if (sign != '"' && sign != '\'') return {};
  for (int number = c.line_above(c.at.line); number > 0; number = c.line_above(number)) {
    const auto line = c.source.line(number);
    const auto marks = std::ranges::count(line, sign);
    if (marks == 0) continue;
    if (marks % 2 == 0) return {};
    return missing_quote(c.source, {number, static_cast<int>(line.find_last_of(sign)) + 1});
  }
  return {};
}

Found block_not_ended(const Case& c) {
  if (c.message != YAML::ErrorMsg::END_OF_MAP && c.message != YAML::ErrorMsg::END_OF_SEQ) return {};
  if (c.index() > indentation(c.line())) {
    if (auto found = quote_from_above(c)) return found;
    return Diagnosis{c.at, fmt::format("unexpected '{}' after the end of a value",
                                       shown_word(trimmed(c.line().substr(std::min(c.index(), c.line().size())))))};
  }
  const auto text = trimmed(c.line());
  if (text.size() > 1 && text.front() == '-' && text[1] != ' ' && text[1] != '-') {
    return Diagnosis{c.at, "missing blank after '-'"};
  }
  const auto columns = columns_above(c);
  const bool aligned = std::ranges::find(columns, c.at.column) != columns.end();
  if (!aligned) return wrong_indentation(c);
  if (text.front() == '-')
    return Diagnosis{c.at, "a list item ('- …') among keys; put it under a key such as 'domains:'"};
  if (auto found = line_above(c)) return found;
  return Diagnosis{c.at, fmt::format("expected a key and ':', or '- ' before a list item, not '{}'", shown_word(text))};
}

}  // namespace

Diagnosis diagnose_yaml(const SourceText& source, Position at, std::string_view message) {
  const Case c{.source = source, .at = at, .message = message};
  for (const auto cause : {reserved_sign, star_or_ampersand, flow_not_ended, flow_ended_wrongly, list_on_the_keys_line,
                           escape, block_text, illegal_value, block_not_ended}) {
    if (auto found = cause(c)) return std::move(*found);
  }
  return {at, fmt::format("not valid YAML: {}", message)};
}

Diagnosis diagnose_second_document(const SourceText& source, Position at) {
  const Case c{.source = source, .at = at, .message = {}};
  if (at.line == 0 || c.line().starts_with("---")) return {at, "a second document; a policy is one document"};
  int first = 1;
  while (first < at.line && says_nothing(source.line(first))) ++first;
  const auto opening = source.line(first);
  if (opening.starts_with("---")) return {at, "a second document; a policy is one document"};
  if (trimmed(opening).starts_with("- "))
    return {at, "a key among list items; put the list under a key such as 'domains:'"};
  if (indentation(opening) > indentation(c.line())) return wrong_indentation(c);
  return {at, fmt::format("unexpected '{}' after the end of the policy", shown_word(trimmed(c.line())))};
}

std::string spelling_hint(std::string_view text) {
  if (const auto key = glued_key(text); !key.empty()) return fmt::format("; a blank is missing after '{}:'", key);
  const auto dash = text.find(" -");
  const auto before = text.substr(0, dash);
  if (dash != std::string_view::npos && is_key(before)) return fmt::format("; ':' is missing after '{}'", before);
  if (text.starts_with("-") && text.size() > 1) return "; a blank is missing after '-'";
  if (dash != std::string_view::npos)
    return "; is a list item below it indented too deeply, or without a blank after '-'?";
  if (text.contains(", ")) return "; write one item a line, or a list: [A, B]";
  if (text.ends_with("]") || text.ends_with("}")) return "; is a '[' or '{' missing before it?";
  return {};
}

bool is_unclosed_quote(std::string_view from_the_quote) {
  if (from_the_quote.empty()) return false;
  const char quote = from_the_quote.front();
  if (quote != '"' && quote != '\'') return false;
  for (std::size_t at = 1; at < from_the_quote.size(); ++at) {
    if (quote == '"' && from_the_quote[at] == '\\') {
      ++at;
    } else if (from_the_quote[at] == quote) {
      if (quote == '"' || at + 1 == from_the_quote.size() || from_the_quote[at + 1] != quote) return false;
      ++at;  // '' is a quote inside the text
    }
  }
  return true;
}

}  // namespace soleroute::policy
