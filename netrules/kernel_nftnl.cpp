// SPDX-License-Identifier: GPL-3.0-or-later
#include <fcntl.h>
#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/gen.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <functional>
#include <map>

#include "base/fd.h"
#include "base/message_buffer.h"
#include "base/netlink_wait.h"
#include "base/read_file.h"
#include "netrules/kernel.h"
#include "netrules/nftnl_codec.h"
#include "netrules/program.h"

namespace soleroute::netrules {
namespace {

constexpr std::size_t kMessageBuffer = 160 * 1024;  // one message: a set's elements fill at most one 64 KiB attribute
constexpr std::size_t kReceiveBuffer = 64 * 1024;
constexpr int kReceiveSpace = 8 << 20;  // acknowledgements of one transaction
constexpr const char* kNeedsAdmin = "nftables needs CAP_NET_ADMIN in this network namespace (run as root)";
constexpr int kReadAttempts = 5;  // read-backs that another writer disturbed

struct SocketDeleter {
  void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
};
using Socket = std::unique_ptr<mnl_socket, SocketDeleter>;

base::Result<Socket> open_socket() {
  Socket socket(mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC));
  if (!socket) return base::errno_error("cannot open a netfilter socket");
  if (mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0)
    return base::errno_error("cannot bind a netfilter socket");
  const int fd = mnl_socket_get_fd(socket.get());
  base::limit_waiting(fd);
  if (::setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveSpace, sizeof kReceiveSpace) != 0) {
    ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &kReceiveSpace, sizeof kReceiveSpace);  // best effort: bounded by rmem_max
  }
  return socket;
}

using Refusals = std::map<std::uint32_t, int>;

// The messages of one transaction, each with words for what it asks.
class Batch {
 public:
  Batch() : scratch_(kMessageBuffer) {
    nftnl_batch_begin(scratch_.data(), sequence_);
    keep("the transaction");
  }

  void add_table(const std::string& table) { table_message(NFT_MSG_NEWTABLE, NLM_F_CREATE, table); }
  void delete_table(const std::string& table) { table_message(NFT_MSG_DELTABLE, 0, table); }

  void add_chain(const std::string& table, const ProgramChain& chain) {
    nlmsghdr* header = begin(NFT_MSG_NEWCHAIN, NLM_F_CREATE);
    nftnl_chain_nlmsg_build_payload(header, encode_chain(table, chain).get());
    keep("chain " + chain.name);
  }

