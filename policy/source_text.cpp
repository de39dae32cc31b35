// SPDX-License-Identifier: GPL-3.0-or-later
#include "policy/source_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "base/ascii.h"
#include "base/text.h"
#include "base/utf8.h"

namespace soleroute::policy {
namespace {

constexpr std::size_t kShownLine = 160;  // longer source lines are cut around the caret

// Insertions, deletions, replacements and swaps of neighbours (optimal string alignment).
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1);
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

}  // namespace

std::string yaml_quoted(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

std::string lowered(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), base::lower);
  return out;
}

std::string_view SourceText::line(int number) const {
  std::size_t begin = 0;
  for (int i = 1; i < number; ++i) {
    const auto newline = text_.find('\n', begin);
    if (newline == std::string_view::npos) return {};
    begin = newline + 1;
  }
  std::string_view found = text_.substr(begin, text_.find('\n', begin) - begin);
  if (found.ends_with('\r')) found.remove_suffix(1);
  return found;
}

std::unexpected<base::Error> SourceText::error(Position position, std::string_view what) const {
  if (faults_ == nullptr) return base::usage_error(rendered(position, what));
  if (faults_->full()) {  // no search for lines that are not shown
    ++faults_->count;
    return base::usage_error(std::string(what));
  }
  auto text = rendered(position, what);
  faults_->add({std::string(name_), position.line, position.column, std::string(what), text});
  return base::usage_error(std::move(text));
}

std::string SourceText::rendered(Position position, std::string_view what) const {
  if (position.line == 0) return fmt::format("{}: {}", base::shown(name_), what);
  std::string_view source = line(position.line);
  auto before = std::min(static_cast<std::size_t>(std::max(position.column - 1, 0)), source.size());
  if (before > kShownLine / 2) {
    source.remove_prefix(before - kShownLine / 2);
    before = kShownLine / 2;
  }
  const std::string margin = fmt::format("{:>5} | ", position.line);
  const std::size_t caret = base::utf8::columns(base::shown(source.substr(0, before)));
  return fmt::format("{}:{}:{}: {}\n{}{}\n{:>{}}^", base::shown(name_), position.line, position.column, what, margin,
                     base::shown(source.substr(0, kShownLine)), "", margin.size() + caret);
}

std::string_view nearest(std::string_view text, const std::vector<std::string_view>& candidates) {
  constexpr std::size_t kMaxCompared = 64;
  if (text.size() > kMaxCompared) return {};
  const std::string wanted = lowered(text);
  const std::size_t letters = wanted.size() - std::min(wanted.size(), wanted.find_first_not_of('-'));
  if (letters == 0) return {};
  std::string_view best;
  std::string_view completed;
  std::size_t best_distance = std::clamp<std::size_t>(letters / 2, 1, 3) + 1;
  for (const auto candidate : candidates) {
    const bool begins = letters >= 2 && lowered(candidate).starts_with(wanted);
    if (begins && (completed.empty() || candidate.size() < completed.size())) completed = candidate;
    const std::size_t distance = edit_distance(wanted, lowered(candidate));
    if (distance >= best_distance || distance >= candidate.size()) continue;
    best_distance = distance;
    best = candidate;
  }
  // An abbreviation is likelier than two slips, and less likely than one.
  return completed.empty() || best_distance == 1 ? best : completed;
}

std::string did_you_mean(std::string_view text, const std::vector<std::string_view>& candidates) {
  const std::string_view best = nearest(text, candidates);
  return best.empty() ? std::string{} : fmt::format(", did you mean '{}'?", best);
}

}  // namespace soleroute::policy
