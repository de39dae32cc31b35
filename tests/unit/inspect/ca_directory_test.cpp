// SPDX-License-Identifier: GPL-3.0-or-later
#include "gateway/inspect/ca_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pkcs12.h>
#include <sys/stat.h>
#include <unistd.h>

#include <barrier>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "ca_lab.h"
#include "gateway/inspect/certificate_facts.h"
#include "gateway/inspect/pem_text.h"
#include "tests/support/temporary_folder.h"

namespace soleroute::gateway::inspect {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

const TimePoint kNow = std::chrono::system_clock::now();
constexpr uid_t kSomebody = 12345;

std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

unsigned mode_of(const std::string& path) {
  struct stat status{};
  EXPECT_EQ(::lstat(path.c_str(), &status), 0) << path;
  return status.st_mode & 07777U;
}

std::vector<std::string> names_in(const std::string& directory) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(directory)) names.push_back(entry.path().filename());
  return names;
}

class CaDirectory : public ::testing::Test {
 protected:
  // A private directory with this CA in it.
  void keep(const std::string& pem) {
    fs::create_directory(ca_);
    ::chmod(ca_.c_str(), 0700);
    folder_.write("ca/mitmproxy-ca.pem", pem);
    ::chmod(secret_.c_str(), 0600);
  }

  soleroute::testing::TemporaryFolder folder_;
  std::string ca_ = folder_.path("ca");
  std::string secret_ = ca_ + "/" + kSecretFile;
  std::string certificate_ = ca_ + "/" + kCertificateFile;
};

TEST_F(CaDirectory, IsMadeWithTheFilesOfMitmproxyForItsOwnerAlone) {
  const ::mode_t before = ::umask(0);  // must not matter
  const auto made = load_or_create_ca(folder_.path("a/b/ca"), kNow);
  ::umask(before);
  ASSERT_TRUE(made.has_value()) << made.error().message;
  EXPECT_TRUE(made->created);
  const std::string directory = folder_.path("a/b/ca");
  EXPECT_THAT(names_in(directory), UnorderedElementsAre("mitmproxy-ca.pem", "mitmproxy-ca.p12", "mitmproxy-ca-cert.pem",
                                                        "mitmproxy-ca-cert.cer", "mitmproxy-ca-cert.p12"));
  EXPECT_EQ(mode_of(directory), 0700U);
  EXPECT_EQ(mode_of(directory + "/mitmproxy-ca.pem"), 0600U);
  EXPECT_EQ(mode_of(directory + "/mitmproxy-ca.p12"), 0600U);
  EXPECT_EQ(mode_of(directory + "/mitmproxy-ca-cert.pem"), 0644U);
  EXPECT_THAT(content(directory + "/mitmproxy-ca.pem"), HasSubstr("PRIVATE KEY"));
  for (const char* open : {"mitmproxy-ca-cert.pem", "mitmproxy-ca-cert.cer"}) {
    EXPECT_EQ(content(directory + "/" + open), made->authority.certificate_pem());
  }
}

TEST_F(CaDirectory, IsUsedAsItIsWhereThereIsOne) {
  const struct {
    const char* what;
    CaShape shape;
  } rows[]{{"as mitmproxy makes them", {.key = "RSA"}}, {"an EC key", {}}};
  for (const auto& row : rows) {
    const std::string pem = ca_pem(row.shape);
    keep(pem);
    const auto loaded = load_or_create_ca(ca_, kNow);
    ASSERT_TRUE(loaded.has_value()) << row.what << loaded.error().message;
    EXPECT_FALSE(loaded->created) << row.what;
    EXPECT_EQ(content(secret_), pem) << row.what;
    EXPECT_EQ(content(certificate_), loaded->authority.certificate_pem()) << "what was missing is added";
    fs::remove_all(ca_);
  }
}

TEST_F(CaDirectory, GivesTheSameCaEveryTime) {
  const auto first = load_or_create_ca(ca_, kNow);
  const auto second = load_or_create_ca(ca_, kNow);
  const auto third = load_ca(ca_, kNow);
  ASSERT_TRUE(first && second && third);
  EXPECT_FALSE(second->created);
  EXPECT_EQ(first->authority.certificate_pem(), second->authority.certificate_pem());
  EXPECT_EQ(first->authority.certificate_pem(), third->certificate_pem());
}