  void add_rule(const std::string& table, const std::string& chain, const ProgramRule& rule) {
    const std::uint32_t first_set_id = next_set_id_;
    for (const Expression& expression : rule.expressions) {
      if (const auto* lookup = std::get_if<Lookup>(&expression)) add_set(table, *lookup);
    }
    nlmsghdr* header = begin(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
    nftnl_rule_nlmsg_build_payload(header, encode_rule(table, chain, rule, first_set_id).get());
    std::string words = "a rule of chain " + chain + ":";
    for (const Expression& expression : rule.expressions) words += " " + to_text(expression);
    keep(std::move(words));
  }

  void add_program(const Program& program) {
    add_table(program.table);
    for (const ProgramChain& chain : program.chains) add_chain(program.table, chain);
    for (const ProgramChain& chain : program.chains) {
      for (const ProgramRule& rule : chain.rules) add_rule(program.table, chain.name, rule);
    }
  }

  // Without the end mark the kernel checks everything and then takes it all back.
  void end() {
    nftnl_batch_end(scratch_.data(), ++sequence_);
    keep("the end of the transaction");
  }

  // The messages as one datagram. Success, or the first thing that the kernel refused, in words.
  base::Status run(const mnl_socket& socket) {
    SR_LET(refused, refusals(socket));
    if (refused->empty()) return {};
    const auto& [sequence, error] = *refused->begin();
    const std::string& words = sequence < words_.size() ? words_[sequence] : words_.front();
    return base::errno_error("the kernel refused " + words, error);
  }

  // The same with everything that was refused: errno by sequence number. One error does not keep the kernel from
  // checking the rest.
  base::Result<Refusals> refusals(const mnl_socket& socket) {
    auto* last = reinterpret_cast<nlmsghdr*>(bytes_.data() + answering_);
    last->nlmsg_flags |= NLM_F_ACK;  // so that success is an answer too
    const int fd = mnl_socket_get_fd(&socket);
    const int space = static_cast<int>(bytes_.size()) + 4096;
    if (::setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &space, sizeof space) != 0) {
      ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &space, sizeof space);  // unprivileged: bounded by wmem_max
    }
    if (mnl_socket_sendto(&socket, bytes_.data(), bytes_.size()) < 0) {
      if (errno == EMSGSIZE) {
        return base::system_error(
            fmt::format("{} bytes of rules are too many for one transaction; "
                        "raise net.core.wmem_max or remove endpoints",
                        bytes_.size()));
      }
      return base::errno_error("cannot send nftables rules to the kernel");
    }
    return collect(fd);
  }

  // Of the message added last.
  [[nodiscard]] std::uint32_t sequence() const { return sequence_; }

 private:
  nlmsghdr* begin(std::uint16_t type, std::uint16_t flags) {
    return nftnl_nlmsg_build_hdr(scratch_.data(), type, NFPROTO_INET, flags, ++sequence_);
  }
  void keep(std::string words) {
    const auto* header = reinterpret_cast<const nlmsghdr*>(scratch_.data());
    if (header->nlmsg_type != NFNL_MSG_BATCH_END) answering_ = bytes_.size();
    bytes_.insert(bytes_.end(), scratch_.data(), scratch_.data() + header->nlmsg_len);
    bytes_.resize((bytes_.size() + NLMSG_ALIGNTO - 1) / NLMSG_ALIGNTO * NLMSG_ALIGNTO);
    words_.push_back(std::move(words));
  }
  void table_message(std::uint16_t type, std::uint16_t flags, const std::string& table) {
    nftnl_table_nlmsg_build_payload(begin(type, flags), encode_table(table).get());
    keep("table " + table);
  }
  void add_set(const std::string& table, const Lookup& lookup) {
    const NftnlPtr<nftnl_set> set = encode_set(table, lookup, next_set_id_++);
    nftnl_set_nlmsg_build_payload(begin(NFT_MSG_NEWSET, NLM_F_CREATE), set.get());
    keep("a set");
    nftnl_set_elems_iter* items = nftnl_set_elems_iter_create(set.get());
    int more = 1;
    while (more > 0) {
      more = nftnl_set_elems_nlmsg_build_payload_iter(begin(NFT_MSG_NEWSETELEM, NLM_F_CREATE), items);
      keep("the elements of a set");
    }
    nftnl_set_elems_iter_destroy(items);
  }
  // The kernel has answered before send returned: read until nothing is left. For the first word alone is waited.
  static base::Result<Refusals> collect(int fd) {
    base::MessageBuffer buffer(kReceiveBuffer);
    Refusals refused;
    bool answered = false;
    for (;;) {
      const ssize_t received = ::recv(fd, buffer.data(), buffer.size(), answered ? MSG_DONTWAIT : 0);
      if (received < 0 && errno == EINTR) continue;
      if (received < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
      if (received < 0) return base::errno_error("cannot read the kernel's answer about nftables rules");
      int left = static_cast<int>(received);
      for (const auto* header = reinterpret_cast<const nlmsghdr*>(buffer.data()); mnl_nlmsg_ok(header, left);
           header = mnl_nlmsg_next(header, &left)) {
        if (header->nlmsg_type != NLMSG_ERROR) continue;
        const auto* error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(header));
        if (error->error == -EPERM || error->error == -EACCES) {
          return base::errno_error(kNeedsAdmin, -error->error);
        }
        if (error->error != 0) refused.emplace(header->nlmsg_seq, -error->error);
        answered = true;
      }
    }
    if (!answered) return base::system_error(base::no_answer("cannot install nftables rules"));
    return refused;
  }

  base::MessageBuffer scratch_;
  std::vector<char> bytes_;
  std::vector<std::string> words_;  // by sequence number
  std::size_t answering_ = 0;
  std::uint32_t sequence_ = 0;
  std::uint32_t next_set_id_ = 1;
};

// --- Reading back ---

using OnMessage = std::function<void(const nlmsghdr&)>;

int forward_message(const nlmsghdr* header, void* data) {
  (*static_cast<const OnMessage*>(data))(*header);
  return MNL_CB_OK;
}

base::Status receive_all(const mnl_socket& socket, std::uint32_t sequence, const OnMessage& on_message) {
  base::MessageBuffer buffer(kReceiveBuffer);
  int state = MNL_CB_OK;
  while (state > MNL_CB_STOP) {
    const ssize_t received = mnl_socket_recvfrom(&socket, buffer.data(), buffer.size());
    if (received < 0) return base::receive_error("cannot read nftables rules");
    state = mnl_cb_run(buffer.data(), static_cast<std::size_t>(received), sequence, mnl_socket_get_portid(&socket),
                       forward_message, const_cast<OnMessage*>(&on_message));
  }
  if (state < 0) return base::errno_error(errno == EPERM ? kNeedsAdmin : "cannot read nftables rules");
  return {};
}

class Reader {
 public:
  explicit Reader(const mnl_socket& socket) : socket_(socket), buffer_(kMessageBuffer) {}

