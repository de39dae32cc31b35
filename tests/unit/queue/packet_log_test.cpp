// The packet log over a real NFQUEUE: rules, queue and refused flows in a network namespace made for the test, the
// log's process outside of it, as root and as a user without any privilege.
// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/queue/packet_log.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "gateway/queue/nfqueue.h"
#include "netrules/kernel.h"
#include "netrules/plan.h"
#include "netrules/ruleset.h"
#include "tests/support/await.h"
#include "tests/support/recording_log.h"

namespace soleroute::gateway::queue {
namespace {

using ::testing::Contains;
using ::testing::IsSupersetOf;

constexpr const char* kAgent = "100.64.0.1";
constexpr const char* kGateway = "100.64.0.2";  // where denied names lead; no interface has it

// --- Inside: the namespace without a cable, as a jail makes it ---

bool write_file(const char* path, const std::string& text) {
  const base::Fd fd(::open(path, O_WRONLY | O_CLOEXEC));
  return fd && ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

bool enter_namespaces() {
  const auto uid = ::getuid();
  const auto gid = ::getgid();
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return false;
  return write_file("/proc/self/setgroups", "deny") && write_file("/proc/self/uid_map", fmt::format("0 {} 1", uid)) &&
         write_file("/proc/self/gid_map", fmt::format("0 {} 1", gid));
}

bool raise_loopback() {
  return std::system(
             "ip link set lo up && ip address add 100.64.0.1/32 dev lo && "
             "ip route add default dev lo src 100.64.0.1 && ip -6 address add fd64::1/128 dev lo nodad && "
             "ip -6 route add default dev lo src fd64::1") == 0;
}

// What keeps a flood from the queue at all: without it the queue itself is tested.
void lift_rate_limits(netrules::Ruleset& rules) {
  for (auto& chain : rules.chains) {
    for (auto& rule : chain.rules) {
      std::erase_if(rule.matches,
                    [](const auto& match) { return std::holds_alternative<netrules::WithinRate>(match); });
    }
  }
}

enum class Rates { kLimited, kUnlimited };

// Empty, or what went wrong.
std::string program_rules(Rates rates) {
  const auto kernel = netrules::make_kernel();
  const auto features = kernel->probe();
  if (!features) return features.error().message;
  netrules::Intent intent;
  intent.topology = netrules::Topology::kJail;
  intent.redirect_port = 8443;
  intent.dns_port = 5353;
  intent.packet_queue = kPacketQueue;
  intent.native_queue = features->native_queue;
  auto rules = netrules::open_rules(intent);
  if (!rules) return rules.error().message;
  if (rates == Rates::kUnlimited) lift_rate_limits(*rules);
  const auto applied = kernel->apply(*rules);
  return applied ? "" : applied.error().message;
}

// How a connection attempt ended; a namespace whose packets are held by nobody answers ETIMEDOUT.
int connect_error(const char* to, std::uint16_t port) {
  const base::Endpoint remote{base::IpAddress::parse(to).value(), port};
  sockaddr_storage address{};
  const auto length = static_cast<socklen_t>(remote.to_sockaddr(address));
  const base::Fd fd(::socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  pollfd wait{fd.get(), POLLOUT, 0};
  if (::poll(&wait, 1, 10000) != 1) return ETIMEDOUT;
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

int send_udp(const char* to, std::uint16_t port, const std::string& payload) {
  const base::Endpoint remote{base::IpAddress::parse(to).value(), port};
  sockaddr_storage address{};
  const auto length = static_cast<socklen_t>(remote.to_sockaddr(address));
  const base::Fd fd(::socket(address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0) return errno;
  return ::send(fd.get(), payload.data(), payload.size(), 0) < 0 ? errno : 0;
}

int send_ping(const char* to) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  ::inet_pton(AF_INET, to, &address.sin_addr);
  const base::Fd fd(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP));
  const std::array<char, 8> echo{8, 0, static_cast<char>(0xf7), static_cast<char>(0xff), 0, 0, 0, 0};
  return ::sendto(fd.get(), echo.data(), echo.size(), 0, reinterpret_cast<const sockaddr*>(&address), sizeof address) <
                 0
             ? errno
             : 0;
}

// --- The two processes and what they say to each other ---

bool send_line(int channel, const std::string& line, int fd = -1) {
  std::string text = line;
  iovec data{text.data(), text.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  if (fd >= 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  }
  return ::sendmsg(channel, &message, MSG_NOSIGNAL) >= 0;
}

struct Line {
  std::string text;
  base::Fd fd;
};
Line receive_line(int channel) {
  std::array<char, 4096> text{};
  iovec data{text.data(), text.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t size = ::recvmsg(channel, &message, MSG_CMSG_CLOEXEC);
  Line line;
  if (size > 0) line.text.assign(text.data(), static_cast<std::size_t>(size));
  if (const cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr) {
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
    line.fd.reset(fd);
  }
  return line;
}

// Prepares the namespace, hands the queue out, and then does what it is told until the channel ends.
[[noreturn]] void live_inside(int channel, Rates rates, const std::function<std::string(const std::string&)>& act) {
  std::string fault;
  if (!enter_namespaces()) fault = fmt::format("no namespaces: {}", std::strerror(errno));
  if (fault.empty() && !raise_loopback()) fault = "no loopback";
  if (fault.empty()) fault = program_rules(rates);
  auto queue = fault.empty() ? open_packet_queue(kPacketQueue) : base::Result<base::Fd>(base::Fd());
  if (!queue) fault = queue.error().message;
  (void)send_line(channel, fault.empty() ? "ready" : fault, fault.empty() ? queue->get() : -1);
  queue = base::Fd();  // only the process outside holds it
  for (Line line = receive_line(channel); !line.text.empty(); line = receive_line(channel)) {
    (void)send_line(channel, act(line.text));
  }
  ::_exit(0);
}

// What the process outside sees: the log of a namespace that it does not live in.
struct Outside {
  explicit Outside(const std::function<std::string(const std::string&)>& act, Rates rates = Rates::kLimited) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return;
    pid = ::fork();
    if (pid == 0) {
      ::close(ends[0]);
      live_inside(ends[1], rates, act);
    }
    ::close(ends[1]);
    channel.reset(ends[0]);
    Line line = receive_line(channel.get());
    greeting = line.text;
    const policy::PolicySource source{"policy.yaml", "domains: [allowed.test]\n"};
    policy = policy::Policy::compile(std::span(&source, 1)).value();
    names->set_own_addresses({base::IpAddress::parse(kGateway).value()});
    names->asked(base::IpAddress::parse(kAgent).value(), base::HostName::parse("evil.test").value(), true);
    packets.emplace(io, std::move(line.fd), kPacketQueue, [this] { return policy; }, names, log, counters);
  }
  ~Outside() {
    channel.reset();
    ::waitpid(pid, nullptr, 0);
  }
  // The answer of the inside, the log's loop running meanwhile.
  std::string tell(const std::string& command) {
    (void)send_line(channel.get(), command);
    pollfd wait{channel.get(), POLLIN, 0};
    testing::run_until(io, [&] { return ::poll(&wait, 1, 0) == 1; });
    return receive_line(channel.get()).text;
  }
  void wait_for_records(std::size_t count) {
    try {
      testing::run_until(io, [&] { return log.records().size() >= count; });
    } catch (const std::exception&) {
      ADD_FAILURE() << "only: " << ::testing::PrintToString(summary());
    }
  }
  [[nodiscard]] std::vector<std::string> summary() const {
    std::vector<std::string> lines;
    for (const auto& r : log.records())
      lines.push_back(fmt::format("{} {} {} {}", r.reason, r.destination, r.detail, r.host));
    return lines;
  }

  boost::asio::io_context io{1};
  testing::RecordingLog log;
  audit::Counters counters;
  std::shared_ptr<dns::ReverseNames> names = std::make_shared<dns::ReverseNames>();
  std::shared_ptr<const policy::Policy> policy;
  std::optional<PacketLog> packets;
  base::Fd channel;
  std::string greeting;
  pid_t pid = -1;
};

constexpr uid_t kNobody = 65534;

// Runs `body` in a process of its own, without privilege if asked; its failures are this test's.
void in_a_process(bool unprivileged, const std::function<void()>& body) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    const bool drop = unprivileged && ::geteuid() == 0;
    if (drop && (::setgid(kNobody) != 0 || ::setuid(kNobody) != 0)) ::_exit(2);
    ::prctl(PR_SET_DUMPABLE, 1);  // setuid() made /proc/self root's
    try {
      body();
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what();
    }
    ::_exit(::testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_EQ(status, 0) << "see the failures above";
}

struct PacketLogOf : ::testing::TestWithParam<bool> {};  // without privilege?
INSTANTIATE_TEST_SUITE_P(Privilege, PacketLogOf, ::testing::Bool(), [](const auto& which) {
  return which.param ? std::string("AsNobody") : std::string("AsRoot");
});

std::string try_every_kind(const std::string&) {
  const std::string quic =
      std::string("\xc3\0\0\0\1\10", 6) + "12345678" + std::string(2, '\0') + "\x44\xd0" + std::string(1200, 'x');
  std::string outcome = fmt::format("{} ", connect_error("45.33.32.66", 9999));
  outcome += fmt::format("{} ", connect_error("2606:2800::66", 25));
  outcome += fmt::format("{} ", connect_error(kGateway, 22));
  send_udp("45.33.32.66", 9998, "hello");
  send_udp("45.33.32.66", 443, quic);
  send_udp("2606:2800::66", 443, quic);
  send_ping("45.33.32.66");
  return outcome;
}

TEST_P(PacketLogOf, NamesEveryRefusedFlowOfANamespaceItDoesNotLiveIn) {
  in_a_process(GetParam(), [] {
    Outside outside(try_every_kind);
    ASSERT_EQ(outside.greeting, "ready");
    outside.packets->start();
    // Refused at once by the rules behind the queue, and only because the log let the packets go on to them.
    EXPECT_EQ(outside.tell("go"), fmt::format("{0} {0} {0} ", ECONNREFUSED));
    outside.wait_for_records(7);
    EXPECT_THAT(outside.summary(), IsSupersetOf({
                                       "endpoint_not_allowed 45.33.32.66:9999 tcp ",
                                       "endpoint_not_allowed [2606:2800::66]:25 tcp ",
                                       "host_not_allowed 100.64.0.2:22 tcp, this gateway evil.test",
                                       "endpoint_not_allowed 45.33.32.66:9998 udp ",
                                       "quic_refused 45.33.32.66:443 udp, quic version 1 ",
                                       "quic_refused [2606:2800::66]:443 udp, quic version 1 ",
                                       "endpoint_not_allowed 45.33.32.66 icmp type 8 ",
                                   }));
    EXPECT_EQ(outside.log.records().at(0).client.to_string(), kAgent);
    EXPECT_EQ(outside.counters.packets_logged.load(), 7U);
  });
}

std::string flood(const std::string& command) {
  if (command == "one more") return fmt::format("{}", connect_error("45.33.32.66", 7777));
  for (int i = 0; i < 20000; ++i) send_udp("45.33.32.66", static_cast<std::uint16_t>(1024 + i), "x");
  return "done";
}

TEST_P(PacketLogOf, SurvivesAFloodAndStaysBounded) {
  in_a_process(GetParam(), [] {
    Outside outside(flood, Rates::kUnlimited);
    ASSERT_EQ(outside.greeting, "ready");
    (void)send_line(outside.channel.get(), "flood");  // before anybody reads the queue
    EXPECT_EQ(receive_line(outside.channel.get()).text, "done") << "senders are not held up";
    outside.packets->start();
    EXPECT_EQ(outside.tell("one more"), std::to_string(ECONNREFUSED));
    outside.wait_for_records(1);
    testing::run_until(outside.io, [&] { return outside.counters.packets_suppressed > 0; });
    EXPECT_LE(outside.log.records().size(), 200U);
    outside.packets->stop();
  });
}

TEST(PacketQueue, ASecondReaderIsToldThatItIsTaken) {
  in_a_process(false, [] {
    ASSERT_TRUE(enter_namespaces());
    const auto first = open_packet_queue(kPacketQueue);
    ASSERT_TRUE(first) << first.error().message;
    const auto second = open_packet_queue(kPacketQueue);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().sys_errno, EBUSY);
    EXPECT_NE(second.error().message.find("packet queue 19: in use"), std::string::npos) << second.error().message;
    EXPECT_TRUE(open_packet_queue(kPacketQueue + 1)) << "control";
  });
}

TEST(PacketQueue, WithoutPrivilegeTheErrorSaysWhatIsNeeded) {
  in_a_process(true, [] {
    const auto queue = open_packet_queue(kPacketQueue);
    ASSERT_FALSE(queue);
    EXPECT_NE(queue.error().message.find("CAP_NET_ADMIN"), std::string::npos) << queue.error().message;
  });
}

TEST(NfqueueMessages, NonsenseFromTheSocketIsNotFollowed) {
  std::vector<std::byte> bytes(64, std::byte{0xff});
  int seen = 0;
  const auto count = [&](std::uint32_t, base::Bytes) { ++seen; };
  EXPECT_EQ(each_packet(bytes, count), Messages::kNotOfTheKernel);
  EXPECT_EQ(each_packet({}, count), Messages::kSound) << "nothing is nothing";
  EXPECT_EQ(seen, 0);
}

}  // namespace
}  // namespace soleroute::gateway::queue