TEST_F(CaDirectory, IsTheSameForAllWhoFindItEmptyAtOnce) {
  constexpr int kAtOnce = 8;
  for (int round = 0; round < 10; ++round) {
    std::vector<std::string> got(kAtOnce);
    std::atomic<int> created = 0;
    std::barrier together(kAtOnce);
    std::vector<std::thread> threads;
    for (int i = 0; i < kAtOnce; ++i) {
      threads.emplace_back([&, i] {
        together.arrive_and_wait();
        const auto loaded = load_or_create_ca(ca_, kNow);
        if (!loaded) return;
        if (loaded->created) ++created;
        got[static_cast<std::size_t>(i)] = loaded->authority.certificate_pem();
      });
    }
    for (auto& thread : threads) thread.join();
    for (const std::string& pem : got) EXPECT_EQ(pem, content(certificate_));
    EXPECT_EQ(created, 1);
    EXPECT_EQ(names_in(ca_).size(), 5U) << "nothing half-made is left";
    fs::remove_all(ca_);
  }
}

TEST_F(CaDirectory, IsCompletedWhereItsMakerWasInterrupted) {
  const auto made = load_or_create_ca(ca_, kNow);
  for (const auto& name : names_in(ca_)) {
    if (name != kSecretFile) fs::remove(ca_ + "/" + name);
  }
  const auto again = load_or_create_ca(ca_, kNow);
  ASSERT_TRUE(again.has_value()) << again.error().message;
  EXPECT_EQ(names_in(ca_).size(), 5U);
  EXPECT_EQ(content(certificate_), made->authority.certificate_pem());
}

TEST_F(CaDirectory, IsRefusedWithTheFileAndTheRemedy) {
  struct Row {
    const char* what;
    std::function<void()> spoil;
    const char* names;
    const char* says;
  };
  const std::string pem = ca_pem({});
  const Row rows[]{
      {"a link to the directory",
       [&] {
         fs::rename(ca_, folder_.path("elsewhere"));
         fs::create_symlink(folder_.path("elsewhere"), ca_);
       },
       "/ca: ", "is a symbolic link"},
      {"a file in its place", [&] { fs::remove_all(ca_), folder_.write("ca", ""); }, "/ca: ", "Not a directory"},
      {"a directory that others may write to", [&] { ::chmod(ca_.c_str(), 0770); }, "/ca: ", "chmod go-w"},
      {"a directory that all may write to", [&] { ::chmod(ca_.c_str(), 01777); }, "/ca: ", "chmod go-w"},
      {"a link to the key",
       [&] {
         fs::rename(secret_, folder_.path("key.pem"));
         fs::create_symlink(folder_.path("key.pem"), secret_);
       },
       "mitmproxy-ca.pem: ", "is a symbolic link"},
      {"a key that the group may read", [&] { ::chmod(secret_.c_str(), 0640); }, "mitmproxy-ca.pem: ", "chmod 600"},
      {"a key that all may read", [&] { ::chmod(secret_.c_str(), 0604); }, "mitmproxy-ca.pem: ", "chmod 600"},
      {"a key in PKCS #12 that all may read",
       [&] {
         folder_.write("ca/mitmproxy-ca.p12", "x");
         ::chmod((ca_ + "/mitmproxy-ca.p12").c_str(), 0644);
       },
       "mitmproxy-ca.p12: ", "chmod 600"},
      {"a directory in the key's place", [&] { fs::remove(secret_), fs::create_directory(secret_); },
       "mitmproxy-ca.pem: ", "ordinary file"},
      {"a FIFO in the key's place", [&] { fs::remove(secret_), ::mkfifo(secret_.c_str(), 0600); },
       "mitmproxy-ca.pem: ", "ordinary file"},
      {"a link in the certificate's place", [&] { fs::create_symlink("/etc/passwd", certificate_); },
       "mitmproxy-ca-cert.pem: ", "is a symbolic link"},
      {"no PEM", [&] { folder_.write("ca/mitmproxy-ca.pem", "hello"); },
       "mitmproxy-ca.pem: ", "no readable private key"},
      {"an empty file", [&] { folder_.write("ca/mitmproxy-ca.pem", ""); },
       "mitmproxy-ca.pem: ", "no readable private key"},
      {"another key's certificate", [&] { folder_.write("ca/mitmproxy-ca.pem", ca_pem({.of_another_key = true})); },
       "mitmproxy-ca.pem: ", "does not match the key"},
      {"an expired one", [&] { folder_.write("ca/mitmproxy-ca.pem", ca_pem({.until = kNow - hours(1)})); },
       "mitmproxy-ca.pem: ", "expired on"},
      {"one of tomorrow", [&] { folder_.write("ca/mitmproxy-ca.pem", ca_pem({.from = kNow + hours(24)})); },
       "mitmproxy-ca.pem: ", "clock"},
      {"another CA's certificate beside the key", [&] { folder_.write("ca/mitmproxy-ca-cert.pem", ca_pem({})); },
       "mitmproxy-ca-cert.pem: ", "is not the certificate of"},
      {"a certificate without its key", [&] { folder_.write("ca/mitmproxy-ca-cert.pem", "x"), fs::remove(secret_); },
       "mitmproxy-ca-cert.pem: ", "without its key"},
  };
  for (const Row& row : rows) {
    keep(pem);
    ASSERT_TRUE(load_ca(ca_, kNow).has_value()) << "the control";
    row.spoil();
    const auto loaded = load_or_create_ca(ca_, kNow);
    ASSERT_FALSE(loaded.has_value()) << row.what;
    EXPECT_EQ(loaded.error().kind, base::ErrorKind::kUsage) << row.what;
    EXPECT_THAT(loaded.error().message, HasSubstr(row.names)) << row.what;
    EXPECT_THAT(loaded.error().message, HasSubstr(row.says)) << row.what;
    fs::remove_all(ca_);
    fs::remove_all(folder_.path("elsewhere"));
  }
}

