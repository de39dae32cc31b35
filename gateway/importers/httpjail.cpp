// httpjail: a rule in JavaScript. Comparisons of r.host, r.method, r.path and r.scheme that && and || connect are read;
// other code is left out, since only running it could tell what it allows.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ascii.h"
#include "base/text.h"
#include "gateway/importers/formats.h"
#include "gateway/importers/text_scan.h"

namespace soleroute::gateway::importers {
namespace {

using Lists = std::map<std::string, std::vector<std::string>, std::less<>>;

std::string without_line_comments(std::string_view text) {
  std::string out;
  for (const auto line : base::lines_of(text)) {
    const auto comment = line.find("//");
    const bool is_comment = comment != std::string_view::npos && trimmed(line.substr(0, comment)).empty();
    if (!is_comment) out.append(line).append("\n");
  }
  return out;
}

// `const names = ['a', 'b'];`: its texts by name. What is read is taken out.
Lists take_lists(std::string& text) {
  Lists lists;
  for (const std::string_view word : {"const ", "let ", "var "}) {
    for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at)) {
      const auto open = text.find('[', at);
      const auto equals = text.find('=', at);
      const auto close = text.find(']', at);
      if (open == std::string::npos || close == std::string::npos || equals > open) break;
      const auto name = trimmed(std::string_view(text).substr(at + word.size(), equals - at - word.size()));
      for (const auto item : quoted_strings(std::string_view(text).substr(open, close - open))) {
        lists[std::string(name)].emplace_back(item);
      }
      const auto end = text.find_first_not_of("; \n", close + 1);
      text.erase(at, std::min(end, text.size()) - at);
    }
  }
  return lists;
}

// The parts between `op` outside of quotes, brackets and regular expressions.
std::vector<std::string_view> parts_of(std::string_view text, std::string_view op) {
  std::vector<std::string_view> out;
  int depth = 0;
  char quote = 0;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote != 0) {
      if (c == '\\')
        ++i;
      else if (c == quote)
        quote = 0;
      continue;
    }
    if (c == '"' || c == '\'' || c == '`' || c == '/') quote = c;
    if (c == '(' || c == '[' || c == '{') ++depth;
    if (c == ')' || c == ']' || c == '}') --depth;
    if (depth == 0 && text.substr(i).starts_with(op)) {
      out.push_back(trimmed(text.substr(begin, i - begin)));
      i += op.size() - 1;
      begin = i + 1;
    }
  }
  out.push_back(trimmed(text.substr(std::min(begin, text.size()))));
  return out;
}

// A pair of parentheses around the whole.
std::string_view bare(std::string_view text) {
  text = trimmed(text);
  while (text.starts_with('(') && text.ends_with(')')) {
    int depth = 0;
    std::size_t close = 0;
    for (std::size_t i = 0; i < text.size() && close == 0; ++i) {
      depth += text[i] == '(' ? 1 : text[i] == ')' ? -1 : 0;
      if (depth == 0) close = i;
    }
    if (close + 1 != text.size()) return text;
    text = trimmed(text.substr(1, text.size() - 2));
  }
  return text;
}

struct HostChoice {
  std::string name;
  Reach reach = Reach::kName;
};

// The pattern that a regular expression of the usual forms means: ^api\.example\.com$, ^(.*\.)?example\.com$,
// ^.*\.example\.com$. Nothing: another form.
std::optional<HostChoice> host_of_regex(std::string_view regex) {
  HostChoice out;
  if (!regex.starts_with('^') || !regex.ends_with('$')) return std::nullopt;
  regex = regex.substr(1, regex.size() - 2);
  constexpr std::array<std::pair<std::string_view, Reach>, 5> kForms{{{"(.*\\.)?", Reach::kNameAndBelow},
                                                                      {"(.+\\.)?", Reach::kNameAndBelow},
                                                                      {"(?:.*\\.)?", Reach::kNameAndBelow},
                                                                      {".*\\.", Reach::kBelow},
                                                                      {".+\\.", Reach::kBelow}}};
  for (const auto& [form, reach] : kForms) {
    if (!regex.starts_with(form)) continue;
    out.reach = reach;
    regex.remove_prefix(form.size());
    break;
  }
  while (!regex.empty()) {
    if (regex.starts_with("\\.")) {
      out.name += '.';
      regex.remove_prefix(2);
    } else if (base::is_alphanumeric(regex.front()) || regex.front() == '-') {
      out.name += regex.front();
      regex.remove_prefix(1);
    } else {
      return std::nullopt;
    }
  }
  return out;
}

