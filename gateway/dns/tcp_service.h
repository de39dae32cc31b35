// DNS over TCP (RFC 7766): accepts, reads length-prefixed questions, answers them in the order they become known.
// One per worker, on its io_context. Bounded in connections, in questions under way and in bytes unread by the client.
// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>

#include "base/byte_reader.h"
#include "base/fd.h"
#include "base/ip_address.h"
#include "gateway/dns/responder.h"
#include "gateway/net/descriptor_budget.h"

namespace soleroute::gateway::dns {

class TcpService {
 public:
  static constexpr std::size_t kMaxConnections = 128;
  static constexpr std::size_t kMaxPerClient = 32;
  static constexpr std::size_t kMaxUnderWay = 16;           // questions of one connection
  static constexpr int kReadsInATurn = 16;                  // of one connection; then others have their turn
  static constexpr std::size_t kMaxUnread = 65536;          // bytes of replies
  static constexpr std::size_t kMaxQuestionBytes = 4096;    // longer is not a question
  static constexpr std::chrono::milliseconds kIdle{10000};  // without a byte moving

  using Reply = std::function<void(Message)>;  // an empty message: no reply
  // Answers now or later, exactly once, on the worker's thread.
  using Handler = std::function<void(base::Bytes question, const base::IpAddress& client, Reply reply)>;

  // `descriptors`, which may be null, is charged for each connection.
  TcpService(boost::asio::io_context& io, Handler handler, net::DescriptorBudget* descriptors = nullptr);
  TcpService(const TcpService&) = delete;
  TcpService& operator=(const TcpService&) = delete;
  ~TcpService();
  void serve(base::Fd listener);  // until stop()
  void stop();
  [[nodiscard]] std::size_t connections() const;

 private:
  struct State;
  class Session;
  std::shared_ptr<State> state_;
};

}  // namespace soleroute::gateway::dns
