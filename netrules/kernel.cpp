// SPDX-License-Identifier: GPL-3.0-or-later
#include "netrules/kernel.h"

#include <algorithm>
#include <map>

#include "netrules/program.h"

namespace soleroute::netrules {
namespace {

// Holds tables as the kernel would, with everything supported.
class InMemoryKernel final : public Kernel {
 public:
  base::Result<Features> probe() override {
    return Features{.nat_redirect = true,
                    .reject = true,
                    .inet_family = true,
                    .fib = true,
                    .native_queue = true,
                    .compat_queue = true,
                    .ipv6 = true};
  }
  base::Status apply(const Ruleset& ruleset) override {
    SR_TRY(validate(ruleset));
    tables_.insert_or_assign(ruleset.table, lower(ruleset));
    return {};
  }
  base::Status remove(const std::string& table) override {
    tables_.erase(table);
    return {};
  }
  base::Result<bool> holds(const std::string& table) override { return tables_.contains(table); }
  base::Result<bool> exists(const std::string& table) override { return tables_.contains(table); }
  base::Result<std::vector<std::string>> difference(const Ruleset& intended) override {
    const auto found = tables_.find(intended.table);
    if (found == tables_.end()) return std::vector<std::string>{"table " + intended.table + ": missing"};
    return netrules::difference(lower(intended), found->second);
  }

 private:
  std::map<std::string, Program> tables_;
};

}  // namespace

std::vector<std::string> Features::missing() const {
  std::vector<std::string> lines;
  if (!inet_family) {
    lines.emplace_back("nftables with the inet family is missing: load nf_tables (CONFIG_NF_TABLES_INET)");
    return lines;
  }
  if (!nat_redirect) lines.emplace_back("nftables redirect is missing: load nft_redir, nft_chain_nat, nft_ct");
  if (!reject) lines.emplace_back("nftables reject is missing: load nft_reject_inet");
  if (!fib) lines.emplace_back("nftables fib is missing: load nft_fib_inet");
  return lines;
}

std::unique_ptr<Kernel> make_in_memory_kernel() {
  return std::make_unique<InMemoryKernel>();
}

}  // namespace soleroute::netrules