TEST_F(CaDirectory, IsRefusedWhereItOrItsKeyBelongsToSomebodyElse) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give files away";
  const std::string pem = ca_pem({});
  for (const std::string& path : {ca_, secret_}) {
    keep(pem);
    ASSERT_EQ(::chown(path.c_str(), kSomebody, kSomebody), 0);
    const auto loaded = load_or_create_ca(ca_, kNow);
    ASSERT_FALSE(loaded.has_value()) << path;
    EXPECT_THAT(loaded.error().message, HasSubstr(path + " is owned by user 12345"));
    EXPECT_THAT(loaded.error().message, HasSubstr("'chown 0 " + path + "'"));
    fs::remove_all(ca_);
  }
}

TEST_F(CaDirectory, IsNotReachedThroughALinkByAFinalSlashEither) {
  keep(ca_pem({}));
  fs::create_symlink(ca_, folder_.path("link"));
  EXPECT_TRUE(load_ca(ca_ + "//", kNow).has_value()) << "the control";
  const auto loaded = load_ca(folder_.path("link/"), kNow);
  ASSERT_FALSE(loaded.has_value());
  EXPECT_THAT(loaded.error().message, HasSubstr("is a symbolic link"));
}

TEST_F(CaDirectory, IsNotMadeByLoadingAlone) {
  const auto loaded = load_ca(ca_, kNow);
  ASSERT_FALSE(loaded.has_value());
  EXPECT_THAT(loaded.error().message, HasSubstr("gateway ca create"));
  EXPECT_FALSE(fs::exists(ca_));
}

TEST_F(CaDirectory, HoldsPkcs12FilesThatOpenWithoutAPassword) {
  const auto made = load_or_create_ca(ca_, kNow);
  ASSERT_TRUE(made.has_value());
  for (const char* name : {kSecretP12File, kCertificateP12File}) {
    const std::string der = content(ca_ + "/" + name);
    const auto* begin = reinterpret_cast<const unsigned char*>(der.data());
    PKCS12* p12 = d2i_PKCS12(nullptr, &begin, static_cast<long>(der.size()));
    ASSERT_NE(p12, nullptr) << name;
    EVP_PKEY* key = nullptr;
    X509* certificate = nullptr;
    STACK_OF(X509)* more = nullptr;
    EXPECT_EQ(PKCS12_parse(p12, "", &key, &certificate, &more), 1) << name;
    const bool secret = name == kSecretP12File;
    EXPECT_EQ(key != nullptr, secret) << name;
    X509* found = secret ? certificate : sk_X509_value(more, 0);
    ASSERT_NE(found, nullptr) << name;
    EXPECT_EQ(X509_cmp(found, &made->authority.certificate()), 0) << name;
    EVP_PKEY_free(key);
    X509_free(certificate);
    sk_X509_pop_free(more, X509_free);
    PKCS12_free(p12);
  }
}

