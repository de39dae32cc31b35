// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/watch/terminal.h"

#define NCURSES_NOMACROS 1
#include <ncursesw/curses.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace soleroute::gateway::watch {
namespace {

struct CloseFile {
  void operator()(std::FILE* file) const { (void)std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

struct EndScreen {
  void operator()(SCREEN* screen) const {
    ::endwin();
    ::delscreen(screen);
  }
};

constexpr int kEscapeDelayMs = 25;
constexpr int kControlL = 'L' & 0x1f;
constexpr int kDelete = 0x7f;

struct Painted {
  Style style;
  short colour;  // -1: the terminal's own
  attr_t attributes;
};
constexpr std::array kPainted{
    Painted{Style::kPlain, -1, A_NORMAL},       Painted{Style::kBar, -1, A_REVERSE},
    Painted{Style::kHeading, -1, A_BOLD},       Painted{Style::kAllowed, COLOR_GREEN, A_NORMAL},
    Painted{Style::kDenied, COLOR_RED, A_BOLD}, Painted{Style::kWaiting, COLOR_YELLOW, A_BOLD},
    Painted{Style::kQuiet, -1, A_DIM},          Painted{Style::kKey, COLOR_CYAN, A_BOLD},
};

short pair_of(Style style) {
  return static_cast<short>(static_cast<int>(style) + 1);
}

// Without it there are no rows to write to: "dumb", a teletype.
bool can_move_its_cursor() {
  const char* how = ::tigetstr("cup");
  return how != nullptr && how != reinterpret_cast<const char*>(-1);
}

// Terminals that call themselves "xterm-…" understand what xterm does; an image has entries for few names.
SCREEN* screen_for(std::FILE* out, std::FILE* in) {
  if (auto* screen = ::newterm(nullptr, out, in)) return screen;
  const char* name = std::getenv("TERM");
  if (name == nullptr || !std::string_view(name).starts_with("xterm-")) return nullptr;
  auto* screen = ::newterm("xterm-256color", out, in);
  return screen != nullptr ? screen : ::newterm("xterm", out, in);
}

std::optional<Key> key_of(int code) {
  using Kind = Key::Kind;
  constexpr std::array<std::pair<int, Kind>, 15> kKeys{{{KEY_UP, Kind::kUp},
                                                        {KEY_DOWN, Kind::kDown},
                                                        {KEY_PPAGE, Kind::kPageUp},
                                                        {KEY_NPAGE, Kind::kPageDown},
                                                        {KEY_HOME, Kind::kHome},
                                                        {KEY_END, Kind::kEnd},
                                                        {KEY_ENTER, Kind::kEnter},
                                                        {'\r', Kind::kEnter},
                                                        {'\n', Kind::kEnter},
                                                        {KEY_BACKSPACE, Kind::kBackspace},
                                                        {'\b', Kind::kBackspace},
                                                        {kDelete, Kind::kBackspace},
                                                        {'\t', Kind::kTab},
                                                        {KEY_BTAB, Kind::kTab},
                                                        {'\x1b', Kind::kEscape}}};
  for (const auto& [known, kind] : kKeys) {
    if (code == known) return Key{.kind = kind};
  }
  if (code < ' ' || code > '~') return std::nullopt;
  return Key{.kind = Key::Kind::kCharacter, .character = static_cast<char>(code)};
}

// Keys that terminfo does not know arrive as an escape and characters, maybe late: none of these may count as a key
// that a person pressed. The arrows' usual forms are known here too.
class EscapeSequences {
 public:
  enum class Verdict : std::uint8_t { kNotPart, kSwallowed, kEnded };

  Verdict take(int code) {
    if (code == '\x1b') {
      place_ = Place::kAfterEscape;
      text_.clear();
      return Verdict::kNotPart;
    }
    if (place_ == Place::kOutside) return Verdict::kNotPart;
    if (place_ == Place::kAfterEscape) {
      place_ = code == '[' || code == 'O' ? Place::kInside : Place::kOutside;
      return place_ == Place::kInside ? Verdict::kSwallowed : Verdict::kNotPart;
    }
    if (text_.size() < kLongest) text_ += static_cast<char>(code);
    if (code >= ' ' && code < '@') return Verdict::kSwallowed;
    place_ = Place::kOutside;
    return Verdict::kEnded;
  }

  [[nodiscard]] std::optional<Key> key() const {
    using Kind = Key::Kind;
    constexpr std::array<std::pair<std::string_view, Kind>, 6> kKnown{{{"A", Kind::kUp},
                                                                       {"B", Kind::kDown},
                                                                       {"H", Kind::kHome},
                                                                       {"F", Kind::kEnd},
                                                                       {"5~", Kind::kPageUp},
                                                                       {"6~", Kind::kPageDown}}};
    for (const auto& [text, kind] : kKnown) {
      if (text == text_) return Key{.kind = kind};
    }
    return std::nullopt;
  }

 private:
  static constexpr std::size_t kLongest = 16;
  enum class Place : std::uint8_t { kOutside, kAfterEscape, kInside };
  Place place_ = Place::kOutside;
  std::string text_;
};

}  // namespace

struct Terminal::State {
  File out;
  File in;
  std::unique_ptr<SCREEN, EndScreen> screen{};
  int keyboard = -1;
  bool colour = false;
  EscapeSequences sequences{};
};

Terminal::Terminal(std::unique_ptr<State> state) : state_(std::move(state)) {}
Terminal::~Terminal() = default;

base::Result<std::unique_ptr<Terminal>> Terminal::open(bool colour) {
  auto state = std::make_unique<State>();
  if (::isatty(STDOUT_FILENO) != 1) return base::usage_error("standard output is not a terminal");
  const bool typed = ::isatty(STDIN_FILENO) == 1;
  state->out.reset(::fdopen(::dup(STDOUT_FILENO), "w"));
  state->in.reset(typed ? ::fdopen(::dup(STDIN_FILENO), "r") : std::fopen("/dev/tty", "re"));
  if (!state->out || !state->in) return base::errno_error("cannot open the terminal");
  state->screen.reset(screen_for(state->out.get(), state->in.get()));
  if (!state->screen) return base::usage_error("terminfo does not know this terminal (TERM)");
  if (!can_move_its_cursor()) return base::usage_error("this terminal (TERM) shows lines only");
  state->keyboard = ::fileno(state->in.get());
  ::cbreak();
  ::noecho();
  ::nonl();
  ::nodelay(stdscr, true);
  ::keypad(stdscr, true);
  ::set_escdelay(kEscapeDelayMs);
  ::curs_set(0);
  state->colour = colour && ::has_colors() && ::start_color() != ERR && ::use_default_colors() != ERR;
  for (const auto& painted : kPainted) {
    if (state->colour) ::init_pair(pair_of(painted.style), painted.colour, -1);
  }
  return std::unique_ptr<Terminal>(new Terminal(std::move(state)));
}

int Terminal::keyboard() const {
  return state_->keyboard;
}

Size Terminal::size() const {
  return {.rows = ::getmaxy(stdscr), .columns = ::getmaxx(stdscr)};
}

std::vector<Key> Terminal::keys() {
  std::vector<Key> out;
  for (int code = ::wgetch(stdscr); code != ERR; code = ::wgetch(stdscr)) {
    if (code == kControlL) redraw();
    const auto part = state_->sequences.take(code);
    if (part == EscapeSequences::Verdict::kSwallowed) continue;
    const auto key = part == EscapeSequences::Verdict::kEnded ? state_->sequences.key() : key_of(code);
    if (key) out.push_back(*key);
  }
  return out;
}

void Terminal::redraw() {
  ::clearok(stdscr, true);
}

void Terminal::show(std::span<const ScreenLine> lines) {
  ::werase(stdscr);
  int number = 0;
  for (const auto& line : lines) {
    ::wmove(stdscr, number++, 0);
    for (const auto& span : line.spans) {
      const auto& painted = kPainted[static_cast<std::size_t>(span.style)];
      attr_t attributes = painted.attributes | (line.selected ? A_REVERSE : A_NORMAL);
      if (line.selected) attributes &= ~A_DIM;
      const short pair = state_->colour ? pair_of(span.style) : short{0};
      ::wattr_set(stdscr, attributes, pair, nullptr);
      ::waddnstr(stdscr, span.text.data(), static_cast<int>(span.text.size()));
    }
  }
  ::wattr_set(stdscr, A_NORMAL, 0, nullptr);
  ::wrefresh(stdscr);
}

}  // namespace soleroute::gateway::watch
