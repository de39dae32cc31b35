// SPDX-License-Identifier: GPL-3.0-or-later
#include "sniffer/http1_plain.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "sniffer/http1_text.h"

namespace soleroute::sniffer::http1 {
namespace {

constexpr std::string_view kConnectionClose = "Connection: close\r\n";
constexpr std::string_view kHttp10 = "HTTP/1.0";
constexpr std::string_view kHttp11 = "HTTP/1.1";
constexpr std::size_t kMaxEmptyLines = 4;  // before the status line

struct LooseField {
  std::string_view name;
  std::string value;
  bool odd_form = false;  // not every reader takes it for a field of this name and value
  bool left_out = false;

  [[nodiscard]] bool is(std::string_view lowered) const { return !left_out && same_ignoring_case(name, lowered); }
};

struct StatusLine {
  std::string_view version = kHttp11;
  std::string_view code;
  std::string reason{};  // with the blank before it

  [[nodiscard]] bool interim() const { return code.front() == '1'; }
  [[nodiscard]] bool never_a_body() const { return interim() || code == "204"; }
  [[nodiscard]] bool not_modified() const { return code == "304"; }
};

struct LooseHead {
  StatusLine status;
  std::vector<LooseField> fields;
  std::size_t size = 0;
  bool doubtful = false;
};

bool has_nul(std::string_view text) {
  return text.contains('\0');
}

std::string without_controls(std::string_view text) {
  std::string out(text);
  std::ranges::replace_if(out, [](char c) { return !is_value_char(c); }, ' ');
  return out;
}

constexpr std::string_view kBlanks = " \t";

std::string_view without_trailing_blanks(std::string_view text) {
  return text.substr(0, text.find_last_not_of(kBlanks) + 1);
}

// The version that the answer is read as, cut off the front.
std::optional<std::string_view> take_version(std::string_view& line, bool& doubtful) {
  constexpr std::string_view kName = "http/";
  constexpr std::string_view kIcy = "ICY";
  if (line.starts_with(kIcy)) {
    doubtful = true;
    line.remove_prefix(kIcy.size());
    return kHttp10;
  }
  if (line.size() < kHttp11.size() || !same_ignoring_case(line.substr(0, kName.size()), kName)) return std::nullopt;
  const auto written = line.substr(0, kHttp11.size());
  if (!is_digit(written[5]) || written[6] != '.' || !is_digit(written[7])) return std::nullopt;
  line.remove_prefix(written.size());
  doubtful = doubtful || (written != kHttp11 && written != kHttp10);
  const bool old = written[5] == '0' || (written[5] == '1' && written[7] == '0');
  return old ? kHttp10 : kHttp11;
}

// RFC 9112 section 4.
Step<StatusLine> loose_status(std::string_view line, bool& doubtful) {
  constexpr std::string_view kFault = "a malformed status line";
  const auto version = take_version(line, doubtful);
  const auto blanks = std::min(line.find_first_not_of(kBlanks), line.size());
  if (!version || blanks == 0) return stop(kFault);
  line.remove_prefix(blanks);
  StatusLine status{.version = *version, .code = line.substr(0, 3)};
  const auto reason = line.substr(status.code.size());
  if (status.code.size() != 3 || !std::ranges::all_of(status.code, is_digit)) return stop(kFault);
  if (!reason.empty() && !kBlanks.contains(reason.front())) return stop(kFault);
  const auto words = trimmed(reason);
  if (!words.empty()) status.reason = " " + without_controls(words);
  return status;
}

// Up to and including the blank line, without the line ends. The first one is the status line, and has been read.
Step<std::vector<std::string_view>> loose_lines(std::string_view received, LooseHead& head) {
  std::vector<std::string_view> lines;
  for (std::size_t empty = 0;;) {
    const auto end = received.find('\n', head.size);
    if (std::min(end, received.size()) >= kMaxHeadBytes) return stop("the head is too large", 431);
    if (end == std::string_view::npos) return std::unexpected(Stop(NeedMore{}));
    auto line = received.substr(head.size, end - head.size);
    if (line.ends_with('\r')) line.remove_suffix(1);
    head.size = end + 1;
    head.doubtful = head.doubtful || line.contains('\r');
    while (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() && !lines.empty()) return lines;
    if (line.empty() && ++empty > kMaxEmptyLines) return stop("empty lines instead of an answer");
    if (line.empty()) continue;
    if (lines.empty()) {
      SR_LET(status, loose_status(line, head.doubtful));
      head.status = std::move(*status);
      head.doubtful = head.doubtful || empty > 0;
    }
    if (lines.size() > kMaxResponseFields) return stop("too many header fields", 431);
    lines.push_back(line);
  }
}

Step<std::vector<LooseField>> loose_fields(const std::vector<std::string_view>& lines) {
  std::vector<LooseField> fields;
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const auto line = lines[i];
    if (has_nul(line)) return stop("a NUL in a header field");
    if (kBlanks.contains(line.front())) {
      if (fields.empty()) return stop("a folded line before the first field");
      fields.back().value.append(" ").append(trimmed(line));
      fields.back().odd_form = true;
      continue;
    }
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return stop("a field line without a colon");
    const auto name = without_trailing_blanks(line.substr(0, colon));
    fields.push_back({.name = name, .value = std::string(line.substr(colon + 1)), .odd_form = name.size() != colon});
  }
  return fields;
}

// The one number that a list of lengths repeats, without leading zeros.
std::optional<std::string> length_in(std::string_view list) {
  std::optional<std::string> length;
  bool agree = !list.empty() && list.back() != ',';
  for_each_element(list, [&](std::string_view element) {
    if (element.size() > 1 && element.front() == '+') element.remove_prefix(1);
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

// What all Transfer-Encoding fields list together.
struct Codings {
  std::size_t fields = 0;
  std::size_t chunked = 0;
  std::size_t identity = 0;
  std::size_t others = 0;
  bool plain = true;  // every one a token

  void add(std::string_view list) {
    ++fields;
    for_each_element(list, [this](std::string_view element) {
      plain = plain && is_token(element);
      const bool is_chunked = same_ignoring_case(element, "chunked");
      const bool is_identity = same_ignoring_case(element, "identity");
      // Nothing follows `chunked` (RFC 9112 section 6.1): to some readers the body then ends with the connection.
      if (chunked > 0 && !is_chunked) plain = false;
      ++(is_chunked ? chunked : is_identity ? identity : others);
    });
  }
};

// `chunked` as often as it was written, and nothing else: one coding. The rest stays, and is refused, except a coding
// that is not chunked: such an answer ends with its connection.
void unite_codings(LooseHead& head) {
  Codings codings;
  for (const auto& field : head.fields) {
    if (field.is("transfer-encoding")) codings.add(field.value);
  }
  if (codings.fields == 0 || !codings.plain || codings.others > 0) return;
  head.doubtful = head.doubtful || codings.chunked != 1 || codings.identity > 0;
  bool kept = codings.chunked == 0;
  for (auto& field : head.fields) {
    if (!field.is("transfer-encoding")) continue;
    field.value = "chunked";
    field.left_out = std::exchange(kept, true);
  }
}

// Of an answer without a body that says what a body would be framed by: only what can be read stays.
void leave_out_unreadable(LooseHead& head) {
  std::optional<std::string> length;
  bool agree = true;
  for (const auto& field : head.fields) {
    if (!field.is("content-length")) continue;
    const auto said = length_in(field.value);
    agree = agree && said && (!length || *length == *said);
    length = said;
  }
  for (auto& field : head.fields) {
    if (!field.is("transfer-encoding") && (agree || !field.is("content-length"))) continue;
    field.left_out = true;
    head.doubtful = true;
  }
}

// Of a message that says its end twice (RFC 9112 section 6.3), and of one that has no body.
void leave_out_framing(LooseHead& head) {
  const bool coded = std::ranges::any_of(head.fields, [](const auto& field) { return field.is("transfer-encoding"); });
  for (auto& field : head.fields) {
    const bool length = field.is("content-length");
    const bool about_a_body = field.is("transfer-encoding") || (length && field.value != "0");
    if (!(length && coded) && !(head.status.never_a_body() && about_a_body)) continue;
    field.left_out = true;
    head.doubtful = true;
  }
  const bool raised = coded && head.status.version == kHttp10 && !head.status.never_a_body();
  if (!raised) return;
  head.status.version = kHttp11;
  head.doubtful = true;
}

void clean_connection(LooseField& field, bool doubtful) {
  std::string kept;
  for_each_element(field.value, [&](std::string_view element) {
    const bool frames = is_one_of(element, {"content-length", "host", "transfer-encoding"});
    const bool said_below = doubtful && is_one_of(element, {"keep-alive", "close"});
    if (!frames && !said_below && is_token(element)) kept.append(kept.empty() ? "" : ", ").append(element);
  });
  field.left_out = kept.empty();
  field.value = std::move(kept);
}

// To a reader that skips what it does not expect in a name.
bool resembles_framing(std::string_view name) {
  std::string letters;
  for (const char c : name) {
    if (is_alnum(c)) letters.push_back(lower(c));
  }
  return letters == "contentlength" || letters == "transferencoding";
}

// Plain names and values; a control character in a field that frames stays, and is refused.
void clean_fields(LooseHead& head) {
  for (auto& field : head.fields) {
    const bool frames = resembles_framing(field.name);
    head.doubtful = head.doubtful || (frames && (field.odd_form || !is_token(field.name)));
    if (!frames) field.value = without_controls(field.value);
    field.value = std::string(trimmed(field.value));
    const bool announces = field.is("te") && same_ignoring_case(field.value.substr(0, 7), "chunked");
    field.left_out = !is_token(field.name) || is_framing_look_alike(field.name) || announces;
  }
}

std::string written(const LooseHead& head) {
  std::string text;
  text.reserve(head.size + 2 * head.fields.size() + kConnectionClose.size() + 4);
  text.append(head.status.version).append(" ").append(head.status.code).append(head.status.reason).append("\r\n");
  for (const auto& field : head.fields) {
    if (!field.left_out) text.append(field.name).append(": ").append(field.value).append("\r\n");
  }
  return text.append(head.doubtful && !head.status.interim() ? kConnectionClose : "").append("\r\n");
}

}  // namespace

bool may_begin_response(std::string_view received) {
  const auto begin = received.find_first_not_of("\r\n");
  if (begin == std::string_view::npos) return true;
  const auto start = received.substr(begin, 5);
  return same_ignoring_case(start, std::string_view("http/").substr(0, start.size())) ||
         start.substr(0, 3) == std::string_view("ICY").substr(0, start.size());
}

Step<PlainHead> plain_response_head(std::string_view received, std::string_view method) {
  LooseHead head;
  SR_LET(lines, loose_lines(received, head));
  SR_LET(fields, loose_fields(*lines));
  head.fields = std::move(*fields);
  clean_fields(head);
  if (method == "HEAD" || head.status.not_modified()) leave_out_unreadable(head);
  unite_codings(head);
  leave_out_framing(head);
  unite_lengths(head.fields);
  for (auto& field : head.fields) {
    if (field.is("connection")) clean_connection(field, head.doubtful);
  }
  return PlainHead{.text = written(head), .size = head.size, .doubtful = head.doubtful};
}

}  // namespace soleroute::sniffer::http1
