// Does this compiler destroy a temporary aggregate inside a co_await expression once? g++ 12 does it twice.
// Exit status 0: once. Built and run by cmake/compiler.cmake with nothing but the standard library.
// SPDX-License-Identifier: GPL-3.0-or-later
#include <coroutine>
#include <exception>
#include <utility>

namespace {

int alive = 0;

struct Counted {
  Counted() { ++alive; }
  Counted(const Counted&) { ++alive; }
  Counted(Counted&&) noexcept { ++alive; }
  Counted& operator=(const Counted&) = default;
  Counted& operator=(Counted&&) = default;
  ~Counted() { --alive; }
};

struct Aggregate {
  int number = 0;
  Counted counted;
};

// Runs at once to its end; awaiting it never suspends.
struct Task {
  struct promise_type {
    Task get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
  [[nodiscard]] bool await_ready() const noexcept { return true; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  void await_resume() const noexcept {}
};

Task take_aggregate(Aggregate aggregate) {
  (void)aggregate;
  co_return;
}

template <class Function>
Task take_function(Function function) {
  function();
  co_return;
}

Task probe() {
  co_await take_aggregate(Aggregate{1, Counted{}});
  Counted captured;
  co_await take_function([captured] { (void)captured; });
}

}  // namespace

int main() {
  probe();
  return alive == 0 ? 0 : 1;
}