TEST_F(CaDirectory, HoldsANewCaThroughoutWhenRotated) {
  const auto old = load_or_create_ca(ca_, kNow);
  const auto fresh = rotate_ca(ca_, kNow);
  ASSERT_TRUE(fresh.has_value()) << fresh.error().message;
  EXPECT_NE(fresh->certificate_pem(), old->authority.certificate_pem());
  const auto loaded = load_ca(ca_, kNow);
  ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
  EXPECT_EQ(loaded->certificate_pem(), fresh->certificate_pem());
  EXPECT_EQ(content(certificate_), fresh->certificate_pem());
  EXPECT_EQ(names_in(ca_).size(), 5U) << "no copy of the old key stays";
  EXPECT_EQ(mode_of(secret_), 0600U);
}

TEST_F(CaDirectory, IsMendedByRotation) {
  keep(ca_pem({.until = kNow - hours(1)}));
  ASSERT_FALSE(load_ca(ca_, kNow).has_value());
  ASSERT_TRUE(rotate_ca(ca_, kNow).has_value());
  EXPECT_TRUE(load_ca(ca_, kNow).has_value());
}

TEST_F(CaDirectory, ExportsTheCertificateAndNothingElse) {
  const auto made = load_or_create_ca(ca_, kNow);
  const std::string out = folder_.path("x/out");
  ASSERT_TRUE(export_certificate(made->authority, ca_, out).has_value());
  EXPECT_THAT(names_in(out), UnorderedElementsAre("mitmproxy-ca-cert.pem", "ca.crt"));
  for (const std::string& name : names_in(out)) {
    EXPECT_EQ(content(out + "/" + name), made->authority.certificate_pem());
    EXPECT_EQ(mode_of(out + "/" + name), 0644U);
  }
  EXPECT_EQ(
      mode_of(out), 0755U & ~[] {
        const auto mask = ::umask(0);
        ::umask(mask);
        return mask;
      }());
}

TEST_F(CaDirectory, ExportsOverWhateverLiesThereButNotThroughALink) {
  const auto made = load_or_create_ca(ca_, kNow);
  const std::string victim = folder_.write("victim", "precious");
  fs::create_directory(folder_.path("out"));
  fs::create_symlink(victim, folder_.path("out/ca.crt"));
  folder_.write("out/mitmproxy-ca-cert.pem", "old");
  ASSERT_TRUE(export_certificate(made->authority, ca_, folder_.path("out")).has_value());
  EXPECT_EQ(content(victim), "precious");
  EXPECT_EQ(content(folder_.path("out/ca.crt")), made->authority.certificate_pem());
  EXPECT_EQ(content(folder_.path("out/mitmproxy-ca-cert.pem")), made->authority.certificate_pem());
}

TEST_F(CaDirectory, IsNotExportedToWhereAKeyLies) {
  const auto made = load_or_create_ca(ca_, kNow);
  const auto same = export_certificate(made->authority, ca_, ca_ + "/");
  ASSERT_FALSE(same.has_value());
  EXPECT_THAT(same.error().message, HasSubstr("contains the private key"));
  folder_.write("out/mitmproxy-ca.pem", "somebody's");
  const auto beside = export_certificate(made->authority, ca_, folder_.path("out"));
  ASSERT_FALSE(beside.has_value());
  EXPECT_THAT(beside.error().message, HasSubstr("out/mitmproxy-ca.pem: a private key lies where agents look"));
}

TEST(DefaultCaDirectory, IsTheUsersOwnOrTheSystems) {
  const auto directory = default_ca_directory();
  ASSERT_TRUE(directory.has_value());
  EXPECT_THAT(*directory, ::geteuid() == 0 ? HasSubstr("/var/lib/soleroute/ca") : HasSubstr("soleroute/ca"));
}

}  // namespace
}  // namespace soleroute::gateway::inspect