  // The table as the kernel holds it; nothing if it is not there.
  base::Result<std::optional<Program>> read(const std::string& table) {
    Program program{.table = table, .table_flags = 0, .chains = {}, .foreign = {}};
    bool found = false;
    auto status = dump(NFT_MSG_GETTABLE, [&](const nlmsghdr& message) {
      const NftnlPtr<nftnl_table> object(nftnl_table_alloc());
      if (nftnl_table_nlmsg_parse(&message, object.get()) < 0) return;
      if (table != nftnl_table_get_str(object.get(), NFTNL_TABLE_NAME)) return;
      found = true;
      program.table_flags = nftnl_table_get_u32(object.get(), NFTNL_TABLE_FLAGS);
    });
    if (!status) return std::unexpected(status.error());
    if (!found) return std::optional<Program>();
    if (status = read_sets(program); !status) return std::unexpected(status.error());
    if (status = read_chains(program); !status) return std::unexpected(status.error());
    if (status = read_rules(program); !status) return std::unexpected(status.error());
    return std::optional(std::move(program));
  }

  base::Result<std::uint32_t> generation() {
    std::uint32_t id = 0;
    const auto status = request(NFT_MSG_GETGEN, 0, nullptr, [&](const nlmsghdr& message) {
      nftnl_gen* gen = nftnl_gen_alloc();
      if (nftnl_gen_nlmsg_parse(&message, gen) >= 0) id = nftnl_gen_get_u32(gen, NFTNL_GEN_ID);
      nftnl_gen_free(gen);
    });
    if (!status) return std::unexpected(status.error());
    return id;
  }

 private:
  base::Status request(std::uint16_t type, std::uint16_t flags, const nftnl_set* set, const OnMessage& on_message) {
    nlmsghdr* header = nftnl_nlmsg_build_hdr(buffer_.data(), type, NFPROTO_INET, flags | NLM_F_ACK, ++sequence_);
    if (set != nullptr) nftnl_set_nlmsg_build_payload(header, const_cast<nftnl_set*>(set));
    if (mnl_socket_sendto(&socket_, header, header->nlmsg_len) < 0)
      return base::errno_error("cannot read nftables rules");
    return receive_all(socket_, sequence_, on_message);
  }
  base::Status dump(std::uint16_t type, const OnMessage& on_message) {
    return request(type, NLM_F_DUMP, nullptr, on_message);
  }

  base::Status read_sets(Program& program) {
    std::vector<NftnlPtr<nftnl_set>> found;
    auto status = dump(NFT_MSG_GETSET, [&](const nlmsghdr& message) {
      NftnlPtr<nftnl_set> set(nftnl_set_alloc());
      if (nftnl_set_nlmsg_parse(&message, set.get()) < 0) return;
      if (program.table != nftnl_set_get_str(set.get(), NFTNL_SET_TABLE)) return;
      if ((nftnl_set_get_u32(set.get(), NFTNL_SET_FLAGS) & NFT_SET_ANONYMOUS) == 0) {
        program.foreign.push_back(fmt::format("set {}", nftnl_set_get_str(set.get(), NFTNL_SET_NAME)));
        return;
      }
      found.push_back(std::move(set));
    });
    for (const auto& set : found) {
      if (!status) return status;
      const NftnlPtr<nftnl_set> wanted(nftnl_set_alloc());
      nftnl_set_set_str(wanted.get(), NFTNL_SET_TABLE, program.table.c_str());
      nftnl_set_set_str(wanted.get(), NFTNL_SET_NAME, nftnl_set_get_str(set.get(), NFTNL_SET_NAME));
      status = request(NFT_MSG_GETSETELEM, NLM_F_DUMP, wanted.get(),
                       [&](const nlmsghdr& message) { nftnl_set_elems_nlmsg_parse(&message, set.get()); });
      sets_.insert_or_assign(nftnl_set_get_str(set.get(), NFTNL_SET_NAME), decode_set(*set));
    }
    return status;
  }

  base::Status read_chains(Program& program) {
    return dump(NFT_MSG_GETCHAIN, [&](const nlmsghdr& message) {
      const NftnlPtr<nftnl_chain> chain(nftnl_chain_alloc());
      if (nftnl_chain_nlmsg_parse(&message, chain.get()) < 0) return;
      if (program.table == nftnl_chain_get_str(chain.get(), NFTNL_CHAIN_TABLE)) {
        program.chains.push_back(decode_chain(*chain));
      }
    });
  }

  base::Status read_rules(Program& program) {
    return dump(NFT_MSG_GETRULE, [&](const nlmsghdr& message) {
      const NftnlPtr<nftnl_rule> rule(nftnl_rule_alloc());
      if (nftnl_rule_nlmsg_parse(&message, rule.get()) < 0) return;
      if (program.table != nftnl_rule_get_str(rule.get(), NFTNL_RULE_TABLE)) return;
      const std::string_view name = nftnl_rule_get_str(rule.get(), NFTNL_RULE_CHAIN);
      const auto chain = std::ranges::find(program.chains, name, &ProgramChain::name);
      if (chain != program.chains.end()) chain->rules.push_back(decode_rule(*rule, sets_));
    });
  }

