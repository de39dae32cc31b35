// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/policy_edit.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "base/text.h"
#include "policy/source_text.h"
#include "policy/yaml_document.h"
#include "policy/yaml_layout.h"

namespace soleroute::policy {
namespace {

constexpr std::string_view kAgents = "agents";
constexpr std::size_t kUsualStep = 2;

// The items for one list, each with its meaning.
struct Addition {
  std::string agent;
  std::string list;
  struct Item {
    std::string text;
    std::string remark;
    YamlNode node;
  };
  std::vector<Item> items{};
};

struct Insertion {
  std::size_t at = 0;
  std::string text;
  std::size_t erased = 0;  // bytes there that it takes the place of
};

bool same(const YamlNode& a, const YamlNode& b) {
  return a.kind == b.kind && a.quoted == b.quoted && a.text == b.text &&
         std::ranges::equal(a.children, b.children, same);
}

bool is_in(const YamlNode* list, const YamlNode& item) {
  return list != nullptr && std::ranges::any_of(list->children, [&](const auto& child) { return same(child, item); });
}

YamlNode scalar(std::string_view text) {
  return {.kind = YamlNode::Kind::kScalar, .text = std::string(text)};
}

// A key or a name as YAML writes it.
std::string written(const std::string& text) {
  const bool plain = std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
  return plain && !text.starts_with('-') && is_text(scalar(text)) ? text : yaml_quoted(text);
}

template <class Node>
Node* value_of(Node& mapping, std::string_view key) {
  for (std::size_t i = 0; mapping.is_mapping() && i + 1 < mapping.children.size(); i += 2) {
    if (mapping.children[i].text == key) return &mapping.children[i + 1];
  }
  return nullptr;
}

// The item of `agents:` for this agent.
template <class Node>
Node* agent_in(Node& root, std::string_view agent) {
  auto* agents = value_of(root, kAgents);
  if (agents == nullptr) return nullptr;
  const auto found = std::ranges::find_if(agents->children, [&](const YamlNode& item) {
    const YamlNode* name = value_of(item, "name");
    return name != nullptr && name->text == agent;
  });
  return found == agents->children.end() ? nullptr : &*found;
}

// The edit of one text for one addition.
class Edit {
 public:
  Edit(const YamlLayout& layout, const YamlNode& root, const Addition& addition)
      : layout_(layout), root_(root), addition_(addition) {}

  [[nodiscard]] std::vector<Insertion> insertions();
  // What the text has to mean afterwards.
  [[nodiscard]] YamlNode meaning() const;

 private:
  void add_to(const YamlNode& mapping, std::string_view key);
  void add_to_block(const YamlNode& list);
  void add_to_brackets(std::size_t open, const std::string& text);
  void add_to_nothing(const YamlNode& mapping, std::string_view key);
  void add_key(const YamlNode& mapping, std::string_view key);
  void add_new_root(std::string_view key);
  [[nodiscard]] std::string flow_items(std::string_view key) const;
  [[nodiscard]] std::string block_items(std::string_view key, std::string_view in_front) const;
  [[nodiscard]] std::string new_agent() const;
  [[nodiscard]] std::size_t step() const;
  [[nodiscard]] bool keys_are_apart() const;
  [[nodiscard]] int last_line() const;

