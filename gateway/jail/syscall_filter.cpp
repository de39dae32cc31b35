// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/syscall_filter.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>

namespace soleroute::gateway::jail {
namespace {

static_assert(std::endian::native == std::endian::little, "the low half of an argument comes first");

// The system calls that are looked at, by architecture.
struct CallNumbers {
  std::uint32_t architecture;
  std::uint32_t ioctl;
  std::uint32_t socket;
  std::uint32_t socketpair;
  std::uint32_t io_uring_setup;
  std::uint32_t socketcall;               // kNone where there is none
  std::array<std::uint32_t, 3> keyrings;  // add_key, request_key, keyctl
};
constexpr std::uint32_t kNone = UINT32_MAX;

#if defined(__x86_64__)
constexpr std::uint32_t kX32Bit = 0x40000000;
constexpr std::array kArchitectures{
    CallNumbers{AUDIT_ARCH_X86_64,
                SYS_ioctl,
                SYS_socket,
                SYS_socketpair,
                SYS_io_uring_setup,
                kNone,
                {SYS_add_key, SYS_request_key, SYS_keyctl}},
    CallNumbers{AUDIT_ARCH_I386, 54, 359, 360, 425, 102, {286, 287, 288}},  // arch/x86/entry/syscalls/syscall_32.tbl
};
#elif defined(__aarch64__)
constexpr std::array kArchitectures{
    CallNumbers{AUDIT_ARCH_AARCH64,
                SYS_ioctl,
                SYS_socket,
                SYS_socketpair,
                SYS_io_uring_setup,
                kNone,
                {SYS_add_key, SYS_request_key, SYS_keyctl}},
    CallNumbers{AUDIT_ARCH_ARM, 54, 281, 288, 425, 102, {309, 310, 311}},  // arch/arm/tools/syscall.tbl
};
#else
#error "state the system call numbers of this architecture"
#endif

constexpr std::array<std::uint32_t, 6> kFamilies{AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_ALG};
constexpr std::array<std::uint32_t, 2> kTerminalInput{TIOCSTI, 0x541C};  // TIOCLINUX: ioctl_console(2)

constexpr std::uint32_t kAllow = SECCOMP_RET_ALLOW;
constexpr std::uint32_t refuse(std::uint32_t err) {
  return SECCOMP_RET_ERRNO | err;
}

sock_filter load(std::size_t offset) {
  return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset));
}
sock_filter answer(std::uint32_t action) {
  return BPF_STMT(BPF_RET | BPF_K, action);
}
sock_filter if_equal(std::uint32_t value, std::uint8_t yes, std::uint8_t no) {
  return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no);
}

// The kernel takes these arguments as 32-bit numbers, so the high half must not be looked at (CVE-2019-10063).
std::size_t low_half_of_argument(std::size_t index) {
  return offsetof(seccomp_data, args) + index * sizeof(__u64);
}

void append(std::vector<sock_filter>& program, std::span<const sock_filter> part) {
  program.insert(program.end(), part.begin(), part.end());
}

// "Is the loaded call this one? Then do `body`, which answers; else go on."
void on_call(std::vector<sock_filter>& program, std::uint32_t number, std::span<const sock_filter> body) {
  if (number == kNone) return;
  program.push_back(if_equal(number, 0, static_cast<std::uint8_t>(body.size())));
  append(program, body);
}

// Answers `listed` if the argument is among the values, else `other`.
std::vector<sock_filter> by_argument(std::size_t index, std::span<const std::uint32_t> values, std::uint32_t listed,
                                     std::uint32_t other) {
  std::vector<sock_filter> body{load(low_half_of_argument(index))};
  for (std::size_t i = 0; i < values.size(); ++i) {
    body.push_back(if_equal(values[i], static_cast<std::uint8_t>(values.size() - i), 0));
  }
  body.push_back(answer(other));
  body.push_back(answer(listed));
  return body;
}

std::vector<sock_filter> checks(const CallNumbers& calls) {
  const auto terminal = by_argument(1, kTerminalInput, refuse(EPERM), kAllow);
  const auto family = by_argument(0, kFamilies, kAllow, refuse(EAFNOSUPPORT));
  const std::array<sock_filter, 1> absent{answer(refuse(ENOSYS))};
  std::vector<sock_filter> program{load(offsetof(seccomp_data, nr))};
#if defined(__x86_64__)
  // x32 shares the architecture's number; hardly any kernel has it on.
  program.push_back(BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, kX32Bit, 0, 1));
  program.push_back(absent[0]);
#endif
  on_call(program, calls.ioctl, terminal);
  on_call(program, calls.socket, family);
  on_call(program, calls.socketpair, family);
  on_call(program, calls.io_uring_setup, absent);
  on_call(program, calls.socketcall, absent);
  for (const std::uint32_t keyring : calls.keyrings) on_call(program, keyring, absent);
  program.push_back(answer(kAllow));
  return program;
}

}  // namespace

std::vector<sock_filter> syscall_filter() {
  std::vector<sock_filter> program{load(offsetof(seccomp_data, arch))};
  for (const CallNumbers& calls : kArchitectures) {
    const std::vector<sock_filter> body = checks(calls);
    program.push_back(if_equal(calls.architecture, 0, static_cast<std::uint8_t>(body.size())));
    append(program, body);
  }
  program.push_back(answer(refuse(ENOSYS)));
  return program;
}

base::Status install_syscall_filter() {
  std::vector<sock_filter> program = syscall_filter();
  const sock_fprog handle{static_cast<unsigned short>(program.size()), program.data()};
  if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &handle, 0, 0) != 0) {
    return base::errno_error("cannot install the system call filter");
  }
  return {};
}

}  // namespace soleroute::gateway::jail
