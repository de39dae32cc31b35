// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/jail/browser_policies.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <array>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "gateway/jail/java_stores.h"

namespace soleroute::gateway::jail {
namespace {

using Json = nlohmann::ordered_json;

struct Browser {
  std::string_view installed;  // exists where the browser is installed
  std::string_view floor;      // a folder that exists then
  std::string_view policies;   // below it
};
constexpr std::array kChromiumKin{
    Browser{"/etc/chromium", "/etc/chromium", "policies/managed"},
    Browser{"/etc/chromium-browser", "/etc/chromium-browser", "policies/managed"},
    Browser{"/opt/google/chrome", "/etc/opt", "chrome/policies/managed"},
    Browser{"/opt/microsoft/msedge", "/etc/opt", "edge/policies/managed"},
    Browser{"/etc/brave", "/etc/brave", "policies/managed"},
};
constexpr std::array<std::string_view, 4> kFirefoxFolders{"/usr/lib/firefox-esr", "/usr/lib/firefox",
                                                          "/usr/lib64/firefox", "/opt/firefox"};

bool is_there(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

std::string in_base64(std::string_view bytes) {
  std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int length =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                      reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(length));
  return out;
}

std::vector<std::string> each_once(const std::vector<std::string>& certificates) {
  std::vector<std::string> out;
  std::set<std::string_view> seen;
  for (const std::string& certificate : certificates) {
    if (seen.insert(certificate).second) out.push_back(certificate);
  }
  return out;
}

std::string chromium_policy(const std::vector<std::string>& certificates) {
  Json list = Json::array();
  for (const std::string& der : certificates) list.push_back(in_base64(der));
  return Json{{"CACertificates", list}}.dump() + "\n";
}

// Firefox reads one certificate from each file.
std::vector<AddedFile> firefox_files(const std::string& folder, const std::vector<std::string>& certificates) {
  std::vector<AddedFile> files;
  Json paths = Json::array();
  for (std::size_t i = 0; i < certificates.size(); ++i) {
    files.push_back({folder, fmt::format("distribution/soleroute-{}.der", i), certificates[i]});
    paths.push_back(fmt::format("{}/{}", folder, files.back().name));
  }
  const Json policy{{"policies", {{"Certificates", {{"Install", paths}}}}}};
  files.push_back({folder, "distribution/policies.json", policy.dump() + "\n"});
  return files;
}

}  // namespace

BrowserPolicies browser_policies(std::string_view certificates_pem, std::string_view firefox_pem,
                                 const std::string& root) {
  BrowserPolicies out;
  const std::vector<std::string> certificates = each_once(certificates_of(certificates_pem));
  if (certificates.empty()) return out;
  for (const Browser& browser : kChromiumKin) {
    const std::string floor = fmt::format("{}{}", root, browser.floor);
    if (!is_there(fmt::format("{}{}", root, browser.installed)) || !is_there(floor)) continue;
    out.files.push_back({floor, fmt::format("{}/soleroute.json", browser.policies), chromium_policy(certificates)});
  }
  const std::vector<std::string> for_firefox = each_once(certificates_of(firefox_pem));
  if (for_firefox.empty()) return out;
  for (const std::string_view name : kFirefoxFolders) {
    const std::string folder = fmt::format("{}{}", root, name);
    if (!is_there(folder) || is_there(folder + "/distribution/policies.json")) continue;
    if (for_firefox.size() > kMaxFirefoxCertificates) {
      out.without_firefox = true;
      break;
    }
    for (AddedFile& file : firefox_files(folder, for_firefox)) out.files.push_back(std::move(file));
  }
  return out;
}

}  // namespace soleroute::gateway::jail
