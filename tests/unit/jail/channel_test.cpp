// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/channel.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>

namespace soleroute::gateway::jail {
namespace {

std::pair<Channel, Channel> make() {
  return std::move(*Channel::make());
}

Message text_message(MessageKind kind, int value, std::string text) {
  return {.kind = kind, .value = value, .text = std::move(text), .fds = {}};
}

base::Fd numbered_file(int number) {
  base::Fd file(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  EXPECT_EQ(::write(file.get(), &number, sizeof number), static_cast<ssize_t>(sizeof number));
  return file;
}

int number_in(const base::Fd& file) {
  int number = -1;
  EXPECT_EQ(::pread(file.get(), &number, sizeof number, 0), static_cast<ssize_t>(sizeof number));
  return number;
}

TEST(Channel, CarriesKindValueTextAndSender) {
  auto [outside, inside] = make();
  ASSERT_TRUE(inside.send(text_message(MessageKind::kFailed, EPERM, "line one\nline two")).has_value());
  const auto heard = outside.receive();
  ASSERT_TRUE(heard.has_value() && heard->has_value());
  EXPECT_EQ((*heard)->kind, MessageKind::kFailed);
  EXPECT_EQ((*heard)->value, EPERM);
  EXPECT_EQ((*heard)->text, "line one\nline two");
  EXPECT_EQ((*heard)->sender, ::getpid());
}

TEST(Channel, WhatWasSaidLastIsHeardFromOneThatHasReadNothing) {
  auto [outside, inside] = make();
  ASSERT_TRUE(outside.send(text_message(MessageKind::kTrust, 0, {})).has_value());
  ASSERT_TRUE(inside.send(text_message(MessageKind::kFailed, EPERM, "why")).has_value());
  inside.close();
  const auto heard = outside.receive();
  ASSERT_TRUE(heard.has_value() && heard->has_value());
  EXPECT_EQ((*heard)->text, "why");
  const auto end = outside.receive();
  ASSERT_TRUE(end.has_value());
  EXPECT_FALSE(end->has_value());
}

TEST(Channel, KeepsMessagesApartAndInOrder) {
  auto [outside, inside] = make();
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(outside.send(text_message(MessageKind::kSignal, i, {})).has_value());
  for (int i = 0; i < 20; ++i) EXPECT_EQ((*inside.receive())->value, i);
}

TEST(Channel, HandsOverDescriptorsInOrderCloseOnExec) {
  auto [outside, inside] = make();
  Message message{.kind = MessageKind::kReady, .value = 0, .text = "x", .fds = {}};
  for (int i = 0; i < static_cast<int>(kMaxMessageFds); ++i) message.fds.push_back(numbered_file(i));
  ASSERT_TRUE(inside.send(message).has_value());
  const auto heard = outside.receive();
  ASSERT_TRUE(heard.has_value() && heard->has_value());
  ASSERT_EQ((*heard)->fds.size(), kMaxMessageFds);
  for (std::size_t i = 0; i < kMaxMessageFds; ++i) {
    EXPECT_EQ(number_in((*heard)->fds[i]), static_cast<int>(i));
    EXPECT_EQ(::fcntl((*heard)->fds[i].get(), F_GETFD), FD_CLOEXEC);
  }
}

TEST(Channel, RefusesMoreDescriptorsThanOneMessageTakes) {
  auto [outside, inside] = make();
  Message message{.kind = MessageKind::kReady, .value = 0, .text = {}, .fds = {}};
  for (std::size_t i = 0; i <= kMaxMessageFds; ++i) message.fds.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  EXPECT_FALSE(inside.send(message).has_value());
}

TEST(Channel, CutsTextAtItsBound) {
  auto [outside, inside] = make();
  ASSERT_TRUE(inside.send(text_message(MessageKind::kFailed, 0, std::string(kMaxMessageText + 5, 'x'))).has_value());
  EXPECT_EQ((*outside.receive())->text.size(), kMaxMessageText);
}

TEST(Channel, SaysThatTheOtherSideIsGone) {
  auto [outside, inside] = make();
  ASSERT_TRUE(inside.send(text_message(MessageKind::kStarted, 0, {})).has_value());
  inside.close();
  EXPECT_TRUE((*outside.receive()).has_value());  // what was said before is still heard
  EXPECT_FALSE((*outside.receive()).has_value());
  EXPECT_FALSE(outside.send(text_message(MessageKind::kGo, 0, {})).has_value());  // and no SIGPIPE
}

TEST(Channel, TakesAResetForAnEnd) {
  auto [outside, inside] = make();
  ASSERT_TRUE(outside.send(text_message(MessageKind::kGo, 0, {})).has_value());  // never read
  inside.close();
  const auto heard = outside.receive();
  ASSERT_TRUE(heard.has_value()) << heard.error().message;
  EXPECT_FALSE(heard->has_value());
}

TEST(Channel, RefusesWhatIsNoMessage) {
  for (const std::string& raw : {std::string("x"), std::string("\xff\0\0\0\0\0\0\0", 8)}) {
    auto [outside, inside] = make();
    ASSERT_GT(::send(inside.fd(), raw.data(), raw.size(), 0), 0);
    EXPECT_FALSE(outside.receive().has_value());
  }
}

TEST(Channel, NumbersTheSenderAsTheReceiverDoes) {
  auto [outside, inside] = make();
  const pid_t child = ::fork();
  if (child == 0) {
    static_cast<void>(inside.send(text_message(MessageKind::kStarted, 0, {})));
    ::_exit(0);
  }
  const auto heard = outside.receive();
  EXPECT_EQ((*heard)->sender, child);
  ::waitpid(child, nullptr, 0);
}

}  // namespace
}  // namespace soleroute::gateway::jail