  const YamlLayout& layout_;
  const YamlNode& root_;
  const Addition& addition_;
  std::vector<Insertion> made_;
};

// "{name: reviewer, domains: [a.test]}"
std::string Edit::new_agent() const {
  return fmt::format("{{name: {}, {}: [{}]}}", written(addition_.agent), written(addition_.list),
                     flow_items(addition_.list));
}

std::string Edit::flow_items(std::string_view key) const {
  if (key == kAgents) return new_agent();
  std::vector<std::string_view> texts;
  for (const auto& item : addition_.items) texts.push_back(item.text);
  return fmt::format("{}", fmt::join(texts, ", "));
}

// One line for each, with a line break before it.
std::string Edit::block_items(std::string_view key, std::string_view in_front) const {
  if (key == kAgents) return fmt::format("\n{}- {}", in_front, new_agent());
  std::string out;
  for (const auto& item : addition_.items) {
    out += fmt::format("\n{}- {}{}{}", in_front, item.text, item.remark.empty() ? "" : "  # ", item.remark);
  }
  return out;
}

// How much deeper than its key a list is written in this file.
std::size_t Edit::step() const {
  for (std::size_t i = 1; root_.is_mapping() && i < root_.children.size(); i += 2) {
    const auto& key = root_.children[i - 1];
    const auto at = layout_.value_begin(root_.children[i].position);
    if (!root_.children[i].is_sequence() || at >= layout_.text().size() || layout_.text()[at] != '-') continue;
    const int line = layout_.line_of(at);
    const auto key_column = static_cast<std::size_t>(key.position.column) - 1;
    if (layout_.indent(line) >= key_column) return layout_.indent(line) - key_column;
  }
  return kUsualStep;
}

// Does a blank line come before each key of the file, or before its comments?
bool Edit::keys_are_apart() const {
  if (!root_.is_mapping() || root_.children.size() < 4) return false;
  int above = root_.children[2].position.line - 1;
  while (above > 1 && layout_.is_comment(above)) --above;
  return above > 0 && layout_.is_blank(above);
}

// Of the document: the last line with anything on it, in front of "...".
int Edit::last_line() const {
  int last = 0;
  for (int number = 1; number <= layout_.line_count(); ++number) {
    if (layout_.line(number).starts_with("...")) break;
    if (!layout_.is_blank(number)) last = number;
  }
  return last;
}

void Edit::add_to_brackets(std::size_t open, const std::string& text) {
  const auto found = layout_.brackets(open);
  if (found.empty) return made_.push_back({open + 1, text});
  const int line = layout_.line_of(found.content - 1);
  if (line == layout_.line_of(found.close)) {
    const std::string more = found.comma ? fmt::format(" {},", text) : fmt::format(", {}", text);
    return made_.push_back({found.content, more});
  }
  if (!found.comma) made_.push_back({found.content, ","});
  const std::string in_front(std::max(layout_.indent(line), kUsualStep), ' ');
  made_.push_back({layout_.line_end(line), fmt::format("\n{}{}{}", in_front, text, found.comma ? "," : "")});
}

void Edit::add_to_block(const YamlNode& list) {
  const auto at = layout_.value_begin(list.position);
  const int line = layout_.line_of(at);
  const std::string_view in_front = layout_.line(line).substr(0, layout_.indent(line));
  const int last = layout_.block_end(line, in_front.size(), true);
  const std::string_view key = &list == value_of(root_, kAgents) ? kAgents : std::string_view(addition_.list);
  made_.push_back({layout_.line_end(last), block_items(key, in_front)});
}

// "domains:", "domains: ~", "domains: null  # nothing yet"
void Edit::add_to_nothing(const YamlNode& mapping, std::string_view key) {
  const Position place = (value_of(mapping, key) - 1)->position;  // of the key
  const int line = place.line;
  const auto colon = layout_.text().find(':', layout_.offset(place));
  const auto end = layout_.line_end(line);
  if (colon >= end) return;
  const auto rest = layout_.text().substr(colon + 1, end - colon - 1);
  const auto word = std::min(rest.find_first_not_of(' '), rest.size());
  const auto word_end = std::min(rest.find_first_of(" ,}", word), rest.size());
  const auto value = rest.substr(word, word_end - word);
  if (value == "~" || lowered(value) == "null") {
    return made_.push_back({colon + 1 + word, fmt::format("[{}]", flow_items(key)), value.size()});
  }
  const std::string in_front(static_cast<std::size_t>(place.column) - 1 + step(), ' ');
  made_.push_back({end, block_items(key, in_front)});
}

void Edit::add_key(const YamlNode& mapping, std::string_view key) {
  const auto at = layout_.value_begin(mapping.position);
  if (layout_.text()[at] == '{') return add_to_brackets(at, fmt::format("{}: [{}]", key, flow_items(key)));
  const auto column = static_cast<std::size_t>(mapping.children.front().position.column) - 1;
  const bool is_root = &mapping == &root_;
  const int last = is_root ? last_line() : layout_.block_end(layout_.line_of(at), column, false);
  const std::string in_front(column, ' ');
  made_.push_back({layout_.line_end(last), fmt::format("{}\n{}{}:{}", is_root && keys_are_apart() ? "\n" : "", in_front,
                                                       key, block_items(key, in_front + std::string(step(), ' ')))});
}

void Edit::add_new_root(std::string_view key) {
  const std::string text = fmt::format("{}:{}", key, block_items(key, std::string(kUsualStep, ' ')));
  if (const int last = last_line(); last > 0) return made_.push_back({layout_.line_end(last), "\n" + text});
  made_.push_back({0, text + "\n"});
}

void Edit::add_to(const YamlNode& mapping, std::string_view key) {
  if (mapping.is_null()) return add_new_root(key);
  const YamlNode* list = value_of(mapping, key);
  if (list == nullptr) return add_key(mapping, key);
  if (list->is_null()) return add_to_nothing(mapping, key);
  const auto at = layout_.value_begin(list->position);
  if (at >= layout_.text().size()) return;
  if (layout_.text()[at] == '[') return add_to_brackets(at, flow_items(key));
  if (layout_.text()[at] == '-') add_to_block(*list);
}

std::vector<Insertion> Edit::insertions() {
  const YamlNode* agent = addition_.agent.empty() ? &root_ : agent_in(root_, addition_.agent);
  if (agent != nullptr) {
    add_to(*agent, addition_.list);
  } else {
    add_to(root_, kAgents);
  }
  return std::move(made_);
}

// Puts `nodes` at the end of the list `key` of `mapping`.
void append(YamlNode& mapping, const std::string& key, std::span<const YamlNode> nodes) {
  mapping.kind = YamlNode::Kind::kMapping;
  if (value_of(mapping, key) == nullptr) {
    mapping.children.push_back(scalar(key));
    mapping.children.emplace_back();
  }
  YamlNode* list = value_of(mapping, key);
  list->kind = YamlNode::Kind::kSequence;
  list->children.insert(list->children.end(), nodes.begin(), nodes.end());
}

YamlNode Edit::meaning() const {
  YamlNode out = root_;
  std::vector<YamlNode> nodes;
  for (const auto& item : addition_.items) nodes.push_back(item.node);
  if (addition_.agent.empty()) {
    append(out, addition_.list, nodes);
  } else if (YamlNode* agent = agent_in(out, addition_.agent); agent != nullptr) {
    append(*agent, addition_.list, nodes);
  } else {
    const bool plain = written(addition_.agent) == addition_.agent;
    YamlNode fresh{.kind = YamlNode::Kind::kMapping, .children = {scalar("name"), scalar(addition_.agent)}};
    fresh.children.back().quoted = !plain;
    append(fresh, addition_.list, nodes);
    append(out, std::string(kAgents), std::span(&fresh, 1));
  }
  return out;
}

// Into the text as it was: with its byte order mark and its line ends.
std::string applied(std::string_view original, const std::vector<Insertion>& insertions) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  const auto first_end = original.find('\n');
  const bool crlf = first_end != std::string_view::npos && first_end > 0 && original[first_end - 1] == '\r';
  std::string out(original.substr(0, original.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0));
  std::size_t from = out.size();
  std::size_t clean = 0;
  for (const auto& insertion : insertions) {
    while (clean < insertion.at && from < original.size()) {
      if (original.substr(from).starts_with("\r\n")) out += original[from++];
      out += original[from++];
      ++clean;
    }
    for (const char c : insertion.text) out += c == '\n' && crlf ? std::string("\r\n") : std::string(1, c);
    from += insertion.erased;
    clean += insertion.erased;
  }
  return out.append(original.substr(from));
}

// Lines to add by hand.
std::string by_hand(const Addition& addition) {
  std::string out = addition.agent.empty() ? "" : fmt::format("agent {}: ", base::shown(addition.agent));
  std::vector<std::string_view> texts;
  for (const auto& item : addition.items) texts.push_back(item.text);
  return out + fmt::format("{}: [{}]", addition.list, base::shown(fmt::format("{}", fmt::join(texts, ", "))));
}

base::Result<std::string> with_addition(const PolicySource& source, Addition addition) {
  std::string clean;
  SR_TRY(clean_text(source.name, source.text, clean));
  SR_LET(root, parse_yaml(SourceText(source.name, clean)));
  const auto refused = [&] {
    return base::usage_error(fmt::format("{}: cannot add to '{}' without changing other lines. Add this by hand: {}",
                                         base::shown(source.name), base::shown(addition.list), by_hand(addition)));
  };
  if (!root->is_null() && !root->is_mapping()) return refused();
  const YamlNode* mapping = addition.agent.empty() ? &*root : agent_in(*root, addition.agent);
  const YamlNode* list = mapping == nullptr ? nullptr : value_of(*mapping, addition.list);
  std::erase_if(addition.items, [&](const Addition::Item& item) { return is_in(list, item.node); });
  if (addition.items.empty()) return source.text;
  const YamlLayout layout(clean);
  Edit edit(layout, *root, addition);
  std::string out = applied(source.text, edit.insertions());
  std::string clean_out;
  SR_TRY(clean_text(source.name, out, clean_out));
  const auto after = parse_yaml(SourceText(source.name, clean_out));
  if (!after || !same(*after, edit.meaning())) return refused();
  return out;
}

base::Result<YamlNode> read_item(const NewEntry& entry) {
  const auto bad = [&] {
    return base::usage_error(fmt::format("not an item of '{}': {}", base::shown(entry.list), base::shown(entry.item)));
  };
  if (entry.item.contains('\n') || entry.remark.contains('\n')) return bad();
  std::string clean;
  if (!clean_text("item", "- " + entry.item, clean)) return bad();
  auto list = parse_yaml(SourceText("item", clean));
  if (!list || !list->is_sequence() || list->children.size() != 1 || list->children.front().is_null()) return bad();
  return std::move(list->children.front());
}

base::Result<std::vector<Addition>> additions_of(std::span<const NewEntry> entries) {
  std::vector<Addition> out;
  for (const auto& entry : entries) {
    SR_LET(node, read_item(entry));
    auto found = std::ranges::find_if(
        out, [&](const Addition& known) { return known.agent == entry.agent && known.list == entry.list; });
    if (found == out.end()) found = out.insert(out.end(), {.agent = entry.agent, .list = entry.list});
    const bool twice = std::ranges::any_of(found->items, [&](const auto& item) { return same(item.node, *node); });
    if (!twice) found->items.push_back({entry.item, entry.remark, std::move(*node)});
  }
  return out;
}

}  // namespace

base::Result<std::string> with_entries(const PolicySource& source, std::span<const NewEntry> entries) {
  SR_LET(additions, additions_of(entries));
  PolicySource grown = source;
  for (auto& addition : *additions) {
    SR_LET(text, with_addition(grown, std::move(addition)));
    grown.text = std::move(*text);
  }
  SR_TRY(Policy::compile(std::span(&grown, 1)));
  return std::move(grown.text);
}

}  // namespace soleroute::policy
