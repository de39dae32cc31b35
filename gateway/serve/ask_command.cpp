// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/serve/ask_command.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <csignal>
#include <list>
#include <set>
#include <utility>

#include "base/fd.h"
#include "gateway/audit/json_line.h"
#include "gateway/serve/duration_option.h"

namespace soleroute::gateway::serve {
namespace {

namespace asio = boost::asio;
constexpr auto kAsTuple = asio::as_tuple(asio::use_awaitable);

std::string question_line(const flow::HeldRequests::Request& request) {
  std::string item;
  audit::append_escaped(item, request.item);
  std::string record = audit::to_json_line(request.record, std::chrono::system_clock::now());
  record.pop_back();
  return fmt::format("{{\"id\":{},\"item\":\"{}\",\"decision\":{}}}\n", request.id, item, record);
}

struct Pipe {
  base::Fd read;
  base::Fd write;
};

base::Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return base::errno_error("cannot make a pipe");
  return Pipe{base::Fd(ends[0]), base::Fd(ends[1])};
}

struct Program {
  pid_t pid = 0;
  base::Fd question;  // its standard input
  base::Fd answer;    // its standard output
};

// In a process group of its own, with the signals of a fresh process.
base::Result<Program> start(const std::string& command) {
  SR_LET(question, make_pipe());
  SR_LET(answer, make_pipe());
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_adddup2(&files, question->read.get(), STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&files, answer->write.get(), STDOUT_FILENO);
  sigset_t none;
  sigset_t all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  std::string shell = "/bin/sh";
  std::string flag = "-c";
  std::string script = command;
  const std::array<char*, 4> arguments{shell.data(), flag.data(), script.data(), nullptr};
  Program program;
  const int error = ::posix_spawn(&program.pid, shell.c_str(), &files, &attributes, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&files);
  ::posix_spawnattr_destroy(&attributes);
  if (error != 0) return base::errno_error("cannot start --ask-command", error);
  program.question = std::move(question->write);
  program.answer = std::move(answer->read);
  return program;
}

// Ends the whole group, and leaves no zombie.
void end_group(pid_t pid) {
  ::kill(-pid, SIGKILL);
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace

std::optional<CommandAnswer> parse_command_answer(std::string_view printed) {
  std::string_view line = printed.substr(0, printed.find('\n'));
  while (!line.empty() && (line.back() == ' ' || line.back() == '\r')) line.remove_suffix(1);
  for (const std::string_view verdict : {"once", "always", "no"}) {
    if (line == verdict) return CommandAnswer{.verdict = std::string(verdict)};
  }
  constexpr std::string_view kFor = "for ";
  if (!line.starts_with(kFor)) return std::nullopt;
  const auto lasts = parse_duration("for", line.substr(kFor.size()));
  if (!lasts) return std::nullopt;
  return CommandAnswer{.verdict = "for", .lasts = *lasts};
}

struct AskCommand::State : std::enable_shared_from_this<State> {
  State(asio::io_context& loop, audit::DecisionLog& to, std::string what, Answer how)
      : io(loop), log(to), command(std::move(what)), answer(std::move(how)) {}

  void begin_next() {
    while (!over && running.size() < kAtOnce && !queue.empty()) {
      auto request = std::move(queue.front());
      queue.pop_front();
      if (request.until <= flow::HeldRequests::Clock::now()) continue;
      auto program = start(command);
      if (!program) {
        log.error(program.error().message);
        continue;
      }
      running.insert(program->pid);
      auto task = serve(shared_from_this(), std::move(*program), std::move(request));
      asio::co_spawn(io, std::move(task), [](const std::exception_ptr&) {});
    }
  }

  static asio::awaitable<void> serve(std::shared_ptr<State> self, Program program,
                                     flow::HeldRequests::Request request) {
    asio::posix::stream_descriptor input(self->io, program.question.release());
    asio::posix::stream_descriptor output(self->io, program.answer.release());
    asio::steady_timer deadline(self->io);
    deadline.expires_at(request.until);
    deadline.async_wait([&input, &output](const boost::system::error_code& error) {
      if (error) return;
      input.close();
      output.close();
    });
    const std::string line = question_line(request);
    co_await asio::async_write(input, asio::buffer(line), kAsTuple);  // one that does not read may answer all the same
    boost::system::error_code ignored;
    static_cast<void>(input.close(ignored));
    std::string printed;
    std::array<char, 512> buffer{};
    while (printed.size() < kMaxPrinted) {
      const auto [error, count] = co_await output.async_read_some(asio::buffer(buffer), kAsTuple);
      if (error) break;
      printed.append(buffer.data(), count);
    }
    deadline.cancel();
    self->finish(program.pid, request, printed);
  }

  void finish(pid_t pid, const flow::HeldRequests::Request& request, const std::string& printed) {
    end_group(pid);
    running.erase(pid);
    if (const auto given = parse_command_answer(printed); given && !over) {
      answer(request.id, *given);
    } else if (!over && !printed.empty()) {
      log.error("--ask-command printed no answer that is known: once, for TIME, always or no");
    }
    begin_next();
  }

  asio::io_context& io;
  audit::DecisionLog& log;
  std::string command;
  Answer answer;
  std::list<flow::HeldRequests::Request> queue;
  std::set<pid_t> running;
  bool over = false;
};

AskCommand::AskCommand(asio::io_context& io, audit::DecisionLog& log, std::string command, Answer answer)
    : state_(std::make_shared<State>(io, log, std::move(command), std::move(answer))) {}

AskCommand::~AskCommand() {
  state_->over = true;
  for (const pid_t pid : state_->running) ::kill(-pid, SIGKILL);
}

void AskCommand::ask(flow::HeldRequests::Request request) {
  state_->queue.push_back(std::move(request));
  state_->begin_next();
}

}  // namespace soleroute::gateway::serve