  const mnl_socket& socket_;
  base::MessageBuffer buffer_;
  SetElements sets_;
  std::uint32_t sequence_ = 0;
};

// --- Probing ---

constexpr const char* kScratchTable = "soleroute-probe";
constexpr BaseChain kProbeFilter{ChainType::kFilter, Hook::kOutput, kPriorityFilter, ChainPolicy::kAccept};
constexpr BaseChain kProbeNat{ChainType::kNat, Hook::kOutput, kPriorityDstNat, ChainPolicy::kAccept};

struct FeatureProbe {
  bool Features::* answer;
  const char* chain;
  Rule rule;
};

std::vector<FeatureProbe> feature_probes() {
  return {
      {&Features::inet_family, "filter", {{}, {Count{}, Accept{}}, {}}},
      {&Features::nat_redirect, "nat", {{DestinationPorts{Protocol::kTcp, {80}}}, {RedirectTo{8080}}, {}}},
      {&Features::reject, "filter", {{}, {RejectAsProhibited{}}, {}}},
      {&Features::fib, "filter", {{DestinationIsLocal{}}, {Accept{}}, {}}},
      {&Features::native_queue, "filter", {{}, {Queue{0}}, {}}},
      {&Features::compat_queue, "filter", {{}, {CompatQueue{0}}, {}}},
  };
}

bool has_ipv6() {
  const base::Fd socket(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) return false;
  const auto disabled = base::read_file("/proc/sys/net/ipv6/conf/all/disable_ipv6", 1);
  return !disabled || !disabled->starts_with('1');
}

class NftnlKernel final : public Kernel {
 public:
  base::Result<Features> probe() override {
    SR_LET(socket, open_socket());
    // All in one transaction that is never committed: each costs a grace period of the kernel, 5 to 15 ms.
    Batch batch;
    batch.add_table(kScratchTable);
    batch.add_chain(kScratchTable, {"filter", kProbeFilter, {}});
    batch.add_chain(kScratchTable, {"nat", kProbeNat, {}});
    std::vector<std::pair<bool Features::*, std::uint32_t>> asked;
    for (const FeatureProbe& one : feature_probes()) {
      batch.add_rule(kScratchTable, one.chain, {lower(one.rule), {}});
      asked.emplace_back(one.answer, batch.sequence());
    }
    SR_LET(refused, batch.refusals(**socket));
    Features features{.ipv6 = has_ipv6()};
    for (const auto& [answer, sequence] : asked) features.*answer = !refused->contains(sequence);
    return features;
  }

  base::Status apply(const Ruleset& ruleset) override {
    SR_TRY(validate(ruleset));
    SR_LET(socket, open_socket());
    Batch batch;
    batch.add_table(ruleset.table);  // so that deleting it cannot fail
    batch.delete_table(ruleset.table);
    batch.add_program(lower(ruleset));
    batch.end();
    return batch.run(**socket);
  }

  base::Status remove(const std::string& table) override {
    SR_LET(socket, open_socket());
    Batch batch;
    batch.add_table(table);
    batch.delete_table(table);
    batch.end();
    return batch.run(**socket);
  }

  base::Result<bool> holds(const std::string& table) override {
    SR_LET(socket, open_socket());
    Reader reader(**socket);
    SR_LET(program, reader.read(table));
    const auto drops = [](const ProgramChain& chain) {
      return chain.base && chain.base->policy == ChainPolicy::kDrop && chain.base->hook == Hook::kForward;
    };
    return *program && (*program)->table_flags == 0 && std::ranges::any_of((*program)->chains, drops);
  }

  base::Result<bool> exists(const std::string& table) override {
    SR_LET(socket, open_socket());
    Reader reader(**socket);
    SR_LET(program, reader.read(table));
    return program->has_value();
  }

  base::Result<std::vector<std::string>> difference(const Ruleset& intended) override {
    SR_LET(socket, open_socket());
    for (int attempt = 0; attempt < kReadAttempts; ++attempt) {
      Reader reader(**socket);
      SR_LET(before, reader.generation());
      const auto program = reader.read(intended.table);
      if (!program && program.error().sys_errno == EINTR) continue;  // changed while it was read
      if (!program) return std::unexpected(program.error());
      SR_LET(after, reader.generation());
      if (*before != *after) continue;
      if (!*program) return std::vector<std::string>{"table " + intended.table + ": missing"};
      return netrules::difference(lower(intended), **program);
    }
    return base::system_error("cannot read nftables rules: another program keeps changing them");
  }
};

}  // namespace

std::unique_ptr<Kernel> make_kernel() {
  return std::make_unique<NftnlKernel>();
}

}  // namespace soleroute::netrules