struct Clause {
  std::optional<std::vector<HostChoice>> hosts{};
  Terms terms{};
};

class ClauseReader {
 public:
  explicit ClauseReader(const Lists& lists) : lists_(lists) {}

  // Nothing: some condition is not one of those that are read.
  [[nodiscard]] std::optional<Clause> read(std::string_view text) const {
    Clause clause;
    for (const auto part : parts_of(text, "&&")) {
      if (!condition(bare(part), clause)) return std::nullopt;
    }
    return clause;
  }

 private:
  [[nodiscard]] bool condition(std::string_view text, Clause& clause) const {
    for (const std::string_view op : {"===", "=="}) {
      const auto at = text.find(op);
      if (at == std::string_view::npos) continue;
      const auto value = unquoted(text.substr(at + op.size()));
      return value && text.find('!') == std::string_view::npos && take(trimmed(text.substr(0, at)), {*value}, clause);
    }
    if (const auto found = text.find(".includes("); found != std::string_view::npos) {
      return takes_list(text.substr(0, found), argument(text.substr(found)), clause);
    }
    if (const auto found = text.find(".test("); found != std::string_view::npos && text.starts_with('/')) {
      const auto choice = host_of_regex(text.substr(1, found - 2));
      return choice && argument(text.substr(found)) == "r.host" && take_hosts({*choice}, clause);
    }
    const auto with = text.find(".startsWith(");
    const auto value = with == std::string_view::npos ? std::nullopt : unquoted(argument(text.substr(with)));
    if (!value || text.substr(0, with) != "r.path" || !clause.terms.path.empty()) return false;
    clause.terms.path = path_prefix(*value);
    return true;
  }

  // "r.host" of ".includes(r.host)".
  static std::string_view argument(std::string_view call) {
    const auto open = call.find('(');
    return call.ends_with(')') ? trimmed(call.substr(open + 1, call.size() - open - 2)) : std::string_view{};
  }

  [[nodiscard]] bool takes_list(std::string_view list, std::string_view subject, Clause& clause) const {
    std::vector<std::string_view> values;
    if (list.starts_with('[') && list.ends_with(']')) {
      values = quoted_strings(list);
    } else if (const auto known = lists_.find(list); known != lists_.end()) {
      values.assign(known->second.begin(), known->second.end());
    }
    return !values.empty() && take(subject, values, clause);
  }

  static bool take(std::string_view subject, const std::vector<std::string_view>& values, Clause& clause) {
    if (subject == "r.host") {
      std::vector<HostChoice> hosts;
      for (const auto value : values) hosts.push_back({.name = std::string(value)});
      return take_hosts(std::move(hosts), clause);
    }
    auto* list = subject == "r.method"   ? &clause.terms.methods
                 : subject == "r.scheme" ? &clause.terms.schemes
                                         : nullptr;
    if (list != nullptr && list->empty()) {
      list->assign(values.begin(), values.end());
      return true;
    }
    if (subject != "r.path" || values.size() != 1 || !clause.terms.path.empty()) return false;
    clause.terms.path = exact_path(values.front());
    return true;
  }

  static bool take_hosts(std::vector<HostChoice> hosts, Clause& clause) {
    if (clause.hosts) return false;
    clause.hosts = std::move(hosts);
    return true;
  }

  const Lists& lists_;
};

}  // namespace

base::Status read_httpjail(const Input& input, Draft& draft) {
  std::string text = without_line_comments(input.text);
  for (const char* option : {"--js", "-e"}) {
    if (const auto given = option_values(input.text, option); !given.empty()) text = given.front();
  }
  draft.mean("Only comparisons of host, method, path and scheme are read, never other code.");
  const Lists lists = take_lists(text);
  const ClauseReader reader(lists);
  std::string_view rule = trimmed(text);
  if (rule.starts_with("return ")) rule.remove_prefix(7);
  while (rule.ends_with(';')) rule = trimmed(rule.substr(0, rule.size() - 1));
  for (const auto part : parts_of(bare(rule), "||")) {
    const auto clause = reader.read(bare(part));
    if (!clause) {
      draft.omit(part, "code that is not read; write it as rules");
    } else if (!clause->hosts) {
      draft.omit(part, "every host; list the hosts that are needed");
    } else {
      for (const auto& host : *clause->hosts) draft.host(Verdict::kAllow, host.reach, host.name, {clause->terms});
    }
  }
  return {};
}

}  // namespace soleroute::gateway::importers
