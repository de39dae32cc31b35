// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/syscall_filter.h"

#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <vector>

namespace soleroute::gateway::jail {
namespace {

// As the kernel runs such a program, for the instructions that this one uses.
std::uint32_t evaluate(const std::vector<sock_filter>& program, const seccomp_data& data) {
  std::array<std::byte, sizeof data> bytes{};
  std::memcpy(bytes.data(), &data, sizeof data);
  std::uint32_t accumulator = 0;
  for (std::size_t at = 0; at < program.size(); ++at) {
    const sock_filter& one = program[at];
    switch (one.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        std::memcpy(&accumulator, bytes.data() + one.k, sizeof accumulator);
        break;
      case BPF_JMP | BPF_JEQ | BPF_K:
        at += accumulator == one.k ? one.jt : one.jf;
        break;
      case BPF_JMP | BPF_JGE | BPF_K:
        at += accumulator >= one.k ? one.jt : one.jf;
        break;
      case BPF_RET | BPF_K:
        return one.k;
      default:
        ADD_FAILURE() << "unknown instruction " << one.code;
        return 0;
    }
  }
  ADD_FAILURE() << "the program ran off its end";
  return 0;
}

struct Call {
  const char* reason;
  std::uint32_t arch;
  int nr;
  std::uint64_t first;
  std::uint64_t second;
  std::uint32_t expected;
};

constexpr std::uint32_t kAllowed = SECCOMP_RET_ALLOW;
constexpr std::uint32_t refused(std::uint32_t err) {
  return SECCOMP_RET_ERRNO | err;
}

void expect_all(const std::vector<Call>& calls) {
  const auto program = syscall_filter();
  ASSERT_LE(program.size(), static_cast<std::size_t>(BPF_MAXINSNS));
  for (const Call& call : calls) {
    const seccomp_data data{
        .nr = call.nr, .arch = call.arch, .instruction_pointer = 0, .args = {call.first, call.second, 0, 0, 0, 0}};
    EXPECT_EQ(evaluate(program, data), call.expected) << call.reason;
  }
}

#if defined(__x86_64__)
constexpr std::uint32_t kNative = AUDIT_ARCH_X86_64;
#else
constexpr std::uint32_t kNative = AUDIT_ARCH_AARCH64;
#endif

constexpr std::uint64_t kHighBits = 0xffffffff00000000;

TEST(SyscallFilter, DecidesAsStated) {
  expect_all({
      {"an ordinary call", kNative, SYS_read, 0, 0, kAllowed},
      {"a terminal's modes", kNative, SYS_ioctl, 0, TCGETS, kAllowed},
      {"injected keystrokes", kNative, SYS_ioctl, 0, TIOCSTI, refused(EPERM)},
      {"the same with bits the kernel ignores", kNative, SYS_ioctl, 0, kHighBits | TIOCSTI, refused(EPERM)},
      {"a console's selection", kNative, SYS_ioctl, 0, 0x541C, refused(EPERM)},
      {"a Unix socket", kNative, SYS_socket, AF_UNIX, SOCK_STREAM, kAllowed},
      {"IPv4", kNative, SYS_socket, AF_INET, SOCK_STREAM, kAllowed},
      {"IPv6", kNative, SYS_socket, AF_INET6, SOCK_DGRAM, kAllowed},
      {"netlink: interfaces are listed with it", kNative, SYS_socket, AF_NETLINK, SOCK_RAW, kAllowed},
      {"packets: the kernel refuses by capability", kNative, SYS_socket, AF_PACKET, SOCK_RAW, kAllowed},
      {"the hypervisor", kNative, SYS_socket, AF_VSOCK, SOCK_STREAM, refused(EAFNOSUPPORT)},
      {"the same with bits the kernel ignores", kNative, SYS_socket, kHighBits | AF_VSOCK, 1, refused(EAFNOSUPPORT)},
      {"Bluetooth", kNative, SYS_socket, AF_BLUETOOTH, SOCK_RAW, refused(EAFNOSUPPORT)},
      {"a family to come", kNative, SYS_socket, 77, SOCK_STREAM, refused(EAFNOSUPPORT)},
      {"a pair of Unix sockets", kNative, SYS_socketpair, AF_UNIX, SOCK_STREAM, kAllowed},
      {"a pair of another family", kNative, SYS_socketpair, AF_TIPC, SOCK_STREAM, refused(EAFNOSUPPORT)},
      {"io_uring", kNative, SYS_io_uring_setup, 8, 0, refused(ENOSYS)},
      {"a key is added", kNative, SYS_add_key, 0, 0, refused(ENOSYS)},
      {"a key is asked for, outside", kNative, SYS_request_key, 0, 0, refused(ENOSYS)},
      {"keyrings", kNative, SYS_keyctl, 0, 0, refused(ENOSYS)},
      {"another architecture", AUDIT_ARCH_PPC64LE, SYS_read, 0, 0, refused(ENOSYS)},
  });
}

#if defined(__x86_64__)
TEST(SyscallFilter, HoldsForThe32BitArchitecturesToo) {
  expect_all({
      {"an ordinary call", AUDIT_ARCH_I386, 3, 0, 0, kAllowed},
      {"injected keystrokes", AUDIT_ARCH_I386, 54, 0, TIOCSTI, refused(EPERM)},
      {"a terminal's modes", AUDIT_ARCH_I386, 54, 0, TCGETS, kAllowed},
      {"IPv4", AUDIT_ARCH_I386, 359, AF_INET, SOCK_STREAM, kAllowed},
      {"the hypervisor", AUDIT_ARCH_I386, 359, AF_VSOCK, SOCK_STREAM, refused(EAFNOSUPPORT)},
      {"arguments in memory", AUDIT_ARCH_I386, 102, 1, 0, refused(ENOSYS)},
      {"io_uring", AUDIT_ARCH_I386, 425, 8, 0, refused(ENOSYS)},
      {"a key is asked for, outside", AUDIT_ARCH_I386, 287, 0, 0, refused(ENOSYS)},
      {"keyrings", AUDIT_ARCH_I386, 288, 0, 0, refused(ENOSYS)},
      {"x32", AUDIT_ARCH_X86_64, 0x40000000 | 41, AF_VSOCK, SOCK_STREAM, refused(ENOSYS)},
      {"native number 102 is getuid", AUDIT_ARCH_X86_64, 102, 0, 0, kAllowed},
  });
}
#endif

}  // namespace
}  // namespace soleroute::gateway::jail
