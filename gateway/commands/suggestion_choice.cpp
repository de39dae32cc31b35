// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/commands/suggestion_choice.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <string_view>
#include <utility>

#include "base/fd.h"
#include "base/text.h"

namespace soleroute::gateway::commands {
namespace {

using Line = audit::PolicyLines::Line;

constexpr std::size_t kLongestAnswer = 100;

class Terminal {
 public:
  Terminal() : tty_(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)) {}
  [[nodiscard]] explicit operator bool() const { return static_cast<bool>(tty_); }

  // The answer's first letter; '\n' for an empty one; '\0' at the end of the input.
  [[nodiscard]] char ask(std::string_view question) const {
    if (!base::write_all(tty_.get(), question)) return '\0';
    std::string answer;
    for (;;) {
      char c = 0;
      const ssize_t count = ::read(tty_.get(), &c, 1);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return '\0';
      if (c == '\n') return answer.empty() ? '\n' : answer.front();
      if (answer.size() < kLongestAnswer) answer += c;
    }
  }

 private:
  base::Fd tty_;
};

struct Question {
  const Line* line = nullptr;
  std::string service{};  // that could be named instead
  bool doubtful = false;
};

std::vector<Question> questions_about(const PolicySuggestion& suggestion) {
  std::vector<Question> out;
  for (const auto& line : suggestion.lines) {
    out.push_back({.line = &line, .service = line.list == "domains" ? service_of(line.item) : std::string{}});
  }
  for (const auto& line : suggestion.left_out) out.push_back({.line = &line, .doubtful = true});
  return out;
}

std::string text_of(const Question& question, std::size_t number, std::size_t count) {
  const Line& line = *question.line;
  const std::string service =
      question.service.empty() ? "" : fmt::format("[s] the whole service {}, ", question.service);
  return fmt::format("{} of {}: {}: {}  ({}{})\nAdd it? [y]es, [N]o, {}{}[q]uit without a change: ", number, count,
                     line.list, base::shown(line.item), question.doubtful ? "careful: " : "", line.demand, service,
                     question.doubtful ? "" : "[a]ll ordinary ones from here, ");
}

policy::NewEntry entry_of(const Line& line) {
  return {.list = line.list, .item = line.item, .remark = line.remark};
}

}  // namespace

base::Result<std::vector<policy::NewEntry>> choose_lines(const PolicySuggestion& suggestion) {
  const Terminal terminal;
  if (!terminal) return base::usage_error("--interactive needs a terminal; use --apply without one");
  const auto questions = questions_about(suggestion);
  std::vector<policy::NewEntry> chosen;
  bool all = false;
  for (std::size_t i = 0; i < questions.size(); ++i) {
    const Question& question = questions[i];
    all = all && !question.doubtful;
    const char answer = all ? 'y' : terminal.ask(text_of(question, i + 1, questions.size()));
    if (answer == 'q' || answer == '\0') return std::vector<policy::NewEntry>{};
    if (answer == 'a' && !question.doubtful) all = true;
    if (answer == 's' && !question.service.empty()) chosen.push_back({.list = "services", .item = question.service});
    if (answer == 'y' || answer == 'Y' || all) chosen.push_back(entry_of(*question.line));
  }
  return chosen;
}

}  // namespace soleroute::gateway::commands
