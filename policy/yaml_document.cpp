// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/yaml_document.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <optional>
#include <spanstream>
#include <unordered_map>

#include "base/text.h"
#include "policy/yaml_diagnosis.h"

namespace soleroute::policy {
namespace {

std::size_t count_nodes(const YamlNode& node) {
  std::size_t count = 1;
  for (const auto& child : node.children) count += count_nodes(child);
  return count;
}

int depth_of(const YamlNode& node) {
  int deepest = 0;
  for (const auto& child : node.children) deepest = std::max(deepest, depth_of(child));
  return deepest + 1;
}

// Builds the tree from yaml-cpp's events. After the first fault it ignores the rest: events cannot be refused, but
// ignoring them costs nothing and yaml-cpp bounds its own depth.
class TreeBuilder final : public YAML::EventHandler {
 public:
  explicit TreeBuilder(const SourceText& source) : source_(source) {}

  [[nodiscard]] const std::optional<base::Error>& fault() const { return fault_; }
  [[nodiscard]] YamlNode take_root() { return std::move(root_); }
  [[nodiscard]] Position last_quoted() const { return last_quoted_; }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ == 1) return;
    const auto found = diagnose_second_document(source_, at(mark));
    refuse(found.position, found.what);
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (fault_) return;
    complete(YamlNode{.position = at(mark)}, anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (fault_) return;
    const auto found = anchored_.find(anchor);
    if (found == anchored_.end()) return refuse(at(mark), "an alias that refers to itself");
    aliased_ += count_nodes(found->second);
    if (aliased_ > kMaxAliasedNodes) return refuse(at(mark), "aliases expand to too much");
    if (static_cast<int>(open_.size()) + depth_of(found->second) > kMaxDepth) {
      return refuse(at(mark), "nested too deeply");
    }
    complete(YamlNode(found->second), YAML::NullAnchor);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    if (fault_ || !tag_is_fine(mark, tag)) return;
    if (value.size() > kMaxScalarBytes) return refuse(at(mark), "a value of more than 4096 bytes");
    if (tag == "!") last_quoted_ = at(mark);
    complete({YamlNode::Kind::kScalar, tag == "!", at(mark), value, {}}, anchor);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, YamlNode::Kind::kSequence);
  }
  void OnSequenceEnd() override { close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, YamlNode::Kind::kMapping);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Open {
    YamlNode node;
    YAML::anchor_t anchor = YAML::NullAnchor;
    std::map<std::string, int, std::less<>> keys;  // with the line of each
  };

  static Position at(const YAML::Mark& mark) { return {mark.line + 1, mark.column + 1}; }

  void refuse(Position position, std::string_view what) {
    if (!fault_) fault_ = source_.error(position, what).error();
  }

  bool tag_is_fine(const YAML::Mark& mark, const std::string& tag) {
    if (tag.empty() || tag == "?" || tag == "!") return true;
    refuse(at(mark), fmt::format("a tag ('{}'); policies have none", base::shown(tag.substr(0, 60))));
    return false;
  }

  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YamlNode::Kind kind) {
    if (fault_ || !tag_is_fine(mark, tag)) return;
    if (static_cast<int>(open_.size()) >= kMaxDepth) return refuse(at(mark), "nested too deeply");
    open_.push_back({{.kind = kind, .position = at(mark)}, anchor, {}});
  }

  void close() {
    if (fault_) return;
    Open done = std::move(open_.back());
    open_.pop_back();
    complete(std::move(done.node), done.anchor);
  }

  void complete(YamlNode node, YAML::anchor_t anchor) {
    if (++nodes_ + aliased_ > kMaxNodes) return refuse(node.position, "too many values");
    if (anchor != YAML::NullAnchor && !remember(anchor, node)) return;
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Open& parent = open_.back();
    const bool is_key = parent.node.is_mapping() && parent.node.children.size() % 2 == 0;
    if (is_key && !key_is_fine(parent, node)) return;
    // yaml-cpp places an absent value where it noticed the absence, which may be lines further down.
    if (parent.node.is_mapping() && !is_key && node.is_null()) node.position = parent.node.children.back().position;
    parent.node.children.push_back(std::move(node));
  }

  // Anchored nodes are kept as copies, so nested anchors are bounded too.
  bool remember(YAML::anchor_t anchor, const YamlNode& node) {
    anchor_copies_ += count_nodes(node);
    if (anchor_copies_ > kMaxAliasedNodes) {
      refuse(node.position, "anchors expand to too many nodes");
      return false;
    }
    anchored_.emplace(anchor, node);
    return true;
  }

  bool key_is_fine(Open& mapping, const YamlNode& key) {
    if (!key.is_scalar()) {
      refuse(key.position, fmt::format("a key must be text, not {}", type_name(key)));
      return false;
    }
    if (key.text == "<<" && !key.quoted) {
      refuse(key.position, "a merge key ('<<'); policies have none: write the keys out");
      return false;
    }
    const auto [earlier, added] = mapping.keys.emplace(key.text, key.position.line);
    if (added) return true;
    refuse(key.position, fmt::format("duplicate key '{}', first on line {}", base::shown(key.text), earlier->second));
    return false;
  }

  const SourceText& source_;
  std::optional<base::Error> fault_;
  YamlNode root_;
  Position last_quoted_{};  // of the last quoted text or block
  std::vector<Open> open_;
  std::unordered_map<YAML::anchor_t, YamlNode> anchored_;
  std::size_t nodes_ = 0;
  std::size_t aliased_ = 0;
  std::size_t anchor_copies_ = 0;
  int documents_ = 0;
};

// The end of the file closes a quoted text for yaml-cpp. Only the last one of a text can be like that.
base::Status last_quote_is_closed(const SourceText& source, Position quoted) {
  if (quoted.line == 0) return {};
  const auto line = source.line(quoted.line);
  const auto column = static_cast<std::size_t>(quoted.column - 1);
  if (column >= line.size()) return {};
  const auto offset = static_cast<std::size_t>(line.data() - source.text().data()) + column;
  if (!is_unclosed_quote(source.text().substr(offset))) return {};
  return source.error(quoted, fmt::format("missing {} for the text that begins at line {}", line[column], quoted.line));
}

}  // namespace

base::Result<YamlNode> parse_yaml(const SourceText& source) {
  const std::string text(source.text());
  TreeBuilder builder(source);
  try {
    std::ispanstream stream{std::span<const char>(text)};
    YAML::Parser parser(stream);
    while (!builder.fault() && parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& e) {
    if (builder.fault()) return std::unexpected(*builder.fault());
    if (e.mark.is_null()) return source.error({}, e.msg);
    const auto found = diagnose_yaml(source, {e.mark.line + 1, e.mark.column + 1}, e.msg);
    return source.error(found.position, found.what);
  } catch (const std::exception& e) {
    return source.error({}, e.what());
  }
  if (builder.fault()) return std::unexpected(*builder.fault());
  SR_TRY(last_quote_is_closed(source, builder.last_quoted()));
  return builder.take_root();
}

}  // namespace soleroute::policy
