// SPDX-License-Identifier: GPL-3.0-or-later
#include "sniffer/http1_plain.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "sniffer/http1_text.h"

namespace soleroute::sniffer::http1 {
namespace {

constexpr std::string_view kConnectionClose = "Connection: close\r\n";

struct LooseField {
  std::string_view name;
  std::string value;
  bool left_out = false;

  [[nodiscard]] bool is(std::string_view lowered) const { return same_ignoring_case(name, lowered); }
};

// Up to and including the blank line, without the line ends.
Step<std::vector<std::string_view>> loose_lines(std::string_view received, std::size_t& size) {
  std::vector<std::string_view> lines;
  for (size = 0;;) {
    const auto end = received.find('\n', size);
    if (std::min(end, received.size()) >= kMaxHeadBytes) return stop("the head is too large", 431);
    if (end == std::string_view::npos) return std::unexpected(Stop(NeedMore{}));
    auto line = received.substr(size, end - size);
    if (line.ends_with('\r')) line.remove_suffix(1);
    size = end + 1;
    if (line.empty()) return lines;
    if (lines.size() > kMaxResponseFields) return stop("too many header fields", 431);
    lines.push_back(line);
  }
}

std::string_view without_trailing_blanks(std::string_view text) {
  return text.substr(0, text.find_last_not_of(" \t") + 1);
}

Step<std::vector<LooseField>> loose_fields(const std::vector<std::string_view>& lines) {
  std::vector<LooseField> fields;
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const auto line = lines[i];
    if (line.front() == ' ' || line.front() == '\t') {
      if (fields.empty()) return stop("a folded line before the first field");
      fields.back().value.append(" ").append(trimmed(line));
      continue;
    }
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return stop("a field line without a colon");
    fields.push_back({without_trailing_blanks(line.substr(0, colon)), std::string(trimmed(line.substr(colon + 1)))});
  }
  return fields;
}

// The one number that a list of lengths repeats, without leading zeros.
std::optional<std::string> length_in(std::string_view list) {
  std::optional<std::string> length;
  bool agree = !list.empty() && list.back() != ',';
  for_each_element(list, [&](std::string_view element) {
    const bool number = std::ranges::all_of(element, is_digit);
    const auto digits = element.substr(std::min(element.find_first_not_of('0'), element.size() - 1));
    agree = agree && number && (!length || *length == digits);
    length = digits;
  });
  return agree ? length : std::nullopt;
}

void unite_lengths(std::vector<LooseField>& fields) {
  LooseField* first = nullptr;
  for (auto& field : fields) {
    if (!field.is("content-length")) continue;
    const auto length = length_in(field.value);
    if (!length || (first != nullptr && first->value != *length)) return;  // stays, and is refused
    field.value = *length;
    field.left_out = first != nullptr;
    if (first == nullptr) first = &field;
  }
}

// `chunked` as often as it was written, and nothing else: one coding.
void unite_codings(std::vector<LooseField>& fields) {
  const auto is_chunked_alone = [](std::string_view list) {
    bool alone = !list.empty();
    for_each_element(list, [&](std::string_view element) { alone = alone && same_ignoring_case(element, "chunked"); });
    return alone;
  };
  LooseField* first = nullptr;
  for (auto& field : fields) {
    if (!field.is("transfer-encoding")) continue;
    if (!is_chunked_alone(field.value)) return;  // stays, and is refused
    field.value = "chunked";
    field.left_out = first != nullptr;
    if (first == nullptr) first = &field;
  }
}

void clean_connection(LooseField& field) {
  std::string kept;
  for_each_element(field.value, [&](std::string_view element) {
    const bool frames = is_one_of(element, {"content-length", "host", "transfer-encoding"});
    if (!frames && is_token(element)) kept.append(kept.empty() ? "" : ", ").append(element);
  });
  field.left_out = kept.empty();
  field.value = std::move(kept);
}

void leave_out_odd_names(std::vector<LooseField>& fields) {
  for (auto& field : fields) {
    if (field.is("connection")) clean_connection(field);
    const bool odd = !is_token(field.name) && std::ranges::all_of(field.name, is_value_char);
    field.left_out = field.left_out || odd || is_framing_look_alike(field.name);
  }
}

bool has_coding(const std::vector<LooseField>& fields) {
  return std::ranges::any_of(fields,
                             [](const LooseField& field) { return field.is("transfer-encoding") && !field.left_out; });
}

// True: the connection is to close after this answer.
bool leave_out_framing(std::vector<LooseField>& fields, bool never_a_body) {
  bool any = false;
  for (auto& field : fields) {
    const bool coding = field.is("transfer-encoding");
    const bool identity = coding && same_ignoring_case(field.value, "identity");
    const bool about_a_body = coding || (field.is("content-length") && field.value != "0");
    if (!identity && !(never_a_body && about_a_body)) continue;
    field.left_out = any = true;
  }
  return any;
}

}  // namespace

Step<PlainHead> plain_response_head(std::string_view received) {
  PlainHead head;
  SR_LET(lines, loose_lines(received, head.size));
  if (lines->empty()) return stop("an empty line before the status line");
  SR_LET(fields, loose_fields(*lines));
  leave_out_odd_names(*fields);
  unite_lengths(*fields);
  unite_codings(*fields);
  constexpr std::size_t kStatusAt = 9;
  const auto& status_line = lines->front();
  const bool no_content = status_line.size() > kStatusAt && status_line.substr(kStatusAt, 3) == "204";
  bool closes = leave_out_framing(*fields, no_content);
  constexpr std::string_view kHttp10 = "HTTP/1.0";
  const bool raised = status_line.starts_with(kHttp10) && has_coding(*fields);
  closes = closes || raised;
  head.text.reserve(head.size + 2 * lines->size() + kConnectionClose.size() + 2);
  head.text.append(raised ? "HTTP/1.1" : status_line.substr(0, kHttp10.size()));
  head.text.append(status_line.substr(kHttp10.size())).append("\r\n");
  for (const auto& field : *fields) {
    if (!field.left_out) head.text.append(field.name).append(": ").append(field.value).append("\r\n");
  }
  head.text.append(closes ? kConnectionClose : "").append("\r\n");
  return head;
}

}  // namespace soleroute::sniffer::http1
